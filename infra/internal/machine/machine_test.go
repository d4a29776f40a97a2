package machine

import (
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestRSS(t *testing.T) {
	t.Parallel()
	rss, err := parseRSS("Name:\tx\nVmHWM:\t 9000 kB\nVmRSS:\t    2048 kB\nRssAnon:\t1 kB\n")
	require.NoError(t, err)
	require.EqualValues(t, 2<<20, rss)
	for _, broken := range []string{"", "VmRSS:", "VmRSS: 12", "VmRSS: 12 MB", "VmRSS: x kB"} {
		_, err := parseRSS(broken)
		require.ErrorIs(t, err, errFormat, broken)
	}
}

func TestStat(t *testing.T) {
	t.Parallel()
	got, err := parseStat("42 (a) b ) S 7 42 42 0 -1 4194560 1 2 3 4 10 20 30 40 20 0 8")
	require.NoError(t, err)
	require.Equal(t, stat{parent: 7, ticks: 100}, got)
	for _, broken := range []string{"", "42 (a S 7", "42 (a) S 7 42", "42 (a) S x 42 42 0 -1 4194560 1 2 3 4 10 20 30 40", "42 (a) S 7 42 42 0 -1 4194560 1 2 3 4 10 20 x 40"} {
		_, err := parseStat(broken)
		require.ErrorIs(t, err, errFormat, broken)
	}
}

func TestThisProcess(t *testing.T) {
	t.Parallel()
	onLinux(t)
	held := make([]byte, 32<<20)
	for i := range held {
		held[i] = 1
	}
	rss, err := RSS(os.Getpid())
	require.NoError(t, err)
	require.Greater(t, rss, int64(len(held)))
	runtime.KeepAlive(held)

	before, err := OwnCPU()
	require.NoError(t, err)
	for start := time.Now(); time.Since(start) < 50*time.Millisecond; {
		_ = strconv.Itoa(len(held))
	}
	after, err := OwnCPU()
	require.NoError(t, err)
	require.Greater(t, after, before)
}

func TestCPUCountsChildren(t *testing.T) {
	t.Parallel()
	onLinux(t)
	// A shell that waits for a child of its own, which has to be found as well.
	cmd := exec.CommandContext(t.Context(), "sh", "-c", "(while :; do :; done) & echo $!; wait")
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	line := make([]byte, 16)
	n, err := out.Read(line)
	require.NoError(t, err)
	child, err := strconv.Atoi(string(line[:n-1]))
	require.NoError(t, err)
	process, err := os.FindProcess(child)
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		used, err := CPU(cmd.Process.Pid)
		return err == nil && used >= 100*time.Millisecond
	}, 30*time.Second, 20*time.Millisecond)
	require.NoError(t, process.Kill())
	require.NoError(t, cmd.Wait())
}

func TestAProcessThatIsNotThere(t *testing.T) {
	t.Parallel()
	_, err := RSS(-1)
	require.ErrorIs(t, err, os.ErrNotExist)
	_, err = CPU(-1)
	require.ErrorIs(t, err, os.ErrNotExist)
}

func TestFsyncs(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	latencies, err := Fsyncs(folder, 5)
	require.NoError(t, err)
	require.Len(t, latencies, 5)
	for _, latency := range latencies {
		require.Positive(t, latency)
	}
	left, err := os.ReadDir(folder)
	require.NoError(t, err)
	require.Empty(t, left)

	_, err = Fsyncs(folder+"/none", 1)
	require.ErrorIs(t, err, os.ErrNotExist)
}

func TestOpenFiles(t *testing.T) {
	t.Parallel()
	require.NoError(t, RaiseOpenFiles(64))
	require.ErrorContains(t, RaiseOpenFiles(1<<60), "ulimit -Hn")
	// The limit reaches children, which the runtime's own raise does not.
	var soft, hard []byte
	soft, err := exec.CommandContext(t.Context(), "sh", "-c", "ulimit -Sn").Output()
	require.NoError(t, err)
	hard, err = exec.CommandContext(t.Context(), "sh", "-c", "ulimit -Hn").Output()
	require.NoError(t, err)
	require.Equal(t, string(hard), string(soft))
}

func TestDescribe(t *testing.T) {
	t.Parallel()
	info := Describe()
	require.Equal(t, runtime.NumCPU(), info.Cores)
	require.Equal(t, runtime.GOOS+"/"+runtime.GOARCH, info.System)
	require.NotEmpty(t, info.Go)
}

func onLinux(t *testing.T) {
	t.Helper()
	if runtime.GOOS != "linux" {
		t.Skip("needs /proc; run it on Linux")
	}
}
