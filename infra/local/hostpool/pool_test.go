package hostpool_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"wafleet/infra/local/hostpool"
)

// hostMode makes this test binary a host: "obedient" ends on SIGTERM, "deaf" does not, "sick" dies by itself.
const hostMode = "HOSTPOOL_TEST_HOST"

func TestMain(m *testing.M) {
	if mode := os.Getenv(hostMode); mode != "" {
		beHost(mode)
	}
	goleak.VerifyTestMain(m)
}

func beHost(mode string) {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM)
	_, _ = fmt.Fprintln(os.Stdout, os.Getenv("HOST_ID")) // tells the test that it can take signals now
	switch mode {
	case "obedient":
		<-signals
		os.Exit(0)
	case "deaf":
		<-make(chan struct{})
	default:
		os.Exit(1)
	}
}

// bundle is a pool whose hosts are this test binary.
type bundle struct {
	*hostpool.Pool
	dir   string
	ready *os.File    // a line with its id from each host
	gone  chan string // ids of hosts that were reported dead
}

func setup(t *testing.T, size int, mode string) *bundle {
	t.Helper()
	read, write, err := os.Pipe()
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, errors.Join(read.Close(), write.Close())) })
	b := &bundle{dir: filepath.Join(t.TempDir(), "hosts"), ready: read, gone: make(chan string, 100)}
	b.Pool = hostpool.New(hostpool.Config{
		Size: size,
		Dir:  b.dir,
		Command: func(hostID string) *exec.Cmd {
			cmd := exec.Command(os.Args[0]) //nolint:noctx // the pool ends it
			cmd.Env = append(os.Environ(), hostMode+"="+mode, "HOST_ID="+hostID)
			cmd.Stdout = write
			return cmd
		},
		Gone:    func(_ context.Context, hostID string) error { b.gone <- hostID; return nil },
		Backoff: &hostpool.Backoff{Base: 10 * time.Millisecond, Limit: 20 * time.Millisecond},
		Logger:  slog.New(slog.DiscardHandler),
	})
	return b
}

// start starts the pool and returns when all hosts take signals.
func (b *bundle) start(t *testing.T, size int) {
	t.Helper()
	require.NoError(t, b.Start(t.Context()))
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		_ = b.Stop(ctx)
	})
	for range size {
		b.awaitHost(t)
	}
}

// awaitHost waits for the next host that takes signals.
func (b *bundle) awaitHost(t *testing.T) {
	t.Helper()
	require.NoError(t, b.ready.SetReadDeadline(time.Now().Add(10*time.Second)))
	_, err := b.ready.Read(make([]byte, len("host-012345678901\n")))
	require.NoError(t, err)
}

// pids returns the process id of every host by its id.
func (b *bundle) pids(t *testing.T) map[string]int {
	t.Helper()
	pids := make(map[string]int)
	files, err := filepath.Glob(filepath.Join(b.dir, "*.pid"))
	require.NoError(t, err)
	for _, file := range files {
		content, err := os.ReadFile(file)
		require.NoError(t, err)
		pid, err := strconv.Atoi(strings.TrimSpace(string(content)))
		require.NoError(t, err)
		pids[strings.TrimSuffix(filepath.Base(file), ".pid")] = pid
	}
	return pids
}

func alive(pid int) bool { return syscall.Kill(pid, 0) == nil }

func TestHostsRunUntilTheyAreStopped(t *testing.T) {
	t.Parallel()
	b := setup(t, 3, "obedient")
	b.start(t, 3)
	pids := b.pids(t)
	require.Len(t, pids, 3)

	require.NoError(t, b.Stop(t.Context()))
	for id, pid := range pids {
		require.False(t, alive(pid), id)
	}
	require.Empty(t, b.pids(t))
	require.Empty(t, b.gone, "a host that was asked to stop did not die")
	require.NoError(t, b.Stop(t.Context()), "stopping twice")
}

func TestAKilledHostComesBackUnderAnotherID(t *testing.T) {
	t.Parallel()
	b := setup(t, 2, "obedient")
	b.start(t, 2)
	before := b.pids(t)
	var victim string
	for id := range before {
		victim = id
	}
	require.NoError(t, syscall.Kill(before[victim], syscall.SIGKILL))

	require.Equal(t, victim, <-b.gone)
	b.awaitHost(t)
	after := b.pids(t)
	require.Len(t, after, 2)
	require.NotContains(t, after, victim)
	delete(before, victim)
	for id, pid := range before {
		require.Equal(t, pid, after[id], "the other host goes on")
	}
}

func TestAHostThatKeepsDyingIsStartedAgainAndAgain(t *testing.T) {
	t.Parallel()
	b := setup(t, 1, "sick")
	require.NoError(t, b.Start(t.Context()))
	seen := make(map[string]bool)
	for range 5 {
		seen[<-b.gone] = true
	}
	require.Len(t, seen, 5, "each start has an id of its own")
	require.NoError(t, b.Stop(t.Context()))
	require.Empty(t, b.pids(t))
}

func TestADeafHostIsKilledAtTheDeadline(t *testing.T) {
	t.Parallel()
	b := setup(t, 2, "deaf")
	b.start(t, 2)
	pids := b.pids(t)

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	err := b.Stop(ctx)
	require.ErrorIs(t, err, context.Canceled)
	for id, pid := range pids {
		require.ErrorContains(t, err, id)
		require.False(t, alive(pid), id)
	}
}

func TestAProgramThatIsMissingFailsTheStart(t *testing.T) {
	t.Parallel()
	pool := hostpool.New(hostpool.Config{
		Size:    2,
		Dir:     t.TempDir(),
		Command: func(string) *exec.Cmd { return exec.Command("/nowhere/connhost") }, //nolint:noctx // never starts
		Logger:  slog.New(slog.DiscardHandler),
	})
	err := pool.Start(t.Context())
	require.ErrorIs(t, err, os.ErrNotExist)
	require.ErrorContains(t, err, "/nowhere/connhost")
}

func TestPidFilesOfAnEarlierRunAreRemoved(t *testing.T) {
	t.Parallel()
	b := setup(t, 1, "obedient")
	require.NoError(t, os.MkdirAll(b.dir, 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(b.dir, "host-old.pid"), []byte("1\n"), 0o600))
	b.start(t, 1)
	require.NotContains(t, b.pids(t), "host-old")
}

func TestStopBeforeStart(t *testing.T) {
	t.Parallel()
	require.NoError(t, setup(t, 1, "obedient").Stop(t.Context()))
}
