package local

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"

	"wafleet/infra/local/datadir"
	"wafleet/infra/local/devenv"
	"wafleet/shared/config"
	"wafleet/shared/media"
	"wafleet/shared/queue"
	"wafleet/shared/store"
	"wafleet/shared/vault"
)

// rollbackTimeout bounds the end of what a failed start had started.
const rollbackTimeout = 20 * time.Second

// Options are what a System gets from its main.
type Options struct {
	Settings config.Serve
	// Environ is the environment of this process, for hosts that are processes of their own.
	Environ []string
	// Executable is the path of this program; the program of the hosts is expected beside it.
	Executable string
	// Version is the build's.
	Version string
	// Out is where people look: it is told when the system is ready and shows QR codes.
	Out io.Writer
	// Log takes the logs, those of hosts that are processes of their own included.
	Log *os.File
	// Logger writes to Log.
	Logger *slog.Logger
}

// System is the whole of wafleet on one machine. It starts once.
type System struct {
	options  Options
	settings config.Serve
	log      *slog.Logger
	stack    stack
	watchers sync.WaitGroup
	ended    chan struct{} // closed when Stop begins
	failed   chan error    // capacity 1: the first failure ends everything
	stopOnce sync.Once
	stopErr  error

	// What the steps of Start hand on to the later ones.
	dir          *datadir.Dir
	previous     devenv.File
	masterKey    []byte
	adminKey     string
	api          net.Listener
	peer         peer
	databaseURL  string
	pool         *pgxpool.Pool
	installation store.Installation
	vault        *vault.Vault
	redisURL     string
	redis        redis.UniversalClient
	queue        queue.Queue
	media        media.Store
	metrics      *prometheus.Registry
	handler      http.Handler
}

// New returns a system that is not started yet.
func New(options Options) *System {
	return &System{
		options:  options,
		settings: options.Settings,
		log:      options.Logger,
		stack:    stack{log: options.Logger},
		ended:    make(chan struct{}),
		failed:   make(chan error, 1),
		metrics:  prometheus.NewRegistry(),
	}
}

// Start returns when the system is ready, or with an error and nothing left running. The context bounds the start only;
// Stop has to be called to end the system.
func (s *System) Start(ctx context.Context) error {
	for _, start := range []func(context.Context) error{
		s.openFolder,
		s.listen,
		s.readKeys,
		s.startPeer,
		s.startDatabase,
		s.startRedis,
		s.startQueue,
		s.openMedia,
		s.startAPI,
		s.startHosts,
		s.writeDevEnv,
		s.serve,
	} {
		if err := start(ctx); err != nil {
			// What has to be written down is written down, even if it was the context that ended.
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), rollbackTimeout)
			defer cancel()
			return errors.Join(err, s.Stop(ctx))
		}
	}
	s.greet()
	return nil
}

// Failed tells when a part of the running system has ended by itself. The system has to be stopped then.
func (s *System) Failed() <-chan error { return s.failed }

// Stop ends the system: no new requests, hosts drain, what is in hand is finished. When ctx ends before that, the rest
// is ended without waiting. Calling it again returns the first result.
func (s *System) Stop(ctx context.Context) error {
	s.stopOnce.Do(func() {
		close(s.ended)
		s.watchers.Wait()
		s.stopErr = s.stack.unwind(ctx)
	})
	return s.stopErr
}

// watch makes the end of a part the end of the system, unless the system is being stopped.
func (s *System) watch(part string, done <-chan struct{}, reason func() error) {
	s.watchers.Go(func() {
		select {
		case <-done:
			select {
			case s.failed <- fmt.Errorf("%s: %w", part, reason()):
			default: // another part was first
			}
		case <-s.ended:
		}
	})
}
