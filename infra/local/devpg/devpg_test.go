package devpg_test

import (
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"wafleet/infra/local/devpg"
)

func TestKeptDatabase(t *testing.T) {
	t.Parallel()
	opts := devpg.Options{DataDir: filepath.Join(openDir(t), "made", "on", "demand")}
	pg, err := devpg.Start(t.Context(), opts)
	require.NoError(t, err)
	execute(t, pg.URL(), "CREATE TABLE kept AS SELECT 42 AS n")
	for setting, want := range map[string]string{
		"fsync": "on", "synchronous_commit": "on", "full_page_writes": "on", "password_encryption": "scram-sha-256",
		"listen_addresses": "127.0.0.1", "unix_socket_directories": "", "max_connections": "200",
		"shared_buffers": "128MB", "server_encoding": "UTF8",
	} {
		require.Equal(t, want, ask(t, pg.URL(), "SELECT current_setting('"+setting+"')"), setting)
	}
	require.Equal(t, "wafleet", ask(t, pg.URL(), "SELECT current_database()::text"))

	url := pg.URL()
	require.NoError(t, pg.Stop(t.Context()))
	<-pg.Done()
	require.NoError(t, pg.Err(), "being stopped is no failure")
	require.NoError(t, pg.Stop(t.Context()), "stopping twice is no failure")

	again := start(t, opts)
	require.Equal(t, url, again.URL(), "password and port are kept")
	require.Equal(t, "42", ask(t, again.URL(), "SELECT n::text FROM kept"))
}

func TestPassword(t *testing.T) {
	t.Parallel()
	dir := openDir(t)
	pg := start(t, devpg.Options{DataDir: dir})
	for _, wrong := range []string{"", "wrong"} {
		config, err := pgx.ParseConfig(pg.URL())
		require.NoError(t, err)
		require.Len(t, config.Password, 26)
		config.Password = wrong
		_, err = pgx.ConnectConfig(t.Context(), config)
		require.Error(t, err)
	}
	info, err := os.Stat(filepath.Join(dir, "pg", "password"))
	require.NoError(t, err)
	require.Equal(t, fs.FileMode(0o600), info.Mode().Perm())

	require.NoError(t, pg.Stop(t.Context()))
	require.NoError(t, os.Remove(filepath.Join(dir, "pg", "password")))
	_, err = devpg.Start(t.Context(), devpg.Options{DataDir: dir})
	require.ErrorContains(t, err, "password is gone")
}

func TestLogHoldsNoRows(t *testing.T) {
	t.Parallel()
	dir := openDir(t)
	pg := start(t, devpg.Options{DataDir: dir})
	execute(t, pg.URL(), "CREATE TABLE people (phone text UNIQUE)")
	execute(t, pg.URL(), "INSERT INTO people VALUES ('79001234567')")
	conn := connect(t, pg.URL())
	_, err := conn.Exec(t.Context(), "INSERT INTO people VALUES ('79001234567')")
	require.ErrorContains(t, err, "duplicate key")
	require.NoError(t, conn.Close(t.Context()))
	log, err := os.ReadFile(filepath.Join(dir, "pg", "postgres.log"))
	require.NoError(t, err)
	require.Contains(t, string(log), "duplicate key")
	require.NotContains(t, string(log), "79001234567")
}

func TestEphemeralDatabase(t *testing.T) {
	t.Parallel()
	pg, err := devpg.Start(t.Context(), devpg.Options{Ephemeral: true})
	require.NoError(t, err)
	require.Equal(t, "off", ask(t, pg.URL(), "SHOW fsync"))
	data := ask(t, pg.URL(), "SHOW data_directory")
	require.DirExists(t, data)
	require.NoError(t, pg.Stop(t.Context()))
	require.NoDirExists(t, filepath.Dir(data))
	require.NoError(t, pg.Stop(t.Context()))
}

func TestConcurrentStartIsRefused(t *testing.T) {
	t.Parallel()
	opts := devpg.Options{DataDir: openDir(t)}
	pg := start(t, opts)
	_, err := devpg.Start(t.Context(), opts)
	require.ErrorIs(t, err, devpg.ErrInUse)
	require.ErrorContains(t, err, "process ")
	require.Equal(t, "1", ask(t, pg.URL(), "SELECT '1'"), "the first one is not disturbed")
}

func TestServerThatEndsByItself(t *testing.T) {
	t.Parallel()
	opts := devpg.Options{DataDir: openDir(t)}
	pg, err := devpg.Start(t.Context(), opts)
	require.NoError(t, err)
	require.NoError(t, pg.Err())
	execute(t, pg.URL(), "CREATE TABLE kept AS SELECT 42 AS n")
	require.NoError(t, syscall.Kill(pg.PID(), syscall.SIGKILL))
	<-pg.Done()
	require.ErrorContains(t, pg.Err(), "postgres has ended")
	require.ErrorContains(t, pg.Err(), "postgres.log")
	require.NoError(t, pg.Stop(t.Context()))

	again := start(t, opts)
	require.Equal(t, "42", ask(t, again.URL(), "SELECT n::text FROM kept"))
}

func TestStopDoesNotWaitForClientsOrForEver(t *testing.T) {
	t.Parallel()
	opts := devpg.Options{DataDir: openDir(t)}
	pg, err := devpg.Start(t.Context(), opts)
	require.NoError(t, err)
	conn := connect(t, pg.URL())
	_, err = conn.Exec(t.Context(), "CREATE TABLE kept AS SELECT 42 AS n")
	require.NoError(t, err)
	_, err = conn.Exec(t.Context(), "BEGIN; LOCK kept")
	require.NoError(t, err)

	ctx, cancel := context.WithCancel(t.Context())
	cancel() // the caller has no time left: the server must be gone all the same
	if err := pg.Stop(ctx); err != nil {
		require.ErrorContains(t, err, "stop postgres")
	}
	<-pg.Done()
	_ = conn.Close(t.Context()) // the server is gone
	require.Equal(t, "42", ask(t, start(t, opts).URL(), "SELECT n::text FROM kept"))
}

func TestStartErrors(t *testing.T) {
	t.Parallel()
	t.Run("no folder given", func(t *testing.T) {
		t.Parallel()
		_, err := devpg.Start(t.Context(), devpg.Options{})
		require.ErrorContains(t, err, "no data folder")
	})
	t.Run("folder cannot be made", func(t *testing.T) {
		t.Parallel()
		file := filepath.Join(openDir(t), "file")
		require.NoError(t, os.WriteFile(file, nil, 0o600))
		_, err := devpg.Start(t.Context(), devpg.Options{DataDir: filepath.Join(file, "data")})
		require.ErrorContains(t, err, "make data folder")
	})
	t.Run("given up", func(t *testing.T) {
		t.Parallel()
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		dir := openDir(t)
		_, err := devpg.Start(ctx, devpg.Options{DataDir: dir})
		require.ErrorIs(t, err, context.Canceled)
		start(t, devpg.Options{DataDir: dir}) // nothing is left that would be in the way
	})
	t.Run("database of a version that nobody has", func(t *testing.T) {
		t.Parallel()
		dir := openDir(t)
		data := filepath.Join(dir, "pg", "data")
		require.NoError(t, os.MkdirAll(data, 0o755))
		require.NoError(t, os.WriteFile(filepath.Join(data, "PG_VERSION"), []byte("14\n"), 0o600))
		_, err := devpg.Start(t.Context(), devpg.Options{DataDir: dir})
		require.ErrorContains(t, err, "PostgreSQL 14, which the kept database was made with")
		require.NotContains(t, err.Error(), "\n", "one clear line")
	})
}

func TestPortInUseIsAvoided(t *testing.T) {
	t.Parallel()
	first := start(t, devpg.Options{DataDir: openDir(t)})
	dir := openDir(t)
	require.NoError(t, os.Mkdir(filepath.Join(dir, "pg"), 0o755))
	config, err := pgx.ParseConfig(first.URL())
	require.NoError(t, err)
	taken := strconv.Itoa(int(config.Port))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "pg", "port"), []byte(taken), 0o600))
	second := start(t, devpg.Options{DataDir: dir})
	require.NotContains(t, second.URL(), ":"+taken+"/")
	require.Equal(t, "1", ask(t, second.URL(), "SELECT '1'"))
}

func TestStartIsFast(t *testing.T) {
	t.Parallel()
	began := time.Now()
	start(t, devpg.Options{Ephemeral: true})
	require.Less(t, time.Since(began), 20*time.Second)
}
