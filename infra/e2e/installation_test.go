//go:build e2e

package e2e

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"wafleet/infra/local/devenv"
)

const (
	// builtWithin is how long make may take before it starts the process.
	builtWithin = 5 * time.Minute
	// readyWithin is how long a start may take after the build. A fresh database is part of it.
	readyWithin = 30 * time.Second
	// endsWithin is what running.md promises for the first signal.
	endsWithin = 30 * time.Second
	// orphansEndWithin is how long Postgres may take to notice that it is alone.
	orphansEndWithin = 10 * time.Second
	poll             = 50 * time.Millisecond
)

// Installation is one folder of data, and the process that runs on it.
type Installation struct {
	t         *testing.T
	data      string
	port      int
	wasimPort int
	extra     []string // further NAME=value for make, or for the environment of a program
	cmd       *exec.Cmd
	output    *transcript
	ended     chan struct{}
	endErr    error
}

// newInstallation chooses a folder and ports; nothing is started.
func newInstallation(t *testing.T, extra ...string) *Installation {
	t.Helper()
	return &Installation{t: t, data: filepath.Join(t.TempDir(), "data"), port: freePort(t), wasimPort: freePort(t), extra: extra}
}

// settings are what a start is told.
func (in *Installation) settings() []string {
	return append([]string{
		"PORT=" + strconv.Itoa(in.port), "WASIM_PORT=" + strconv.Itoa(in.wasimPort), "DATA=" + in.data,
	}, in.extra...)
}

// makeRun starts `make run` with an environment and returns at once.
func (in *Installation) makeRun(environ ...string) {
	in.t.Helper()
	_ = os.Remove(in.pidFile())                                                                       // a killed process has left it, and awaitReady looks for the new one
	cmd := exec.Command("make", append([]string{"--no-print-directory", "run"}, in.settings()...)...) //nolint:noctx // ended by the test
	cmd.Dir = root(in.t)
	cmd.Env = append(cleanEnviron(), environ...)
	in.start(cmd)
}

// start starts a command as the process of the installation. The test's end kills what is left of it.
func (in *Installation) start(cmd *exec.Cmd) {
	in.t.Helper()
	in.output = &transcript{}
	cmd.Stdout, cmd.Stderr = in.output, in.output
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Setpgid = true
	cmd.WaitDelay = 5 * time.Second
	require.NoError(in.t, cmd.Start())
	in.cmd, in.ended = cmd, make(chan struct{})
	ended := in.ended
	go func() {
		in.endErr = cmd.Wait()
		close(ended)
	}()
	in.t.Cleanup(func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // usually gone
		<-ended
		if in.t.Failed() {
			in.t.Logf("output of %s:\n%s", cmd, in.output)
		}
	})
}

// awaitReady waits until the API is healthy and returns what dev.env says.
func (in *Installation) awaitReady() devenv.File {
	in.t.Helper()
	running := func(yes func() bool) func() bool {
		return func() bool {
			select {
			case <-in.ended:
				in.t.Fatalf("ended before it was ready: %v", in.endErr)
			default:
			}
			return yes()
		}
	}
	in.await(builtWithin, "process", running(func() bool { _, err := os.Stat(in.pidFile()); return err == nil }))
	started := time.Now()
	in.await(readyWithin, "ready", running(in.healthy))
	in.t.Logf("ready %v after the start", time.Since(started).Round(time.Millisecond))
	// It asks itself whether it is, and a signal before it knows would interrupt a start.
	in.await(readyWithin, "greeting", running(func() bool { return strings.Contains(in.output.String(), "wafleet is ready") }))
	file, err := devenv.Read(filepath.Join(in.data, "dev.env"))
	require.NoError(in.t, err)
	return file
}

func (in *Installation) healthy() bool {
	ctx, cancel := context.WithTimeout(in.t.Context(), 2*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://127.0.0.1:"+strconv.Itoa(in.port)+"/api/whatsapp/health", nil)
	require.NoError(in.t, err)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return false
	}
	defer response.Body.Close()
	_, _ = io.Copy(io.Discard, response.Body)
	return response.StatusCode == http.StatusOK
}

// awaitEnd waits for the end of the process and returns its exit code.
func (in *Installation) awaitEnd(within time.Duration) int {
	in.t.Helper()
	select {
	case <-in.ended:
		return in.cmd.ProcessState.ExitCode()
	case <-time.After(within):
		in.t.Fatalf("did not end within %v", within)
		return -1
	}
}

// pid is the process itself, which with make is a child of the one that was started.
func (in *Installation) pid() int { return readPID(in.t, in.pidFile()) }

func (in *Installation) pidFile() string { return filepath.Join(in.data, "wafleet.pid") }

// postgres is the server of the installation.
func (in *Installation) postgres() int {
	return readPID(in.t, filepath.Join(in.data, "pg", "data", "postmaster.pid"))
}

// requireNothingLeft fails unless these processes end soon.
func (in *Installation) requireNothingLeft(pids ...int) {
	in.t.Helper()
	for _, pid := range pids {
		in.await(orphansEndWithin, "end of process "+strconv.Itoa(pid), func() bool { return !alive(pid) })
	}
}

// await asks until the answer is yes.
func (in *Installation) await(within time.Duration, what string, yes func() bool) {
	in.t.Helper()
	deadline := time.After(within)
	for !yes() {
		select {
		case <-deadline:
			in.t.Fatalf("no %s within %v", what, within)
		case <-time.After(poll):
		}
	}
}

func alive(pid int) bool {
	// A zombie is dead; only its parent has not looked yet.
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return syscall.Kill(pid, 0) == nil && !os.IsNotExist(err)
	}
	_, after, _ := bytes.Cut(stat, []byte(") "))
	return !bytes.HasPrefix(after, []byte("Z"))
}

func readPID(t *testing.T, path string) int {
	t.Helper()
	content, err := os.ReadFile(path)
	require.NoError(t, err)
	line, _, _ := strings.Cut(string(content), "\n")
	pid, err := strconv.Atoi(strings.TrimSpace(line))
	require.NoError(t, err)
	return pid
}

func freePort(t *testing.T) int {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	port := listener.Addr().(*net.TCPAddr).Port
	require.NoError(t, listener.Close())
	return port
}

// root is the repository.
func root(t *testing.T) string {
	t.Helper()
	dir, err := filepath.Abs(filepath.Join("..", ".."))
	require.NoError(t, err)
	return dir
}

// cleanEnviron is the environment without what the make that runs these tests has put into it, and without settings.
func cleanEnviron() []string {
	var environ []string
	for _, variable := range os.Environ() {
		switch name, _, _ := strings.Cut(variable, "="); name {
		case "MAKEFLAGS", "MFLAGS", "MAKELEVEL", "MAKEOVERRIDES", "DATABASE_URL", "REDIS_URL", "WAFLEET_ENV", "WHATSAPP",
			"WHATSAPP_ENDPOINT", "WHATSAPP_ROOT_CA", "WHATSAPP_NOISE_ROOT", "PORT", "WASIM_PORT", "DATA", "HOSTS", "SHARDS":
		default:
			environ = append(environ, variable)
		}
	}
	return environ
}

// transcript is what a process has written so far.
type transcript struct {
	mu   sync.Mutex // guards text
	text bytes.Buffer
}

func (s *transcript) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(p)
}

func (s *transcript) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}
