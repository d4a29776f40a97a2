package store_test

import (
	"context"
	"database/sql"
	"errors"
	"io/fs"
	"slices"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/stretchr/testify/require"

	"wafleet/migrations"
	"wafleet/shared/store"
	"wafleet/shared/store/pgtest"
)

func TestMigrateFromNothing(t *testing.T) {
	t.Parallel()
	url, pool := emptyDatabase(t)

	var schemaErr *store.SchemaError
	require.ErrorAs(t, store.CheckSchema(t.Context(), pool), &schemaErr)
	require.Zero(t, schemaErr.Have)
	require.Equal(t, newestMigration(t), schemaErr.Need)
	require.ErrorContains(t, schemaErr, "run the migrations first")
	require.Empty(t, tables(t, pool), "a check must not write anything")

	require.NoError(t, store.Migrate(t.Context(), url))
	require.NoError(t, store.CheckSchema(t.Context(), pool))
	require.Contains(t, tables(t, pool), "companies")
}

func TestMigrateIsIdempotent(t *testing.T) {
	t.Parallel()
	url := pgtest.URL(t)
	require.NoError(t, store.Migrate(t.Context(), url))
	require.NoError(t, store.Migrate(t.Context(), url))
}

func TestMigrateByManyAtOnce(t *testing.T) {
	t.Parallel()
	url, pool := emptyDatabase(t)
	errs := make([]error, 3)
	var wg sync.WaitGroup
	for i := range errs {
		wg.Go(func() { errs[i] = store.Migrate(t.Context(), url) })
	}
	wg.Wait()
	require.NoError(t, errors.Join(errs...))

	var applied int
	require.NoError(t, pool.QueryRow(t.Context(),
		`SELECT count(*) FROM goose_db_version WHERE version_id > 0`).Scan(&applied))
	names, err := fs.Glob(migrations.FS, "*.sql")
	require.NoError(t, err)
	require.Len(t, names, applied, "each migration is applied exactly once")
}

func TestMigrateIgnoresTheRolesTimeouts(t *testing.T) {
	t.Parallel()
	url, pool := emptyDatabase(t)
	var name string
	require.NoError(t, pool.QueryRow(t.Context(), `SELECT current_database()`).Scan(&name))
	_, err := pool.Exec(t.Context(), `ALTER DATABASE `+name+` SET statement_timeout = '1ms'`)
	require.NoError(t, err)
	require.NoError(t, store.Migrate(t.Context(), url))
}

func TestMigrateErrors(t *testing.T) {
	t.Parallel()
	require.ErrorContains(t, store.Migrate(t.Context(), "postgres://user:se%20cret@[bad"), "parse database url")
	err := store.Migrate(t.Context(), "postgres://user:secretword@127.0.0.1:1/none")
	require.ErrorContains(t, err, "migrate: ")
	require.NotContains(t, err.Error(), "secretword")
}

func TestMigrateEndsWithItsContext(t *testing.T) {
	t.Parallel()
	url := pgtest.URL(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, store.Migrate(ctx, url), context.Canceled)
}

// A roll-back must lead to the very schema that was there before, or the way down was never tried.
func TestMigrationsGoDownAndUpAgain(t *testing.T) {
	t.Parallel()
	url, pool := emptyDatabase(t)
	require.NoError(t, store.Migrate(t.Context(), url))
	want := schema(t, pool)

	db := stdlib.OpenDBFromPool(pool)
	defer func() { require.NoError(t, db.Close()) }()
	_, err := newProvider(t, db).DownTo(t.Context(), 0)
	require.NoError(t, err)
	require.Equal(t, []string{"goose_db_version"}, tables(t, pool))

	var schemaErr *store.SchemaError
	require.ErrorAs(t, store.CheckSchema(t.Context(), pool), &schemaErr)
	require.Zero(t, schemaErr.Have)

	require.NoError(t, store.Migrate(t.Context(), url))
	require.Equal(t, want, schema(t, pool))
}

func TestCheckSchema(t *testing.T) {
	t.Parallel()
	newest := newestMigration(t)

	t.Run("accepts a newer schema", func(t *testing.T) {
		t.Parallel()
		pool := pgtest.New(t)
		_, err := pool.Exec(t.Context(), `INSERT INTO goose_db_version (version_id, is_applied) VALUES ($1, true)`, newest+1)
		require.NoError(t, err)
		require.NoError(t, store.CheckSchema(t.Context(), pool))
	})
	t.Run("refuses an older schema", func(t *testing.T) {
		t.Parallel()
		pool := pgtest.New(t)
		_, err := pool.Exec(t.Context(), `DELETE FROM goose_db_version WHERE version_id = $1`, newest)
		require.NoError(t, err)
		var schemaErr *store.SchemaError
		require.ErrorAs(t, store.CheckSchema(t.Context(), pool), &schemaErr)
		require.Equal(t, newest, schemaErr.Need)
		require.Less(t, schemaErr.Have, newest)
	})
	t.Run("does not take an outage for an old schema", func(t *testing.T) {
		t.Parallel()
		pool := pgtest.New(t)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		err := store.CheckSchema(ctx, pool)
		require.ErrorIs(t, err, context.Canceled)
		var schemaErr *store.SchemaError
		require.NotErrorAs(t, err, &schemaErr)
	})
}

// emptyDatabase is a database of this test's own that has no schema at all.
func emptyDatabase(t *testing.T) (string, *pgxpool.Pool) {
	t.Helper()
	url := pgtest.URL(t)
	pool, err := pgxpool.New(t.Context(), url)
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	_, err = pool.Exec(t.Context(), `DROP SCHEMA public CASCADE; CREATE SCHEMA public`)
	require.NoError(t, err)
	return url, pool
}

func newestMigration(t *testing.T) int64 {
	t.Helper()
	names, err := fs.Glob(migrations.FS, "*.sql")
	require.NoError(t, err)
	require.NotEmpty(t, names)
	version, err := goose.NumericComponent(slices.Max(names))
	require.NoError(t, err)
	return version
}

func newProvider(t *testing.T, db *sql.DB) *goose.Provider {
	t.Helper()
	provider, err := goose.NewProvider(goose.DialectPostgres, db, migrations.FS)
	require.NoError(t, err)
	return provider
}

func tables(t *testing.T, pool *pgxpool.Pool) []string {
	t.Helper()
	return query(t, pool, `SELECT tablename::text FROM pg_tables WHERE schemaname = 'public' ORDER BY 1`)
}

// schema describes columns, constraints and indexes, one line each, in a stable order.
func schema(t *testing.T, pool *pgxpool.Pool) []string {
	t.Helper()
	return query(t, pool, `
		SELECT format('%s.%s %s %s %s', table_name, column_name, data_type, is_nullable, column_default)
		  FROM information_schema.columns WHERE table_schema = 'public'
		UNION ALL SELECT format('%s %s %s', conrelid::regclass, conname, pg_get_constraintdef(oid))
		  FROM pg_constraint WHERE connamespace = 'public'::regnamespace
		UNION ALL SELECT indexdef FROM pg_indexes WHERE schemaname = 'public'
		ORDER BY 1`)
}

func query(t *testing.T, pool *pgxpool.Pool, statement string) []string {
	t.Helper()
	rows, err := pool.Query(t.Context(), statement)
	require.NoError(t, err)
	lines := []string{}
	for rows.Next() {
		var line string
		require.NoError(t, rows.Scan(&line))
		lines = append(lines, line)
	}
	require.NoError(t, rows.Err())
	return lines
}
