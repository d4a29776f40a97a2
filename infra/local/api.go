package local

import (
	"context"
	"fmt"

	functions "wafleet/functions/app"
)

// adminKeyName is the file in the data folder that holds the admin key.
const adminKeyName = "admin.key"

// readAdminKey reads or makes the installation's admin key.
func (s *System) readAdminKey() (string, error) {
	key, err := s.dir.Once(adminKeyName, 0o600, func() []byte { return []byte(functions.NewAdminKey()) })
	return string(key), err
}

// startAPI makes the API, which does not listen yet, and starts the workers beside it.
func (s *System) startAPI(ctx context.Context) error {
	if err := functions.EnsureAdminKey(ctx, s.pool, s.adminKey); err != nil {
		return fmt.Errorf("admin key in %s: %w", s.dir.Path(adminKeyName), err)
	}
	app, err := functions.New(ctx, functions.Deps{
		Pool: s.pool, Redis: s.redis, Queue: s.queue, Vault: s.vault, Registry: s.metrics,
		Logger: s.log.With("part", "api"), Config: s.settings.API,
	})
	if err != nil {
		return fmt.Errorf("start API: %w", err)
	}
	if err := app.Start(ctx); err != nil {
		return fmt.Errorf("start API: %w", err)
	}
	s.stack.push("workers", app.Stop)
	s.handler = app.Handler()
	return nil
}
