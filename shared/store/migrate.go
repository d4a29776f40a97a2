package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"

	"wafleet/migrations"
)

const (
	// migrateTimeout bounds a whole migration, the wait for another process that migrates included.
	migrateTimeout = 10 * time.Minute
	// lockPollSeconds and lockPolls say how a process waits for another one that migrates. goose polls with
	// pg_try_advisory_lock: a blocking lock would hold a snapshot that CREATE INDEX CONCURRENTLY waits for.
	lockPollSeconds, lockPolls = 1, 300
	// undefinedTable is Postgres' SQLSTATE for a table that does not exist.
	undefinedTable = "42P01"
)

// SchemaError says that the database is behind this build: its newest applied migration is older than the newest one
// that the build carries. The remedy is to migrate first and to start the process afterwards.
type SchemaError struct {
	Have int64 // newest migration of the database, 0 for an empty one
	Need int64 // newest migration of this build
}

// Error states both versions and the remedy.
func (e *SchemaError) Error() string {
	return fmt.Sprintf("database schema is at version %d, this build needs %d: run the migrations first", e.Have, e.Need)
}

// Migrate brings the database behind the URL to the newest embedded migration, and sets what connections of its role
// start with. It connects directly (not through a
// transaction pooler: the lock that keeps parallel processes apart belongs to a session), and it is idempotent: of
// several processes one migrates and the others wait for it. Each migration is its own transaction; after an error
// the earlier ones remain and the next call goes on from there.
func Migrate(ctx context.Context, databaseURL string) error {
	config, err := pgx.ParseConfig(databaseURL)
	if err != nil {
		return fmt.Errorf("migrate: parse database url: %w", err)
	}
	// The role's timeouts are made for requests: an index may take longer than they allow. A migration that waits for a
	// table lock, on the other hand, makes everyone behind it wait too, so it gives up and may be run again.
	config.RuntimeParams["statement_timeout"] = "0"
	config.RuntimeParams["lock_timeout"] = "10s"
	db := stdlib.OpenDB(*config)
	err = migrate(ctx, db, migrations.FS)
	if err == nil {
		err = setRole(ctx, db)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("migrate: %w", err), db.Close())
	}
	if err := db.Close(); err != nil {
		return fmt.Errorf("migrate: close connections: %w", err)
	}
	return nil
}

// CheckSchema reports whether the database has every migration that this build needs: nil if it has, a *SchemaError
// if it is older, another error if that could not be found out. A newer schema is fine, because migrations first expand
// and contract only in a later release.
func CheckSchema(ctx context.Context, pool *pgxpool.Pool) error {
	need, err := newestVersion(migrations.FS)
	if err != nil {
		return fmt.Errorf("check schema: %w", err)
	}
	have, err := appliedVersion(ctx, pool)
	if err != nil {
		return fmt.Errorf("check schema: %w", err)
	}
	if have < need {
		return &SchemaError{Have: have, Need: need}
	}
	return nil
}

func migrate(ctx context.Context, db *sql.DB, fsys fs.FS) error {
	ctx, cancel := context.WithTimeout(ctx, migrateTimeout)
	defer cancel()
	locker, err := lock.NewPostgresSessionLocker(lock.WithLockTimeout(lockPollSeconds, lockPolls))
	if err != nil {
		return fmt.Errorf("make lock: %w", err)
	}
	provider, err := goose.NewProvider(goose.DialectPostgres, db, fsys,
		goose.WithSessionLocker(locker), goose.WithDisableGlobalRegistry(true))
	if errors.Is(err, goose.ErrNoMigrations) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read migrations: %w", err)
	}
	if _, err := provider.Up(ctx); err != nil {
		return fmt.Errorf("apply migrations: %w", err)
	}
	return nil
}

// newestVersion is the highest version number among the migration files, 0 where there is none.
func newestVersion(fsys fs.FS) (int64, error) {
	names, err := fs.Glob(fsys, "*.sql")
	if err != nil {
		return 0, fmt.Errorf("list migrations: %w", err)
	}
	var newest int64
	for _, name := range names {
		version, err := goose.NumericComponent(name)
		if err != nil {
			return 0, fmt.Errorf("read version of %s: %w", name, err)
		}
		newest = max(newest, version)
	}
	return newest, nil
}

// appliedVersion reads goose's own table. goose could tell too, but it would create the table where it is missing, and
// the roles of most processes may not do that.
func appliedVersion(ctx context.Context, pool *pgxpool.Pool) (int64, error) {
	var version int64
	err := pool.QueryRow(ctx, `SELECT coalesce(max(version_id), 0) FROM goose_db_version WHERE is_applied`).Scan(&version)
	var pgErr *pgconn.PgError
	if errors.As(err, &pgErr) && pgErr.Code == undefinedTable {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("read applied version: %w", err)
	}
	return version, nil
}
