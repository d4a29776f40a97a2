package local

import (
	"context"
	"fmt"

	functions "wafleet/functions/app"
	"wafleet/shared/store"
)

// adminKeyName is the file in the data folder that holds the admin key.
const adminKeyName = "admin.key"

// startAPI makes the API, which does not listen yet, and starts the workers beside it.
func (s *System) startAPI(ctx context.Context) error {
	if err := functions.EnsureAdminKey(ctx, s.pool, s.adminKey); err != nil {
		return fmt.Errorf("admin key in %s: %w", s.dir.Path(adminKeyName), err)
	}
	app, err := functions.New(ctx, functions.Deps{
		Pool: s.pool, Redis: s.redis, Queue: s.queue, Media: s.media, Vault: s.vault, Registry: s.metrics,
		Logger: s.log.With("part", "api"), Config: s.settings.API,
	})
	if err != nil {
		return fmt.Errorf("start API: %w", err)
	}
	s.handler = app.Handler()
	return s.startWorkers(ctx)
}

// startWorkers starts what delivers webhooks and sweeps, which on AWS are functions of their own.
func (s *System) startWorkers(ctx context.Context) error {
	workers, err := functions.NewWorkers(functions.WorkersDeps{
		Store: store.New(s.pool, s.vault), Vault: s.vault, Queue: s.queue, Media: s.media, Logger: s.log.With("part", "workers"), Metrics: s.metrics,
	}, functions.WorkersConfig{
		Schedule: s.settings.Schedule, Dev: s.settings.Mode.Dev(), LoopbackTargets: s.settings.AllowLoopbackTargets,
	})
	if err != nil {
		return fmt.Errorf("start workers: %w", err)
	}
	if err := workers.Start(ctx); err != nil {
		return fmt.Errorf("start workers: %w", err)
	}
	s.stack.push("workers", workers.Stop)
	return nil
}
