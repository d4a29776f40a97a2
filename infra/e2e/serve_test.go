//go:build e2e

package e2e

import (
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"wafleet/infra/local/devenv"
)

// nobody is a user that every system has and that owns nothing.
const nobody = 65534

// program returns the path of a program, copied to where every user can run it.
func program(t *testing.T, dir, name string) string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(root(t), "bin", name))
	require.NoError(t, err)
	target := filepath.Join(dir, name)
	require.NoError(t, os.WriteFile(target, content, 0o755))
	return target
}

func TestAnOrdinaryUser(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can become another user; the other tests run as an ordinary one here")
	}
	dir, err := os.MkdirTemp("", "wafleet-e2e-") //nolint:usetesting // others cannot pass through a TempDir
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
	require.NoError(t, os.Chmod(dir, 0o755))
	require.NoError(t, os.Mkdir(filepath.Join(dir, "home"), 0o755))
	require.NoError(t, os.Chown(filepath.Join(dir, "home"), nobody, nobody))

	in := newInstallation(t)
	in.data = filepath.Join(dir, "home", "data")
	cmd := exec.Command(program(t, dir, "wafleet"), "serve") //nolint:noctx // ended by the test
	cmd.Dir = filepath.Join(dir, "home")
	cmd.Env = append(cleanEnviron(), in.settings()...)
	cmd.Env = append(cmd.Env, "WAFLEET_ENV=dev", "HOME="+cmd.Dir, "TMPDIR=")
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	in.start(cmd)
	c := newClient(t, in.awaitReady())
	c.link("acme", shop)
	var stat syscall.Stat_t
	require.NoError(t, syscall.Stat("/proc/"+strconv.Itoa(in.postgres()), &stat))
	require.Equal(t, uint32(nobody), stat.Uid, "Postgres runs as the same user")

	require.NoError(t, syscall.Kill(in.pid(), syscall.SIGTERM))
	require.Zero(t, in.awaitEnd(endsWithin))
}

func TestAnotherSimulatorIsUsed(t *testing.T) {
	dir := t.TempDir()
	control := "127.0.0.1:" + strconv.Itoa(freePort(t))
	simulator := newInstallation(t)
	cmd := exec.Command(filepath.Join(root(t), "bin", "wasim"), "-listen", "127.0.0.1:0", "-control", control, "-data", dir) //nolint:noctx // ended by the test
	simulator.start(cmd)
	var trust struct{ NoiseRoot, CAPEM, Endpoint string }
	simulator.await(readyWithin, "simulator", func() bool {
		response, err := http.Get("http://" + control + "/root") //nolint:noctx // the process is on this machine
		if err != nil {
			return false
		}
		defer response.Body.Close()
		return json.NewDecoder(response.Body).Decode(&trust) == nil
	})
	rootCA := filepath.Join(dir, "root.pem")
	require.NoError(t, os.WriteFile(rootCA, []byte(trust.CAPEM), 0o600))

	in := newInstallation(t)
	environ := []string{"WHATSAPP_ENDPOINT=" + trust.Endpoint, "WHATSAPP_ROOT_CA=" + rootCA, "WHATSAPP_NOISE_ROOT=" + trust.NoiseRoot}
	for range 2 { // the second start has its own dev.env, which must not hide what is given again
		in.makeRun(environ...)
		file := in.awaitReady()
		require.Empty(t, file.Get("WASIM_URL"))
		require.Equal(t, trust.Endpoint, file.Get("WHATSAPP_ENDPOINT"))
		require.Equal(t, rootCA, file.Get("WHATSAPP_ROOT_CA"))
		require.NoError(t, syscall.Kill(in.pid(), syscall.SIGTERM))
		in.awaitEnd(endsWithin)
	}
	in.makeRun(environ...)
	c := newClient(t, in.awaitReady())
	c.wasim = "http://" + control
	c.link("acme", shop)
}

func TestProductionHasNoDevEnv(t *testing.T) {
	in := newInstallation(t)
	cmd := exec.Command(filepath.Join(root(t), "bin", "wafleet"), "serve") //nolint:noctx // ended by the test
	cmd.Env = append(cleanEnviron(), in.settings()...)
	in.start(cmd)
	in.await(readyWithin, "health", in.healthy)

	require.NoFileExists(t, filepath.Join(in.data, "dev.env"))
	key, err := os.ReadFile(filepath.Join(in.data, "admin.key"))
	require.NoError(t, err)
	c := newClient(t, devenv.File{
		{Name: "WAFLEET_URL", Value: "http://127.0.0.1:" + strconv.Itoa(in.port)},
		{Name: "WAFLEET_API_KEY", Value: strings.TrimSpace(string(key))},
	})
	c.api(http.MethodPost, "/companies", object{"companyId": "acme"})
	require.NotContains(t, in.output.String(), strings.TrimSpace(string(key)))
	for line := range strings.Lines(in.output.String()) {
		if strings.HasPrefix(line, "{") {
			require.True(t, json.Valid([]byte(line)), "machines read the logs of production: %s", line)
		}
	}
	require.NoError(t, syscall.Kill(in.pid(), syscall.SIGINT))
	require.Zero(t, in.awaitEnd(endsWithin))
}

func TestASignalDuringTheStartLeavesNothing(t *testing.T) {
	for _, after := range []time.Duration{0, 100 * time.Millisecond, 400 * time.Millisecond, time.Second} {
		in := newInstallation(t)
		cmd := exec.Command(filepath.Join(root(t), "bin", "wafleet"), "serve") //nolint:noctx // ended by the test
		cmd.Env = append(append(cleanEnviron(), "WAFLEET_ENV=dev"), in.settings()...)
		in.start(cmd)
		in.await(readyWithin, "process", func() bool {
			_, err := os.Stat(filepath.Join(in.data, "wafleet.pid"))
			return err == nil
		})
		<-time.After(after)
		require.NoError(t, cmd.Process.Signal(syscall.SIGTERM))
		in.awaitEnd(endsWithin)
		require.NoFileExists(t, filepath.Join(in.data, "wafleet.pid"))
		require.NoFileExists(t, filepath.Join(in.data, "pg", "data", "postmaster.pid"), "Postgres has ended in order")
	}
}
