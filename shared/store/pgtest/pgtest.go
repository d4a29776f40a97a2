package pgtest

import (
	"context"
	"net/url"
	"os"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"
)

const (
	// defaultMaxConns is small because many tests share one server: enough to race on, too few to starve the others.
	defaultMaxConns = 4
	// setupTimeout bounds the wait for another test binary that builds the template, and the copy.
	setupTimeout = 2 * time.Minute
	// closeTimeout bounds the wait for connections that a test has not given back.
	closeTimeout = 10 * time.Second
)

// Option changes what New gives.
type Option func(*pgxpool.Config)

// MaxConns sets how many connections the pool may open, instead of 4.
func MaxConns(n int32) Option {
	return func(c *pgxpool.Config) { c.MaxConns = n }
}

// Configure changes the pool's configuration before it connects, for example to trace queries or to set the query
// execution mode.
func Configure(change func(*pgxpool.Config)) Option { return change }

// New returns a pool on a migrated, empty database that belongs to this test alone. Pool and database are gone when the
// test and its subtests have ended; a connection that is not given back by then fails the test. Without a server the
// test is skipped, or fails where REQUIRE_ALL=1.
func New(tb testing.TB, opts ...Option) *pgxpool.Pool {
	tb.Helper()
	config, err := pgxpool.ParseConfig(URL(tb))
	require.NoError(tb, err, "parse url of the test database")
	config.MaxConns = defaultMaxConns
	for _, opt := range opts {
		opt(config)
	}
	pool, err := pgxpool.NewWithConfig(context.WithoutCancel(tb.Context()), config)
	require.NoError(tb, err, "open pool on the test database")
	tb.Cleanup(func() { closePool(tb, pool) })
	return pool
}

// URL is New for code that connects by itself: it returns the connection URL of the test's own database.
func URL(tb testing.TB) string {
	tb.Helper()
	server := serverURL(tb)
	ctx, cancel := context.WithTimeout(tb.Context(), setupTimeout)
	defer cancel()
	name, err := clone(ctx, server)
	require.NoError(tb, err, "create the test database")
	tb.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(tb.Context()), setupTimeout)
		defer cancel()
		if err := drop(ctx, server, name); err != nil {
			tb.Errorf("drop the test database: %v", err)
		}
	})
	return withDatabase(server, name).String()
}

// serverURL reads where tests find their server. The package is compiled into tests only, which have no main that could
// hand the value in.
func serverURL(tb testing.TB) *url.URL {
	tb.Helper()
	value := os.Getenv("TEST_DATABASE_URL")
	if value == "" {
		const reason = "TEST_DATABASE_URL is not set: run `make test`, which starts a Postgres for the tests"
		if os.Getenv("REQUIRE_ALL") == "1" {
			tb.Fatal(reason)
		}
		tb.Skip(reason)
	}
	server, err := url.Parse(value)
	require.NoError(tb, err, "parse TEST_DATABASE_URL")
	require.Contains(tb, []string{"postgres", "postgresql"}, server.Scheme, "TEST_DATABASE_URL has to be a postgres:// URL")
	return server
}

// withDatabase is the URL of another database on the same server.
func withDatabase(server *url.URL, name string) *url.URL {
	u := *server
	u.Path, u.RawPath = "/"+name, ""
	return &u
}

// closePool waits for the pool's connections with a deadline, because a connection that a test forgot to release would
// otherwise hang the whole test binary without saying which test it was.
func closePool(tb testing.TB, pool *pgxpool.Pool) {
	tb.Helper()
	closed := make(chan struct{})
	go func() {
		defer close(closed)
		pool.Close()
	}()
	select {
	case <-closed:
	case <-time.After(closeTimeout):
		tb.Errorf("%d connections of the test database were not released", pool.Stat().AcquiredConns())
	}
}
