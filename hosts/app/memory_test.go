package app

import (
	"runtime/debug"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func TestMemoryIsGivenBackAfterEveryBurst(t *testing.T) { //nolint:paralleltest // it sets the collector of the process
	synctest.Test(t, func(t *testing.T) {
		var logins, released atomic.Int64
		j := newJanitor(logins.Load)
		j.release = func() { released.Add(1) }
		defer debug.SetGCPercent(debug.SetGCPercent(goDefault))
		require.NoError(t, j.Stop(t.Context()), "before Start")
		require.NoError(t, j.Start(t.Context()))
		wait := func(d time.Duration) int64 {
			<-time.After(d) // by the clock of the bubble
			synctest.Wait()
			return released.Load()
		}
		require.Zero(t, wait(time.Hour), "nothing has happened")
		for range 10 { // a burst
			logins.Add(100)
			require.Zero(t, wait(calm))
		}
		require.EqualValues(t, 1, wait(calm))
		require.EqualValues(t, 1, wait(time.Hour), "once for a burst")
		logins.Add(1)
		require.EqualValues(t, 2, wait(3*calm))
		require.NoError(t, j.Stop(t.Context()))
		require.NoError(t, j.Stop(t.Context()), "twice")
	})
}

func TestTheCollectorsPace(t *testing.T) {
	t.Parallel()
	const mega = 1 << 20
	for live, want := range map[uint64]int{
		0: mostPercent, mega: mostPercent, 8 * mega: 400, 32 * mega: 100, 64 * mega: 50, 1000 * mega: leastPercent,
	} {
		require.Equal(t, want, gcPercent(live), "%d bytes alive", live)
	}
	require.Positive(t, liveBytes())
}

func TestTheOperatorsGOGCHolds(t *testing.T) { //nolint:paralleltest // it sets the collector of the process
	for _, set := range []int{goDefault, 200, -1} {
		synctest.Test(t, func(t *testing.T) {
			before := debug.SetGCPercent(set)
			j := newJanitor(func() int64 { return 0 })
			require.NoError(t, j.Start(t.Context()))
			<-time.After(3 * calm)
			require.NoError(t, j.Stop(t.Context()))
			after := debug.SetGCPercent(before)
			if set == goDefault {
				require.Greater(t, after, goDefault, "a test holds little")
			} else {
				require.Equal(t, set, after)
			}
		})
	}
}
