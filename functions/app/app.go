package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"

	"wafleet/functions/internal/api"
	"wafleet/shared/config"
	"wafleet/shared/queue"
	"wafleet/shared/store"
	"wafleet/shared/vault"
)

// Deps is what the functions need. All of it stays the caller's.
type Deps struct {
	Pool     *pgxpool.Pool // of a migrated database
	Redis    redis.UniversalClient
	Queue    queue.Queue
	Vault    *vault.Vault
	Registry *prometheus.Registry // also what /metrics shows; nil: one of its own
	Logger   *slog.Logger
	Config   config.API
}

// worker is a part that works by itself beside the API.
type worker interface {
	Start(ctx context.Context) error
	Stop(ctx context.Context) error
}

// App is the functions in one process.
type App struct {
	api     *api.API
	workers []worker
	started []worker
}

// New wires the functions. It reads the database and starts nothing.
func New(ctx context.Context, d Deps) (*App, error) {
	installation, err := store.EnsureInstallation(ctx, d.Pool, 0)
	if err != nil {
		return nil, fmt.Errorf("find installation: %w", err)
	}
	if d.Registry == nil {
		d.Registry = prometheus.NewRegistry()
	}
	return &App{api: api.New(api.Deps{
		Store: store.New(d.Pool, d.Vault), Vault: d.Vault, Queue: d.Queue, Redis: d.Redis,
		Installation: installation, Config: d.Config, Logger: d.Logger, Registry: d.Registry,
	})}, nil
}

// Handler serves the whole API, or the routes with these tags of the contract.
func (a *App) Handler(tags ...string) http.Handler { return a.api.Handler(tags...) }

// Start starts the workers. When one fails, those before it are stopped again.
func (a *App) Start(ctx context.Context) error {
	for _, w := range a.workers {
		if err := w.Start(ctx); err != nil {
			return errors.Join(fmt.Errorf("start functions: %w", err), a.Stop(context.WithoutCancel(ctx)))
		}
		a.started = append(a.started, w)
	}
	return nil
}

// Stop stops the workers that were started, the last one first, and waits for them. It may be called again.
func (a *App) Stop(ctx context.Context) error {
	var errs []error
	for _, w := range slices.Backward(a.started) {
		errs = append(errs, w.Stop(ctx))
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("stop functions: %w", err)
	}
	a.started = nil
	return nil
}
