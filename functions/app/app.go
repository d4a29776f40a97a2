package app

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"

	"wafleet/functions/internal/api"
	"wafleet/shared/config"
	"wafleet/shared/media"
	"wafleet/shared/queue"
	"wafleet/shared/store"
	"wafleet/shared/vault"
)

// Deps is what the API needs. All of it stays the caller's.
type Deps struct {
	Pool     *pgxpool.Pool // of a migrated database
	Redis    redis.UniversalClient
	Queue    queue.Queue
	Media    media.Store // nil: files are neither taken nor given
	Vault    *vault.Vault
	Registry *prometheus.Registry // also what /metrics shows; nil: one of its own
	Logger   *slog.Logger
	Config   config.API
}

// App is the API. It works while somebody serves its handler and has nothing to be stopped.
type App struct{ api *api.API }

// New wires the API. It reads the database and starts nothing.
func New(ctx context.Context, d Deps) (*App, error) {
	installation, err := store.EnsureInstallation(ctx, d.Pool, 0)
	if err != nil {
		return nil, fmt.Errorf("find installation: %w", err)
	}
	if d.Registry == nil {
		d.Registry = prometheus.NewRegistry()
	}
	return &App{api: api.New(api.Deps{
		Store: store.New(d.Pool, d.Vault), Vault: d.Vault, Queue: d.Queue, Media: d.Media, Redis: d.Redis,
		Installation: installation, Config: d.Config, Logger: d.Logger, Registry: d.Registry,
	})}, nil
}

// Handler serves the whole API, or the routes with these tags of the contract.
func (a *App) Handler(tags ...string) http.Handler { return a.api.Handler(tags...) }
