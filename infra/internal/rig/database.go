package rig

import (
	"context"
	"errors"
	"fmt"
	"time"

	"wafleet/infra/local/devpg"
	"wafleet/shared/store"
)

func (r *Rig) startPostgres(ctx context.Context) error {
	if err := r.launchPostgres(ctx); err != nil {
		return err
	}
	r.onStop(func(ctx context.Context) error { return r.postgres.Stop(ctx) })
	r.databaseURL = r.postgres.URL()
	return nil
}

func (r *Rig) launchPostgres(ctx context.Context) (err error) {
	if r.postgres, err = devpg.Start(ctx, devpg.Options{DataDir: r.dir, Logger: r.options.Logger}); err != nil {
		return err
	}
	r.processes["postgres"] = r.postgres.PID()
	return nil
}

// RestartPostgres shuts the database down, and starts it again after a time, at the same address.
func (r *Rig) RestartPostgres(ctx context.Context, away time.Duration) error {
	if err := r.postgres.Stop(ctx); err != nil {
		return err
	}
	timer := time.NewTimer(away)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
		return fmt.Errorf("restart Postgres: %w", context.Cause(ctx))
	}
	if err := r.launchPostgres(ctx); err != nil {
		return err
	}
	if r.postgres.URL() != r.databaseURL {
		return errors.New("restart Postgres: its port was taken meanwhile")
	}
	return nil
}

func (r *Rig) openDatabase(ctx context.Context) error {
	if err := store.Migrate(ctx, r.databaseURL); err != nil {
		return err
	}
	const lookers = 2
	var err error
	if r.pool, err = store.Open(ctx, r.databaseURL, lookers); err != nil {
		return err
	}
	r.onStop(func(context.Context) error { r.pool.Close(); return nil })
	_, err = store.EnsureInstallation(ctx, r.pool, 0)
	return err
}

// Connected counts the sessions that were connected at that time or later, and says when the first and the last of
// them were.
func (r *Rig) Connected(ctx context.Context, since time.Time) (count int, first, last time.Time, err error) {
	err = r.pool.QueryRow(ctx, `SELECT count(*), coalesce(min(updated_at), now()), coalesce(max(updated_at), now())
		FROM whatsapp_sessions WHERE state = 'connected' AND updated_at >= $1`, since).Scan(&count, &first, &last)
	if err != nil {
		return 0, first, last, fmt.Errorf("count connected sessions: %w", err)
	}
	return count, first, last, nil
}

// Work is what the database has done so far.
type Work struct {
	Commits int64
	WAL     int64 // bytes of its log
}

// Work reads the counters of the database. They may be a second late, so they fit long measurements only.
func (r *Rig) Work(ctx context.Context) (w Work, err error) {
	err = r.pool.QueryRow(ctx, `SELECT xact_commit, (pg_current_wal_lsn() - '0/0')::bigint
		FROM pg_stat_database WHERE datname = current_database()`).Scan(&w.Commits, &w.WAL)
	if err != nil {
		return w, fmt.Errorf("read counters of the database: %w", err)
	}
	return w, nil
}

// Postgres is the version of the database.
func (r *Rig) Postgres(ctx context.Context) (version string, err error) {
	if err := r.pool.QueryRow(ctx, `SELECT 'Postgres ' || current_setting('server_version')`).Scan(&version); err != nil {
		return "", fmt.Errorf("read version of the database: %w", err)
	}
	return version, nil
}
