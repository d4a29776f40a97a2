package cli_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"wafleet/infra/cli"
	"wafleet/shared/store/pgtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// run runs the command and returns its exit code and what it wrote.
func run(t *testing.T, environ []string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	dir := t.TempDir()
	files := [2]*os.File{}
	for i, name := range []string{"out", "err"} {
		file, err := os.Create(filepath.Join(dir, name))
		require.NoError(t, err)
		files[i] = file
	}
	code = cli.Run(t.Context(), args, cli.Process{Environ: environ, Stdout: files[0], Stderr: files[1], Version: "v1.2.3"})
	texts := [2]string{}
	for i, file := range files {
		require.NoError(t, file.Close())
		content, err := os.ReadFile(file.Name())
		require.NoError(t, err)
		texts[i] = string(content)
	}
	return code, texts[0], texts[1]
}

func TestHelpAndVersion(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{nil, {"--help"}, {"help"}} {
		code, stdout, stderr := run(t, nil, args...)
		require.Zero(t, code)
		require.Contains(t, stdout, "serve")
		require.Contains(t, stdout, "migrate")
		require.Empty(t, stderr)
	}
	_, stdout, _ := run(t, nil, "--version")
	require.Contains(t, stdout, "v1.2.3")
}

func TestWrongUsage(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{
		{"sreve"}, {"serve", "now"}, {"serve", "--port=1"}, {"--nonsense"}, {"migrate"}, {"migrate", "up"},
	} {
		code, _, stderr := run(t, []string{"DATA=" + t.TempDir()}, args...)
		require.Equal(t, 2, code, args)
		require.Equal(t, 1, strings.Count(stderr, "\n"), "one line: %s", stderr)
		require.True(t, strings.HasPrefix(stderr, "wafleet: "), stderr)
	}
	code, _, stderr := run(t, []string{"PORT=http", "DATA=" + t.TempDir()}, "serve")
	require.Equal(t, 2, code)
	require.Contains(t, stderr, "PORT must be a whole number")
}

func TestServeThatCannotStart(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	code, stdout, stderr := run(t, []string{"DATA=" + file, "WAFLEET_ENV=dev"}, "serve")
	require.Equal(t, 1, code)
	require.Empty(t, stdout)
	require.Equal(t, 1, strings.Count(stderr, "\n"), "one line: %s", stderr)
}

func TestMigrate(t *testing.T) {
	t.Parallel()
	url := pgtest.URL(t)
	code, stdout, _ := run(t, []string{"DATABASE_URL=" + url}, "migrate")
	require.Zero(t, code)
	require.Contains(t, stdout, "up to date")

	code, _, stderr := run(t, []string{"DATABASE_URL=postgres://127.0.0.1:1/x?connect_timeout=1"}, "migrate")
	require.Equal(t, 1, code)
	require.Contains(t, stderr, "migrate")
}
