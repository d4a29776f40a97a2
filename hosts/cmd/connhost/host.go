package main

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	awsconfig "github.com/aws/aws-sdk-go-v2/config"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/redis/go-redis/v9"

	"wafleet/hosts/app"
	"wafleet/shared/config"
	"wafleet/shared/media"
	"wafleet/shared/queue"
	"wafleet/shared/queue/pgqueue"
	"wafleet/shared/queue/sqsqueue"
	"wafleet/shared/rpc"
	"wafleet/shared/store"
	"wafleet/shared/vault"
)

// poolSize is how many database connections a host may open beside those of its queue and its device store. Statements
// take a millisecond, so that these carry thousands a second.
const poolSize = 10

// startable is what a host starts before and stops after everything that uses it.
type startable interface {
	Start(ctx context.Context) error
	Stop(ctx context.Context) error
}

// host is the process: the connection host and the clients it works with.
type host struct {
	cfg    config.Host
	logger *slog.Logger
	pool   *pgxpool.Pool
	redis  redis.UniversalClient
	queue  queue.Queue
	app    *app.App
	server *http.Server
	listen string // where it answers, once started
	failed chan error
}

// open makes the clients and wires the host; nothing is started yet.
func open(ctx context.Context, environ []string, stderr io.Writer) (*host, error) {
	cfg, err := config.Load[config.Host](environ)
	if err != nil {
		return nil, err
	}
	if cfg.HostID == "" {
		cfg.HostID = "host-" + strings.ToLower(rand.Text()[:10])
	}
	logger := slog.New(slog.NewJSONHandler(stderr, &slog.HandlerOptions{Level: cfg.LogLevel})).With("host_id", cfg.HostID)
	h := &host{cfg: cfg, logger: logger, failed: make(chan error, 1)}
	if err := h.connect(ctx); err != nil {
		return nil, errors.Join(err, h.close())
	}
	return h, nil
}

func (h *host) connect(ctx context.Context) error {
	var err error
	if h.pool, err = store.Open(ctx, h.cfg.DatabaseURL, poolSize); err != nil {
		return err
	}
	if err := store.CheckSchema(ctx, h.pool); err != nil {
		return fmt.Errorf("check schema: %w", err)
	}
	installation, err := store.EnsureInstallation(ctx, h.pool, 0)
	if err != nil {
		return fmt.Errorf("read installation: %w", err)
	}
	if h.redis, err = rpc.Open(h.cfg.RedisURL, h.cfg.Mode.Dev()); err != nil {
		return err
	}
	if h.queue, err = openQueue(ctx, h, installation.Shards); err != nil {
		return fmt.Errorf("open queue: %w", err)
	}
	return h.wire(ctx)
}

func (h *host) wire(ctx context.Context) error {
	key, err := hex.DecodeString(h.cfg.MasterKey)
	if err != nil {
		return fmt.Errorf("MASTER_KEY: %w", err)
	}
	wrapper, err := vault.NewLocal(key)
	if err != nil {
		return fmt.Errorf("MASTER_KEY: %w", err)
	}
	root, err := h.cfg.Root()
	if err != nil {
		return err
	}
	var pem []byte
	if h.cfg.RootCA != "" {
		if pem, err = os.ReadFile(h.cfg.RootCA); err != nil {
			return fmt.Errorf("WHATSAPP_ROOT_CA: %w", err)
		}
	}
	boards, err := app.Boards(ctx, h.cfg.HealthTable)
	if err != nil {
		return err
	}
	files, err := media.Open(ctx, media.Config{Bucket: h.cfg.Bucket, Folder: h.cfg.Folder, Endpoint: h.cfg.S3Endpoint})
	if err != nil {
		return err
	}
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	h.app, err = app.New(ctx, app.Deps{
		Pool: h.pool, Redis: h.redis, Queue: h.queue, Media: files,
		Vault: vault.New(wrapper, store.NewKeyring(h.pool)), Registry: registry, Logger: h.logger, Boards: boards,
	}, app.Config{
		HostID: h.cfg.HostID, Version: version, Sessions: h.cfg.Sessions, Live: h.cfg.Endpoint == "",
		PeerListen: h.cfg.PeerListen,
		WhatsApp:   app.WhatsApp{Endpoint: h.cfg.Endpoint, RootCA: pem, NoiseRoot: root},
	})
	if err != nil {
		return fmt.Errorf("wire host: %w", err)
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	mux.HandleFunc("GET /health", h.health)
	h.server = &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	return nil
}

func openQueue(ctx context.Context, h *host, shards int) (queue.Queue, error) {
	definitions := queue.Definitions(shards)
	if h.cfg.Queue == "postgres" {
		return pgqueue.New(h.pool, definitions, h.logger, pgqueue.Config{})
	}
	aws, err := awsconfig.LoadDefaultConfig(ctx)
	if err != nil {
		return nil, fmt.Errorf("read AWS configuration: %w", err)
	}
	return sqsqueue.New(sqsqueue.Config{AWS: aws, Endpoint: h.cfg.SQSEndpoint, Prefix: h.cfg.QueuePrefix}, definitions, h.logger)
}

func (h *host) start(ctx context.Context) error {
	if q, ok := h.queue.(startable); ok {
		if err := q.Start(ctx); err != nil {
			return errors.Join(fmt.Errorf("start queue: %w", err), h.close())
		}
	}
	if err := h.app.Start(ctx); err != nil {
		return errors.Join(err, h.stop(ctx))
	}
	if h.cfg.Listen == "" {
		return nil
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", h.cfg.Listen)
	if err != nil {
		return errors.Join(fmt.Errorf("HOST_LISTEN: %w", err), h.stop(ctx))
	}
	h.listen = listener.Addr().String()
	h.logger.InfoContext(ctx, "listening", "address", h.listen)
	go func() { // ends with Shutdown in stop
		if err := h.server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			h.failed <- err
		}
	}()
	return nil
}

// stop drains the host, then closes what it worked with.
func (h *host) stop(ctx context.Context) error {
	errs := []error{h.server.Shutdown(ctx), h.app.Stop(ctx)}
	if q, ok := h.queue.(interface {
		Stop(ctx context.Context) error
	}); ok {
		errs = append(errs, q.Stop(ctx))
	}
	return errors.Join(append(errs, h.close())...)
}

func (h *host) close() error {
	if h.pool != nil {
		h.pool.Close()
	}
	if h.redis == nil {
		return nil
	}
	if err := h.redis.Close(); err != nil {
		return fmt.Errorf("close redis: %w", err)
	}
	return nil
}

// health is for the container's health check: the process answers and its database does.
func (h *host) health(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), 2*time.Second)
	defer cancel()
	if err := h.pool.Ping(ctx); err != nil {
		http.Error(w, "database does not answer", http.StatusServiceUnavailable)
		return
	}
	w.WriteHeader(http.StatusOK)
}
