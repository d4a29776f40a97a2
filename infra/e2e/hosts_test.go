//go:build e2e

package e2e

import (
	"maps"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// hosts returns the process id of each host that is a process of its own.
func (in *Installation) hosts() map[string]int {
	in.t.Helper()
	pids := make(map[string]int)
	files, err := filepath.Glob(filepath.Join(in.data, "hosts", "*.pid"))
	require.NoError(in.t, err)
	for _, file := range files {
		pids[strings.TrimSuffix(filepath.Base(file), ".pid")] = readPID(in.t, file)
	}
	return pids
}

func TestAKilledHostIsReplacedAndItsCompaniesComeBack(t *testing.T) {
	in := newInstallation(t, "HOSTS=3", "SHARDS=6")
	in.makeRun()
	c := newClient(t, in.awaitReady())
	c.link("acme", shop)
	c.phones(http.MethodPost, "/phones", object{"phone": customer, "name": "Anna"})
	before := in.hosts()
	require.Len(t, before, 3)

	// Which of them has the company is not told; killing one after the other hits it.
	for n, victim := range slices.Sorted(maps.Keys(before)) {
		require.NoError(t, syscall.Kill(before[victim], syscall.SIGKILL))
		in.await(readyWithin, "host in the place of "+victim, func() bool {
			now := in.hosts()
			return len(now) == 3 && now[victim] == 0
		})
		text := "after kill " + string(rune('1'+n))
		c.send("acme", customer, text)
		require.Equal(t, 1, c.awaitText(customer, text))
	}
	after := in.hosts()
	for victim := range before {
		require.NotContains(t, after, victim)
	}

	require.NoError(t, syscall.Kill(in.pid(), syscall.SIGKILL))
	in.requireNothingLeft(slices.Collect(maps.Values(after))...)
}

func TestHostsDrainWithTheRest(t *testing.T) {
	in := newInstallation(t, "HOSTS=2", "SHARDS=4")
	in.makeRun()
	in.awaitReady()
	pids := slices.Collect(maps.Values(in.hosts()))
	require.Len(t, pids, 2)

	require.NoError(t, syscall.Kill(in.pid(), syscall.SIGTERM))
	require.Zero(t, in.awaitEnd(endsWithin))
	in.requireNothingLeft(pids...)
	require.Empty(t, in.hosts())
}
