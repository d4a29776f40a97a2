package child_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"wafleet/infra/local/devpg/child"
)

// parentMode makes this test binary a parent that starts a child, tells its process id and waits to be killed.
const parentMode = "CHILD_TEST_PARENT"

func TestMain(m *testing.M) {
	if os.Getenv(parentMode) != "" {
		p, err := child.Start(exec.CommandContext(context.Background(), "sleep", "60"), syscall.SIGTERM)
		if err != nil {
			panic(err)
		}
		_, _ = fmt.Fprintln(os.Stdout, p.PID())
		<-p.Done()
		return
	}
	goleak.VerifyTestMain(m)
}

func TestExitStatus(t *testing.T) {
	t.Parallel()
	for code, script := range map[int]string{0: "exit 0", 3: "exit 3"} {
		p, err := child.Start(shell(t, script), syscall.SIGTERM)
		require.NoError(t, err)
		<-p.Done()
		var exit *exec.ExitError
		require.Equal(t, code != 0, errors.As(p.Err(), &exit))
		if code != 0 {
			require.Equal(t, code, exit.ExitCode())
		}
		require.NoError(t, p.Signal(syscall.SIGTERM), "a signal to one that has ended is no error")
		require.NoError(t, p.SignalGroup(syscall.SIGTERM))
		require.NoError(t, p.Stop(t.Context(), syscall.SIGTERM, syscall.SIGQUIT))
	}
}

func TestStartFails(t *testing.T) {
	t.Parallel()
	_, err := child.Start(exec.CommandContext(t.Context(), "/nonexistent/program"), syscall.SIGTERM)
	require.ErrorIs(t, err, os.ErrNotExist)
	require.ErrorContains(t, err, "/nonexistent/program")
}

func TestStopUsesAsMuchForceAsItTakes(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		script string
		err    string
		signal syscall.Signal
	}{
		"polite": {"echo ready; exec sleep 60", "", syscall.SIGTERM},
		"firm":   {"trap '' TERM; echo ready; while :; do sleep 0.05; done", "was sent quit", syscall.SIGQUIT},
		"kill":   {"trap '' TERM QUIT; echo ready; while :; do sleep 0.05; done", "was killed", syscall.SIGKILL},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := startReady(t, test.script)
			require.NoError(t, p.Err())
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			err := p.Stop(ctx, syscall.SIGTERM, syscall.SIGQUIT)
			if test.err == "" {
				require.NoError(t, err)
			} else {
				require.ErrorContains(t, err, test.err)
				require.ErrorIs(t, err, context.DeadlineExceeded)
			}
			var exit *exec.ExitError
			require.ErrorAs(t, p.Err(), &exit)
			require.Equal(t, test.signal, exit.Sys().(syscall.WaitStatus).Signal())
		})
	}
}

func TestSignalGroupReachesGrandchildren(t *testing.T) {
	t.Parallel()
	out, in, err := os.Pipe()
	require.NoError(t, err)
	defer func() { require.NoError(t, out.Close()) }()
	cmd := shell(t, "sleep 60 & echo $!; wait")
	cmd.Stdout = in
	p, err := child.Start(cmd, syscall.SIGKILL)
	require.NoError(t, err)
	require.NoError(t, in.Close())
	line, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(t, err)
	require.NoError(t, p.SignalGroup(syscall.SIGTERM))
	<-p.Done()
	_, err = io.ReadAll(out) // ends when the grandchild, which holds it open too, is gone
	require.NoError(t, err)
	awaitGone(t, atoi(t, line))
}

// Go ends a thread when its goroutine ends without unlocking it. Were the child tied to such a thread, it would get its
// signal now.
func TestChildOutlivesTheThreadThatAskedForIt(t *testing.T) {
	t.Parallel()
	started := make(chan *child.Process)
	go func() {
		runtime.LockOSThread()
		p, err := child.Start(exec.CommandContext(context.WithoutCancel(t.Context()), "sleep", "60"), syscall.SIGKILL)
		if err != nil {
			close(started)
			return
		}
		started <- p
	}()
	p := <-started
	require.NotNil(t, p)
	for range 20 { // threads come and go
		done := make(chan struct{})
		go func() {
			defer close(done)
			runtime.LockOSThread()
		}()
		<-done
	}
	select {
	case <-p.Done():
		t.Fatal("the child ended with the thread")
	case <-time.After(200 * time.Millisecond):
	}
	require.NoError(t, p.Stop(t.Context(), syscall.SIGTERM, syscall.SIGKILL))
}

func TestChildDiesWithItsParent(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Skip("only Linux can signal a program when its parent dies")
	}
	parent := exec.CommandContext(t.Context(), os.Args[0])
	parent.Env = append(os.Environ(), parentMode+"=1")
	out, err := parent.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, parent.Start())
	line, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(t, err)
	pid := atoi(t, line)
	require.NoError(t, syscall.Kill(pid, 0))

	require.NoError(t, parent.Process.Kill())
	require.Error(t, parent.Wait())
	awaitGone(t, pid)
}

// startReady starts a script that says "ready" when its traps are set.
func startReady(t *testing.T, script string) *child.Process {
	t.Helper()
	out, in, err := os.Pipe()
	require.NoError(t, err)
	cmd := shell(t, script)
	cmd.Stdout = in
	p, err := child.Start(cmd, syscall.SIGKILL)
	require.NoError(t, err)
	require.NoError(t, in.Close())
	_, err = bufio.NewReader(out).ReadString('\n')
	require.NoError(t, err)
	require.NoError(t, out.Close())
	return p
}

func shell(t *testing.T, script string) *exec.Cmd {
	t.Helper()
	return exec.CommandContext(context.WithoutCancel(t.Context()), "sh", "-c", script)
}

func awaitGone(t *testing.T, pid int) {
	t.Helper()
	require.Eventually(t, func() bool {
		if errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) {
			return true
		}
		// In a container nobody may be there to reap an orphan: it has ended all the same.
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		return err != nil || strings.Contains(string(stat), ") Z ")
	}, 10*time.Second, 10*time.Millisecond)
}

func atoi(t *testing.T, line string) int {
	t.Helper()
	n, err := strconv.Atoi(strings.TrimSpace(line))
	require.NoError(t, err)
	return n
}
