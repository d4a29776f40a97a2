package cli

import (
	"context"
	"errors"
	"io"
	"os"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// fakeSystem starts and stops as its knobs say.
type fakeSystem struct {
	startTakes, stopTakes time.Duration
	startErr, stopErr     error
	fails                 error // of a part, as soon as the system runs
	deaf                  bool  // Stop does not look at its context
	failed                chan error

	mu     sync.Mutex // guards events
	events []string
}

var _ system = (*fakeSystem)(nil)

func (f *fakeSystem) note(event string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.events = append(f.events, event)
}

func (f *fakeSystem) Start(ctx context.Context) error {
	select {
	case <-time.After(f.startTakes):
	case <-ctx.Done():
		f.note("start canceled")
		return context.Cause(ctx)
	}
	f.note("started")
	return f.startErr
}

func (f *fakeSystem) Failed() <-chan error { return f.failed }

func (f *fakeSystem) Stop(ctx context.Context) error {
	done := ctx.Done()
	if f.deaf {
		done = nil
	}
	select {
	case <-time.After(f.stopTakes):
		f.note("stopped")
		return f.stopErr
	case <-done:
		f.note("stop broken off")
		return context.Cause(ctx)
	}
}

// run serves the system in a bubble, with signals at these times after the start, and returns how long it took.
func (f *fakeSystem) run(t *testing.T, signals ...time.Duration) (took time.Duration, err error) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		f.failed = make(chan error, 1)
		if f.fails != nil {
			f.failed <- f.fails
		}
		ch := make(chan os.Signal, len(signals))
		var sender sync.WaitGroup
		for _, at := range signals {
			sender.Go(func() {
				<-time.After(at)
				ch <- syscall.SIGTERM
			})
		}
		started := time.Now()
		err = serve(t.Context(), f, ch, io.Discard)
		took = time.Since(started)
		sender.Wait()
		<-time.After(f.stopTakes) // a deaf Stop goes on after serve has given it up
	})
	return took, err
}

func TestASignalDrains(t *testing.T) {
	t.Parallel()
	f := new(fakeSystem)
	f.startTakes, f.stopTakes = time.Second, 10*time.Second
	took, err := f.run(t, time.Minute)
	require.NoError(t, err)
	require.Equal(t, 70*time.Second, took)
	require.Equal(t, []string{"started", "stopped"}, f.events)
}

func TestDrainingHasALimit(t *testing.T) {
	t.Parallel()
	f := new(fakeSystem)
	f.stopTakes = time.Hour
	took, err := f.run(t, time.Minute)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.Equal(t, time.Minute+drainTimeout, took)
	require.Less(t, drainTimeout, 30*time.Second, "Postgres needs a moment after it")
}

func TestTheSecondSignalEndsAtOnce(t *testing.T) {
	t.Parallel()
	f := new(fakeSystem)
	f.stopTakes = time.Hour
	took, err := f.run(t, time.Minute, time.Minute+time.Second)
	require.ErrorIs(t, err, errForced)
	require.Equal(t, 61*time.Second, took)
	require.Equal(t, []string{"started", "stop broken off"}, f.events)
}

func TestTheSecondSignalWaitsForNobody(t *testing.T) {
	t.Parallel()
	f := new(fakeSystem)
	f.stopTakes, f.deaf = time.Hour, true
	took, err := f.run(t, time.Minute, time.Minute+time.Second)
	require.ErrorIs(t, err, errForced)
	require.Equal(t, 61*time.Second+forceTimeout, took)
}

func TestAPartThatFailsEndsTheSystem(t *testing.T) {
	t.Parallel()
	f := new(fakeSystem)
	f.fails = errors.New("postgres is gone")
	f.stopErr = errors.New("pool is broken")
	_, err := f.run(t)
	require.ErrorIs(t, err, f.fails)
	require.ErrorIs(t, err, f.stopErr)
}

func TestAStartThatFails(t *testing.T) {
	t.Parallel()
	f := new(fakeSystem)
	f.startErr = errors.New("port is taken")
	_, err := f.run(t)
	require.ErrorIs(t, err, f.startErr)
	require.Equal(t, []string{"started"}, f.events, "it has cleaned up by itself")
}

func TestASignalDuringTheStart(t *testing.T) {
	t.Parallel()
	f := new(fakeSystem)
	f.startTakes = time.Minute
	took, err := f.run(t, time.Second)
	require.ErrorIs(t, err, errInterrupted)
	require.Equal(t, time.Second, took)
	require.Equal(t, []string{"start canceled"}, f.events)
}

func TestTheEndOfTheParentIsASignal(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ended, done := make(chan os.Signal, 1), make(chan struct{})
		asked := 0
		go watchParent(func() int { // the parent ends after a while, and init takes its place
			if asked++; asked > 3 {
				return 1
			}
			return 4711
		}, ended, done)
		started := time.Now()
		require.Equal(t, syscall.SIGTERM, <-ended)
		require.Equal(t, 3*parentPoll, time.Since(started))
	})
}

func TestTheParentIsNotWatchedForEver(t *testing.T) {
	t.Parallel()
	signals, ignore := listen(true)
	ignore()
	require.Empty(t, signals)
}
