package devpg_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"wafleet/infra/local/devpg"
)

// parentMode makes this test binary run a server like a main would: it holds the data folder, or "ephemeral". It writes
// process id and URL to standard output and runs until it is killed, or stops the server on SIGTERM.
const parentMode = "DEVPG_TEST_PARENT"

func TestMain(m *testing.M) {
	if mode := os.Getenv(parentMode); mode != "" {
		if err := runParent(mode); err != nil {
			_, _ = fmt.Fprintln(os.Stdout, "error:", err)
			os.Exit(1)
		}
		return
	}
	goleak.VerifyTestMain(m)
}

func runParent(mode string) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	opts := devpg.Options{DataDir: mode}
	if mode == "ephemeral" {
		opts = devpg.Options{Ephemeral: true}
	}
	pg, err := devpg.Start(ctx, opts)
	if err != nil {
		return err
	}
	_, _ = fmt.Fprintln(os.Stdout, pg.PID(), pg.URL())
	<-ctx.Done()
	return pg.Stop(context.Background())
}

// parent is a process in parentMode.
type parent struct {
	cmd    *exec.Cmd
	pid    int // of the server
	url    string
	output string // the first line
}

func startParent(t *testing.T, cmd *exec.Cmd, mode string) *parent {
	t.Helper()
	cmd.Env = append(cmd.Environ(), parentMode+"="+mode)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	buffer := make([]byte, 4096)
	n, _ := out.Read(buffer) // one write, one line
	p := &parent{cmd: cmd, output: string(buffer[:n])}
	if pid, url, found := strings.Cut(strings.TrimSpace(p.output), " "); found && !strings.HasPrefix(p.output, "error") {
		p.pid, err = strconv.Atoi(pid)
		require.NoError(t, err)
		p.url = url
	}
	return p
}

func thisBinary(t *testing.T) *exec.Cmd {
	t.Helper()
	return exec.CommandContext(context.WithoutCancel(t.Context()), os.Args[0])
}

func (p *parent) kill(t *testing.T) {
	t.Helper()
	require.NoError(t, p.cmd.Process.Kill())
	require.Error(t, p.cmd.Wait())
}

// start runs a server that is stopped when the test ends.
func start(t *testing.T, opts devpg.Options) *devpg.Server {
	t.Helper()
	pg, err := devpg.Start(t.Context(), opts)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, pg.Stop(context.WithoutCancel(t.Context()))) })
	return pg
}

// openDir is a temporary folder that the server's account can reach; t.TempDir is closed to it when root runs the tests.
func openDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "devpg-test-") //nolint:usetesting // see above
	require.NoError(t, err)
	dir, err = filepath.EvalSymlinks(dir)
	require.NoError(t, err)
	require.NoError(t, os.Chmod(dir, 0o755))
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
	return dir
}

func execute(t *testing.T, url, statement string, args ...any) {
	t.Helper()
	conn := connect(t, url)
	_, err := conn.Exec(t.Context(), statement, args...)
	require.NoError(t, err)
	require.NoError(t, conn.Close(t.Context()))
}

// ask returns the only value of a query's only row, as text.
func ask(t *testing.T, url, query string) string {
	t.Helper()
	conn := connect(t, url)
	var value string
	require.NoError(t, conn.QueryRow(t.Context(), query).Scan(&value))
	require.NoError(t, conn.Close(t.Context()))
	return value
}

func connect(t *testing.T, url string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	require.NoError(t, err)
	return conn
}

func requireRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root runs the server as somebody else")
	}
}
