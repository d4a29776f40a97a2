package main

import (
	"bytes"
	"context"
	"io"
	"net/url"
	"os"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"wafleet/shared/store"
)

// emptyDatabase makes a database without a schema, which package pgtest has none of.
func emptyDatabase(t *testing.T) string {
	t.Helper()
	server := os.Getenv("TEST_DATABASE_URL")
	if server == "" {
		t.Skip("TEST_DATABASE_URL is not set: run `make test`")
	}
	admin, err := pgx.Connect(t.Context(), server)
	require.NoError(t, err)
	name := "migrate_" + uuid.NewString()[:8]
	_, err = admin.Exec(t.Context(), `CREATE DATABASE `+name)
	require.NoError(t, err)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), 30*time.Second)
		defer cancel()
		_, err := admin.Exec(ctx, `DROP DATABASE `+name+` WITH (FORCE)`)
		require.NoError(t, err)
		require.NoError(t, admin.Close(ctx))
	})
	u, err := url.Parse(server)
	require.NoError(t, err)
	u.Path = "/" + name
	return u.String()
}

func TestAnEmptyDatabaseIsMigrated(t *testing.T) {
	t.Parallel()
	database := emptyDatabase(t)
	pool, err := pgxpool.New(t.Context(), database)
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	require.Error(t, store.CheckSchema(t.Context(), pool), "nothing is there")
	for range 2 { // a rollout that is repeated finds nothing to do
		require.Zero(t, run(t.Context(), []string{"DATABASE_URL=" + database}, io.Discard))
		require.NoError(t, store.CheckSchema(t.Context(), pool))
	}
}

// What is wrong is said, without the password, and the exit code stops the rollout.
func TestWhatCannotBeMigrated(t *testing.T) {
	t.Parallel()
	for name, environ := range map[string][]string{
		"no setting":    nil,
		"an empty one":  {"DATABASE_URL="},
		"no url":        {"DATABASE_URL=::"},
		"no port":       {"DATABASE_URL=postgres://u:secret@127.0.0.1:port/x"},
		"nobody there":  {"DATABASE_URL=postgres://u:secret@127.0.0.1:1/x?connect_timeout=1"},
		"not this kind": {"DATABASE_URL=mysql://u:secret@127.0.0.1:1/x"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var said bytes.Buffer
			require.Equal(t, 1, run(t.Context(), environ, &said))
			require.Contains(t, said.String(), "migrate: ")
			require.NotContains(t, said.String(), "secret")
		})
	}
}
