package local

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"wafleet/infra/local/devpg"
	"wafleet/shared/lease"
	"wafleet/shared/queue"
	"wafleet/shared/queue/pgqueue"
	"wafleet/shared/store"
	"wafleet/shared/store/db"
	"wafleet/shared/vault"
)

// poolSize is how many connections this process may open, those of its host's device store aside. Postgres takes 100.
const poolSize = 20

// startDatabase runs Postgres unless one was given, and brings it to this build's schema.
func (s *System) startDatabase(ctx context.Context) error {
	own := s.settings.DatabaseURL == ""
	if s.databaseURL = s.settings.DatabaseURL; own {
		if err := s.runPostgres(ctx); err != nil {
			return err
		}
	}
	if err := store.Migrate(ctx, s.databaseURL); err != nil {
		return err
	}
	if err := s.openPool(ctx); err != nil {
		return err
	}
	var err error
	s.installation, err = store.EnsureInstallation(ctx, s.pool, s.settings.Shards)
	if wrong := new(store.ShardsError); errors.As(err, &wrong) {
		return fmt.Errorf("SHARDS=%d: %w", wrong.Asked, wrong)
	}
	if err != nil {
		return err
	}
	if own {
		// This Postgres was down until now, so no host that held a lease is alive, and nobody has to wait for expiry.
		if _, err := lease.ReleaseAll(ctx, s.pool); err != nil {
			return err
		}
	}
	return s.openVault(ctx)
}

func (s *System) runPostgres(ctx context.Context) error {
	server, err := devpg.Start(ctx, devpg.Options{
		DataDir: s.settings.Data, BinDir: s.settings.PGBin, Logger: s.log.With("part", "postgres"),
	})
	if err != nil {
		return err
	}
	s.stack.push("postgres", server.Stop)
	s.watch("database", server.Done(), server.Err)
	s.databaseURL = server.URL()
	return nil
}

func (s *System) openPool(ctx context.Context) error {
	pool, err := store.Open(ctx, s.databaseURL, poolSize)
	if err != nil {
		return err
	}
	s.stack.push("database pool", func(ctx context.Context) error { return closePool(ctx, pool) })
	s.pool = pool
	return nil
}

// closePool waits for connections that are in use, which are given back when what was stopped before has ended.
func closePool(ctx context.Context, pool *pgxpool.Pool) error {
	closed := make(chan struct{})
	go func() {
		defer close(closed)
		pool.Close()
	}()
	select {
	case <-closed:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("%d connections are still in use: %w", pool.Stat().AcquiredConns(), context.Cause(ctx))
	}
}

// openVault makes sure that the master key is the one that the companies' keys were wrapped with, before anything is
// sealed with another one.
func (s *System) openVault(ctx context.Context) error {
	wrapper, err := vault.NewLocal(s.masterKey)
	if err != nil {
		return err
	}
	keyring := store.NewKeyring(s.pool)
	s.vault = vault.New(wrapper, keyring)
	company, err := db.New().FindCompanyWithKey(ctx, s.pool)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil // any key will do
	}
	if err != nil {
		return fmt.Errorf("look for a company: %w", err)
	}
	if _, err := s.vault.Seal(ctx, company, "master key check", nil); err != nil {
		return fmt.Errorf("open what this database holds with this master key: %w", err)
	}
	return nil
}

// startQueue starts the queues, which are tables of the same database.
func (s *System) startQueue(ctx context.Context) error {
	q, err := pgqueue.New(s.pool, queue.Definitions(s.installation.Shards), s.log, pgqueue.Config{})
	if err != nil {
		return err
	}
	if err := q.Start(ctx); err != nil {
		return fmt.Errorf("start queue: %w", err)
	}
	s.stack.push("queue", q.Stop)
	s.queue = q
	return nil
}
