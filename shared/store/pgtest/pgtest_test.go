package pgtest_test

import (
	"context"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"wafleet/shared/store"
	"wafleet/shared/store/pgtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestNewIsMigrated(t *testing.T) {
	t.Parallel()
	require.NoError(t, store.CheckSchema(t.Context(), pgtest.New(t)))
}

func TestNewGivesEachTestItsOwnDatabase(t *testing.T) {
	t.Parallel()
	first, second := pgtest.New(t), pgtest.New(t)

	_, err := first.Exec(t.Context(), "CREATE TABLE mine (id int)")
	require.NoError(t, err)
	require.True(t, hasTable(t, first, "mine"))
	require.False(t, hasTable(t, second, "mine"))
	require.False(t, hasTable(t, pgtest.New(t), "mine"), "the template must not be changed by a test")
}

func TestNewInParallel(t *testing.T) {
	t.Parallel()
	for i := range 8 {
		t.Run(strconv.Itoa(i), func(t *testing.T) {
			t.Parallel()
			require.NoError(t, pgtest.New(t).Ping(t.Context()))
		})
	}
}

func TestDatabaseIsDroppedUnderAnOpenConnection(t *testing.T) {
	t.Parallel()
	var name string
	t.Run("owner", func(t *testing.T) {
		conn, err := pgx.Connect(t.Context(), pgtest.URL(t))
		require.NoError(t, err)
		name = conn.Config().Database
		require.True(t, databaseExists(t, name))
		t.Cleanup(func() { // runs before the drop that URL registered: the server side of it is still there
			require.NoError(t, conn.PgConn().Conn().Close())
		})
	})
	require.False(t, databaseExists(t, name))
}

func TestOptions(t *testing.T) {
	t.Parallel()
	require.EqualValues(t, 4, pgtest.New(t).Config().MaxConns)
	require.EqualValues(t, 7, pgtest.New(t, pgtest.MaxConns(7)).Config().MaxConns)

	pool := pgtest.New(t, pgtest.Configure(func(c *pgxpool.Config) {
		c.ConnConfig.RuntimeParams["application_name"] = "configured"
	}))
	var name string
	require.NoError(t, pool.QueryRow(t.Context(), "SHOW application_name").Scan(&name))
	require.Equal(t, "configured", name)
}

func TestWithoutServer(t *testing.T) {
	t.Parallel()
	t.Run("skips", func(t *testing.T) {
		t.Parallel()
		out, err := child(t.Context(), "TEST_DATABASE_URL=", "DATABASE_URL=postgres://127.0.0.1:1/kept", "REQUIRE_ALL=").CombinedOutput()
		require.NoError(t, err)
		require.Contains(t, string(out), "--- SKIP: TestNewIsMigrated")
		require.Contains(t, string(out), "make test")
	})
	t.Run("fails where everything is required", func(t *testing.T) {
		t.Parallel()
		out, err := child(t.Context(), "TEST_DATABASE_URL=", "REQUIRE_ALL=1").CombinedOutput()
		require.Error(t, err)
		require.Contains(t, string(out), "--- FAIL: TestNewIsMigrated")
		require.Contains(t, string(out), "make test")
	})
	t.Run("fails when it does not answer", func(t *testing.T) {
		t.Parallel()
		out, err := child(t.Context(), "TEST_DATABASE_URL=postgres://nobody@127.0.0.1:1/none").CombinedOutput()
		require.Error(t, err)
		require.Contains(t, string(out), "connect to the test server")
	})
	t.Run("fails on what is no url", func(t *testing.T) {
		t.Parallel()
		out, err := child(t.Context(), "TEST_DATABASE_URL=host=localhost").CombinedOutput()
		require.Error(t, err)
		require.Contains(t, string(out), "postgres:// URL")
	})
}

// child runs TestNewIsMigrated in a process of its own, whose environment can be another one.
func child(ctx context.Context, env ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, os.Args[0], "-test.run=^TestNewIsMigrated$", "-test.v")
	cmd.Env = append(os.Environ(), env...)
	return cmd
}

func hasTable(t *testing.T, pool *pgxpool.Pool, name string) bool {
	t.Helper()
	var exists bool
	require.NoError(t, pool.QueryRow(t.Context(), "SELECT to_regclass($1) IS NOT NULL", name).Scan(&exists))
	return exists
}

func databaseExists(t *testing.T, name string) bool {
	t.Helper()
	require.True(t, strings.HasPrefix(name, "wafleet_test_"), name)
	var exists bool
	require.NoError(t, pgtest.New(t).QueryRow(t.Context(), "SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)", name).Scan(&exists))
	return exists
}
