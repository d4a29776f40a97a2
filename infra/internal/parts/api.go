package parts

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"

	functions "wafleet/functions/app"
	"wafleet/shared/config"
	"wafleet/shared/queue"
	"wafleet/shared/queue/pgqueue"
	"wafleet/shared/rpc"
	"wafleet/shared/store"
	"wafleet/shared/vault"
)

// apiPoolSize is the number of database connections that `wafleet serve` gives its API.
const apiPoolSize = 20

// apiStopTimeout bounds the end of the API.
const apiStopTimeout = 10 * time.Second

// apiSettings is the environment of the part "api": that of a function, where to listen, and the admin key to make known.
type apiSettings struct {
	config.Functions

	Listen   string `env:"API_LISTEN,notEmpty"`
	AdminKey string `env:"API_ADMIN_KEY,notEmpty,unset"`
}

// apiServer is API and workers in one process.
type apiServer struct {
	settings apiSettings
	logger   *slog.Logger
	pool     *pgxpool.Pool
	redis    redis.UniversalClient
	queue    *pgqueue.Queue
	workers  *functions.Workers
	handler  http.Handler
}

// NewAdminKey makes a key for the API's settings.
func NewAdminKey() string { return functions.NewAdminKey() }

// serveAPI serves until the context ends.
func serveAPI(ctx context.Context, environ []string, logger *slog.Logger) error {
	settings, err := config.Load[apiSettings](environ)
	if err != nil {
		return err
	}
	s := &apiServer{settings: settings, logger: logger}
	defer s.close()
	if err := s.connect(ctx); err != nil {
		return err
	}
	if err := s.wire(ctx); err != nil {
		return err
	}
	return s.serve(ctx)
}

func (s *apiServer) connect(ctx context.Context) (err error) {
	if s.pool, err = store.Open(ctx, s.settings.DatabaseURL, apiPoolSize); err != nil {
		return err
	}
	s.redis, err = rpc.Open(s.settings.RedisURL, s.settings.Mode.Dev())
	return err
}

// wire puts the parts together as `wafleet serve` does.
func (s *apiServer) wire(ctx context.Context) error {
	installation, err := store.EnsureInstallation(ctx, s.pool, 0)
	if err != nil {
		return err
	}
	key, err := hex.DecodeString(s.settings.MasterKey)
	if err != nil {
		return fmt.Errorf("MASTER_KEY: %w", err)
	}
	wrapper, err := vault.NewLocal(key)
	if err != nil {
		return fmt.Errorf("MASTER_KEY: %w", err)
	}
	secrets, registry := vault.New(wrapper, store.NewKeyring(s.pool)), prometheus.NewRegistry()
	if s.queue, err = pgqueue.New(s.pool, queue.Definitions(installation.Shards), s.logger, pgqueue.Config{}); err != nil {
		return fmt.Errorf("make queue: %w", err)
	}
	api, err := functions.New(ctx, functions.Deps{
		Pool: s.pool, Redis: s.redis, Queue: s.queue, Vault: secrets, Registry: registry, Logger: s.logger, Config: s.settings.API,
	})
	if err != nil {
		return fmt.Errorf("make API: %w", err)
	}
	s.handler = api.Handler()
	s.workers, err = functions.NewWorkers(functions.WorkersDeps{
		Store: store.New(s.pool, secrets), Vault: secrets, Queue: s.queue, Redis: s.redis,
		Installation: installation, Logger: s.logger, Metrics: registry,
	}, functions.WorkersConfig{Dev: true, LoopbackTargets: true})
	if err != nil {
		return fmt.Errorf("make workers: %w", err)
	}
	if err := functions.EnsureAdminKey(ctx, s.pool, s.settings.AdminKey); err != nil {
		return fmt.Errorf("API_ADMIN_KEY: %w", err)
	}
	return nil
}

func (s *apiServer) serve(ctx context.Context) error {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", s.settings.Listen)
	if err != nil {
		return fmt.Errorf("API_LISTEN: %w", err)
	}
	if err := s.queue.Start(ctx); err != nil {
		return errors.Join(fmt.Errorf("start queue: %w", err), listener.Close())
	}
	if err := s.workers.Start(ctx); err != nil {
		return errors.Join(fmt.Errorf("start workers: %w", err), listener.Close())
	}
	server := &http.Server{Handler: s.handler, ReadHeaderTimeout: apiStopTimeout}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(listener) }()
	select {
	case err := <-ended:
		return fmt.Errorf("serve: %w", err)
	case <-ctx.Done():
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), apiStopTimeout)
	defer cancel()
	err = server.Shutdown(ctx)
	if end := <-ended; !errors.Is(end, http.ErrServerClosed) {
		err = errors.Join(err, end)
	}
	return errors.Join(err, s.workers.Stop(ctx), s.queue.Stop(ctx))
}

func (s *apiServer) close() {
	if s.redis != nil {
		_ = s.redis.Close() // nothing is left to be lost on it
	}
	if s.pool != nil {
		s.pool.Close()
	}
}
