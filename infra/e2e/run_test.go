//go:build e2e

package e2e

import (
	"net"
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
)

// shop and customer are numbers of simulated phones.
const shop, customer = "79001110001", "79001110002"

func TestThePrintedTourWorksAsPasted(t *testing.T) {
	in := newInstallation(t)
	in.makeRun()
	file := in.awaitReady()
	const before, end = "line by line:\n\n", "; done\n"
	in.await(readyWithin, "greeting", func() bool { return strings.Contains(in.output.String(), end) })

	_, tour, ok := strings.Cut(in.output.String(), before)
	require.True(t, ok, "no tour in the greeting")
	tour, _, _ = strings.Cut(tour, "\n\n")
	out, err := exec.CommandContext(t.Context(), "sh", "-euxc", tour).CombinedOutput()
	require.NoError(t, err, "%s", out)
	require.Contains(t, string(out), `"Hello, Anna"`)
	require.NotContains(t, string(out), `"success":false`)

	info, err := os.Stat(filepath.Join(in.data, "dev.env"))
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode())
	require.NotContains(t, in.output.String(), file.Get("WAFLEET_API_KEY"), "no key in logs")

	// The tour may be taken twice: the company is there already, the rest works again.
	out, err = exec.CommandContext(t.Context(), "sh", "-c", tour).CombinedOutput()
	require.NoError(t, err, "%s", out)
}

func TestARestartKeepsEverything(t *testing.T) {
	in := newInstallation(t)
	in.makeRun()
	before := in.awaitReady()
	c := newClient(t, before)
	c.link("acme", shop)
	c.phones(http.MethodPost, "/phones", object{"phone": customer, "name": "Anna"})
	id := c.send("acme", customer, "before the restart")
	c.awaitText(customer, "before the restart")

	self, postgres := in.pid(), in.postgres()
	require.NoError(t, syscall.Kill(in.cmd.Process.Pid, syscall.SIGTERM), "to make, not to the process itself")
	in.awaitEnd(endsWithin)
	in.requireNothingLeft(self, postgres)
	require.NoFileExists(t, filepath.Join(in.data, "wafleet.pid"))

	var sourced []string // as after `. dev.env` with allexport
	for _, v := range before {
		sourced = append(sourced, v.Name+"="+v.Value)
	}
	in.makeRun(sourced...)
	after := in.awaitReady()
	require.Equal(t, before, after, "a shell that sourced the file goes on working")
	c = newClient(t, after)
	c.awaitConnected("acme")
	status := c.api(http.MethodGet, "/messages/"+id, nil).(object)["status"]
	require.Contains(t, []any{"sent", "delivered", "read"}, status)
	c.send("acme", customer, "after the restart")
	require.Equal(t, 1, c.awaitText(customer, "after the restart"))
	require.Equal(t, 1, c.awaitText(customer, "before the restart"), "not sent again")
}

func TestKilledAndStartedAgain(t *testing.T) {
	in := newInstallation(t)
	in.makeRun()
	c := newClient(t, in.awaitReady())
	c.link("acme", shop)
	c.phones(http.MethodPost, "/phones", object{"phone": customer, "name": "Anna"})

	// What was accepted has to arrive, whenever the process dies.
	var texts []string
	for i := range 10 {
		text := "number " + strconv.Itoa(i)
		c.send("acme", customer, text)
		texts = append(texts, text)
	}
	self, postgres := in.pid(), in.postgres()
	require.NoError(t, syscall.Kill(self, syscall.SIGKILL))
	in.awaitEnd(endsWithin)
	in.requireNothingLeft(self, postgres)

	started := time.Now()
	in.makeRun()
	c = newClient(t, in.awaitReady())
	c.awaitConnected("acme")
	t.Logf("connected again %v after the start", time.Since(started).Round(time.Millisecond))
	for _, text := range texts {
		c.awaitText(customer, text)
	}
}

func TestKillingMakeEndsEverything(t *testing.T) {
	in := newInstallation(t)
	in.makeRun()
	in.awaitReady()
	self, postgres := in.pid(), in.postgres()
	require.NoError(t, syscall.Kill(in.cmd.Process.Pid, syscall.SIGKILL))
	in.await(endsWithin, "end of the process", func() bool { return !alive(self) })
	in.requireNothingLeft(postgres)
}

func TestASecondStartOnTheSameFolderIsRefused(t *testing.T) {
	in := newInstallation(t)
	in.makeRun()
	in.awaitReady()

	second := newInstallation(t)
	second.data = in.data
	second.requireRefused(1, "wafleet is running on", strconv.Itoa(in.pid()))
	require.True(t, in.healthy(), "the first goes on")
	require.FileExists(t, filepath.Join(in.data, "wafleet.pid"))
}

func TestAPortThatIsTaken(t *testing.T) {
	for _, variable := range []string{"PORT", "WASIM_PORT"} {
		t.Run(variable, func(t *testing.T) {
			listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
			require.NoError(t, err)
			defer func() { require.NoError(t, listener.Close()) }()
			port := strconv.Itoa(listener.Addr().(*net.TCPAddr).Port)
			in := newInstallation(t, variable+"="+port)
			in.requireRefused(1, "port "+port+" is taken", variable+"=")
			require.NoDirExists(t, filepath.Join(in.data, "pg"), "nothing half-started")
			require.NoFileExists(t, filepath.Join(in.data, "dev.env"))
			require.NoFileExists(t, filepath.Join(in.data, "wafleet.pid"))
		})
	}
}

func TestAFolderThatCannotBeWritten(t *testing.T) {
	in := newInstallation(t)
	require.NoError(t, os.WriteFile(in.data, nil, 0o600)) // a file where the folder should be stops root, too
	in.requireRefused(1, in.data)
}

func TestWrongSettingsAreUsageErrors(t *testing.T) {
	for _, setting := range []string{"PORT=http", "HOSTS=0", "WHATSAPP=maybe", "SHARDS=-1"} {
		newInstallation(t, setting).requireRefused(2)
	}
}

func TestAnotherNumberOfShardsIsRefused(t *testing.T) {
	in := newInstallation(t, "SHARDS=8")
	in.makeRun()
	in.awaitReady()
	require.NoError(t, syscall.Kill(in.pid(), syscall.SIGTERM))
	in.awaitEnd(endsWithin)

	in.extra = []string{"SHARDS=16"}
	in.requireRefused(1, "SHARDS=16", "has 8 shards")
	in.extra = nil
	in.makeRun()
	in.awaitReady()
}

// requireRefused runs the program itself, whose exit code make would hide, and expects one line that says why.
func (in *Installation) requireRefused(code int, words ...string) {
	in.t.Helper()
	cmd := exec.CommandContext(in.t.Context(), filepath.Join(root(in.t), "bin", "wafleet"), "serve")
	cmd.Env = append(append(cleanEnviron(), "WAFLEET_ENV=dev", "LOG_LEVEL=error"), in.settings()...)
	out, err := cmd.CombinedOutput()
	require.Error(in.t, err)
	require.Equal(in.t, code, cmd.ProcessState.ExitCode(), "%s", out)
	require.Equal(in.t, 1, strings.Count(string(out), "\n"), "one clear line: %s", out)
	for _, word := range words {
		require.Contains(in.t, string(out), word)
	}
}
