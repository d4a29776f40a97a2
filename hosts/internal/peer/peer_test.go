package peer_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"wafleet/hosts/internal/peer"
)

// hostID makes this test binary a host of that id, which tells its address and lives until it is killed.
const hostID = "PEER_TEST_HOST"

func TestMain(m *testing.M) {
	if id := os.Getenv(hostID); id != "" {
		server := peer.NewServer(id, "127.0.0.1:0")
		if err := server.Start(context.Background()); err != nil {
			os.Exit(1)
		}
		fmt.Println(server.Address()) //nolint:forbidigo // to the test
		ended := make(chan os.Signal, 1)
		signal.Notify(ended, syscall.SIGTERM)
		<-ended
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

const patience = 10 * time.Second

// process starts a host as a process of its own and returns its address.
func process(t *testing.T, id string) (*exec.Cmd, string) {
	t.Helper()
	cmd := exec.Command(os.Args[0]) //nolint:noctx // the test kills it
	cmd.Env = append(os.Environ(), hostID+"="+id)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	line := make([]byte, 64)
	n, err := out.Read(line)
	require.NoError(t, err)
	return cmd, strings.TrimSpace(string(line[:n]))
}

// watcher returns a started watcher and where it tells of deaths.
func watcher(t *testing.T) (*peer.Watcher, <-chan string) {
	t.Helper()
	died := make(chan string, 16)
	w := peer.NewWatcher(func(id string) { died <- id }, slog.New(slog.DiscardHandler))
	w.Watch(map[string]string{"early": "127.0.0.1:1"})
	require.NoError(t, w.Start(t.Context()))
	t.Cleanup(func() { require.NoError(t, w.Stop(context.Background())) })
	return w, died
}

// server starts a server in this process.
func server(t *testing.T, id string) (*peer.Server, string) {
	t.Helper()
	s := peer.NewServer(id, "127.0.0.1:0")
	require.NoError(t, s.Stop(t.Context()), "before its start")
	require.NoError(t, s.Start(t.Context()))
	t.Cleanup(func() { _ = s.Stop(context.Background()) })
	return s, s.Address().String()
}

func told(t *testing.T, died <-chan string, want string) {
	t.Helper()
	select {
	case got := <-died:
		require.Equal(t, want, got)
	case <-time.After(patience):
		require.Fail(t, "nobody died")
	}
}

// alive requires that nobody is told of a death for a while.
func alive(t *testing.T, died <-chan string) {
	t.Helper()
	select {
	case got := <-died:
		require.Fail(t, "taken for dead", got)
	case <-time.After(300 * time.Millisecond):
	}
}

func TestAKilledProcessIsNoticed(t *testing.T) {
	t.Parallel()
	cmd, address := process(t, "a")
	_, other := server(t, "b")
	w, died := watcher(t)
	w.Watch(map[string]string{"a": address, "b": other, "c": ""})
	alive(t, died)
	start := time.Now()
	require.NoError(t, cmd.Process.Kill())
	told(t, died, "a")
	require.Less(t, time.Since(start), 2*time.Second)
	w.Watch(map[string]string{"b": other})
	alive(t, died)
}

// A process that stands still is not dead: the kernel keeps its connections, and takes new ones for it.
func TestAStoppedProcessIsNotDead(t *testing.T) {
	t.Parallel()
	cmd, address := process(t, "a")
	w, died := watcher(t)
	w.Watch(map[string]string{"a": address})
	require.NoError(t, cmd.Process.Signal(syscall.SIGSTOP))
	alive(t, died)
	second, deaths := watcher(t)
	second.Watch(map[string]string{"a": address}) // which gets no greeting
	alive(t, deaths)
	require.NoError(t, cmd.Process.Signal(syscall.SIGCONT))
	alive(t, died)
}

func TestOneThatWasNeverThere(t *testing.T) {
	t.Parallel()
	s, address := server(t, "a")
	require.NoError(t, s.Stop(t.Context()))
	w, died := watcher(t)
	w.Watch(map[string]string{"a": address})
	told(t, died, "a")
	// And again, as long as somebody asks; the end of the first watch may not be noted yet.
	require.Eventually(t, func() bool {
		w.Watch(map[string]string{"a": address})
		select {
		case got := <-died:
			return got == "a"
		default:
			return false
		}
	}, patience, 10*time.Millisecond)
}

// Another process may have got the port.
func TestSomebodyElseAtTheAddress(t *testing.T) {
	t.Parallel()
	_, address := server(t, "another")
	w, died := watcher(t)
	w.Watch(map[string]string{"a": address})
	told(t, died, "a")
}

func TestOneThatHangsUpAtOnce(t *testing.T) {
	t.Parallel()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	accepted := make(chan error, 1)
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				accepted <- err
				return
			}
			_ = conn.Close()
		}
	}()
	w, died := watcher(t)
	w.Watch(map[string]string{"a": listener.Addr().String()})
	told(t, died, "a")
	require.NoError(t, listener.Close())
	require.ErrorIs(t, <-accepted, net.ErrClosed)
}

// One lost connection is no death when the next one is answered.
func TestALostConnectionIsReplaced(t *testing.T) {
	t.Parallel()
	_, behind := server(t, "a")
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	connected := make(chan net.Conn, 16)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			if _, err := fmt.Fprintln(conn, "a"); err != nil {
				return
			}
			connected <- conn
		}
	}()
	w, died := watcher(t)
	w.Watch(map[string]string{"a": listener.Addr().String()})
	for range 3 {
		require.NoError(t, (<-connected).Close())
	}
	last := <-connected
	alive(t, died)
	w.Watch(map[string]string{"a": behind}) // it has moved
	_, err = last.Read(make([]byte, 1))
	require.Error(t, err, "let go of")
	alive(t, died)
	require.NoError(t, listener.Close())
	<-ended
}

// What cannot be reached may be fine.
func TestAnAddressThatCannotBeReached(t *testing.T) {
	t.Parallel()
	w, died := watcher(t)
	w.Watch(map[string]string{"a": "no address"})
	alive(t, died)
	for _, err := range []error{nil, syscall.ETIMEDOUT, syscall.EHOSTUNREACH, syscall.ENETUNREACH, os.ErrDeadlineExceeded, net.ErrClosed} {
		require.False(t, peer.SaysAbsent(err), "%v", err)
	}
	for _, err := range []error{io.EOF, syscall.ECONNREFUSED, &net.OpError{Err: os.NewSyscallError("read", syscall.ECONNRESET)}} {
		require.True(t, peer.SaysAbsent(err), "%v", err)
	}
}

func TestAnAddressThatIsTaken(t *testing.T) {
	t.Parallel()
	_, address := server(t, "a")
	s := peer.NewServer("b", address)
	require.ErrorContains(t, s.Start(t.Context()), "listen for other hosts")
}

func TestStopTellsTheOthers(t *testing.T) {
	t.Parallel()
	s, address := server(t, "a")
	w, died := watcher(t)
	w.Watch(map[string]string{"a": address})
	alive(t, died)
	require.NoError(t, s.Stop(t.Context()))
	told(t, died, "a")
}
