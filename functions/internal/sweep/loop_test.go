package sweep_test

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"wafleet/functions/internal/sweep"
)

type runner func(ctx context.Context) error

func (r runner) Run(ctx context.Context) error { return r(ctx) }

func TestLoopSweepsWithJitter(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var at []time.Time
		loop := sweep.NewLoop(runner(func(context.Context) error {
			at = append(at, time.Now())
			return errors.New("an error does not end the loop")
		}), 10*time.Second, slog.New(slog.DiscardHandler))
		starting, cancel := context.WithCancel(t.Context())
		require.NoError(t, loop.Start(starting))
		require.Error(t, loop.Start(starting))
		cancel()
		<-time.After(1000 * time.Second)
		require.NoError(t, loop.Stop(t.Context()))
		require.NoError(t, loop.Stop(t.Context()))
		require.InDelta(t, 100, len(at), 20)
		gaps := map[time.Duration]bool{}
		for i := 1; i < len(at); i++ {
			gap := at[i].Sub(at[i-1])
			require.GreaterOrEqual(t, gap, 5*time.Second)
			require.LessOrEqual(t, gap, 15*time.Second)
			gaps[gap] = true
		}
		require.Greater(t, len(gaps), 10)
	})
}

func TestSweepIsBoundedAndBrokenOff(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var runs atomic.Int32
		loop := sweep.NewLoop(runner(func(ctx context.Context) error {
			runs.Add(1)
			<-ctx.Done() // works until it is told to stop
			return nil
		}), time.Second, slog.New(slog.DiscardHandler))
		require.NoError(t, loop.Start(t.Context()))
		<-time.After(3 * time.Minute)
		require.EqualValues(t, 3, runs.Load(), "a minute each")
		require.NoError(t, loop.Stop(t.Context()))
	})
}

func TestStopGivesUpWithItsContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		loop := sweep.NewLoop(runner(func(context.Context) error {
			<-release
			return nil
		}), time.Second, slog.New(slog.DiscardHandler))
		require.NoError(t, loop.Stop(t.Context()), "before Start")
		require.NoError(t, loop.Start(t.Context()))
		<-time.After(2 * time.Second)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		require.ErrorIs(t, loop.Stop(ctx), context.DeadlineExceeded)
		close(release)
		require.NoError(t, loop.Stop(t.Context()))
	})
}
