package rig

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func newRig(t *testing.T) *Rig {
	t.Helper()
	r := New(Options{Environ: []string{"PATH=/usr/bin:/bin", "SECRET=x", "GOGC=50"}})
	r.dir = t.TempDir()
	return r
}

func TestAPartThatEndsShowsItsLog(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	p, err := r.start("part", nil, "/bin/sh", "-c", "echo what went wrong >&2; exit 3")
	require.NoError(t, err)
	err = p.await(t.Context(), func(context.Context) error { return errors.New("no answer") })
	require.ErrorContains(t, err, "part ended")
	require.ErrorContains(t, err, "exit status 3")
	require.ErrorContains(t, err, "what went wrong")
}

func TestAPartIsAwaitedAndStopped(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	p, err := r.start("part", nil, "/bin/sh", "-c", "trap 'exit 0' TERM; while :; do sleep 0.01; done")
	require.NoError(t, err)
	require.Positive(t, p.PID())
	asked := 0
	require.NoError(t, p.await(t.Context(), func(context.Context) error {
		if asked++; asked < 3 {
			return errors.New("not yet")
		}
		return nil
	}))
	require.Equal(t, 3, asked)
	// The shell may not have come to its trap yet; the signal is lethal then, which is told.
	if err := p.stop(t.Context()); err != nil {
		require.ErrorContains(t, err, "terminated")
	}
	<-p.process.Done()
}

func TestAnImpatientCaller(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	p, err := r.start("part", nil, "/bin/sh", "-c", "exec sleep 60")
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorContains(t, p.await(ctx, func(context.Context) error { return errors.New("no answer") }), "part is not ready: no answer")
	require.Error(t, p.stop(t.Context()), "sleep dies of the signal")
}

func TestPartsGetLittleOfTheEnvironment(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	p, err := r.start("part", []string{"OWN=1"}, "/bin/sh", "-c", "env")
	require.NoError(t, err)
	<-p.process.Done()
	said := p.tail()
	require.Contains(t, said, "OWN=1")
	require.Contains(t, said, "GOGC=50")
	require.NotContains(t, said, "SECRET")
}

func TestAFailedStartStopsWhatWasStarted(t *testing.T) {
	t.Parallel()
	r := New(Options{})
	var stopped []string
	r.onStop(func(context.Context) error { stopped = append(stopped, "first"); return nil })
	broken := errors.New("broken")
	r.onStop(func(context.Context) error { stopped = append(stopped, "second"); return broken })
	require.ErrorIs(t, r.Stop(t.Context()), broken)
	require.Equal(t, []string{"second", "first"}, stopped)
	require.NoError(t, r.Stop(t.Context()), "again")
}

func TestParseMetrics(t *testing.T) {
	t.Parallel()
	got, err := parseMetrics(strings.NewReader("# HELP x y\n# TYPE go_goroutines gauge\ngo_goroutines 12\n" +
		"go_memstats_heap_inuse_bytes 1.5e+06\nwafleet_sends_total{result=\"sent\"} 3\n"))
	require.NoError(t, err)
	require.Equal(t, map[string]float64{"go_goroutines": 12, "go_memstats_heap_inuse_bytes": 1.5e6}, got)
	_, err = parseMetrics(strings.NewReader("x y\n"))
	require.ErrorContains(t, err, "x")
}

func TestFreeAddress(t *testing.T) {
	t.Parallel()
	address, err := freeAddress(t.Context())
	require.NoError(t, err)
	require.True(t, strings.HasPrefix(address, "127.0.0.1:"))
	require.Error(t, dial(t.Context(), address), "nobody listens")
}
