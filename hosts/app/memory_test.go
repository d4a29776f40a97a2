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
		var logins atomic.Int64
		released := 0
		j := newJanitor(logins.Load)
		j.release = func() { released++ }
		defer debug.SetGCPercent(debug.SetGCPercent(goDefault))
		require.NoError(t, j.Stop(t.Context()), "before Start")
		require.NoError(t, j.Start(t.Context()))
		wait := func(d time.Duration) int {
			<-time.After(d) // by the clock of the bubble
			synctest.Wait()
			return released
		}
		require.Zero(t, wait(time.Hour), "nothing has happened")
		for range 10 { // a burst
			logins.Add(100)
			require.Zero(t, wait(calm))
		}
		require.Equal(t, 1, wait(calm))
		require.Equal(t, 1, wait(time.Hour), "once for a burst")
		logins.Add(1)
		require.Equal(t, 2, wait(3*calm))
		require.NoError(t, j.Stop(t.Context()))
		require.NoError(t, j.Stop(t.Context()), "twice")
	})
}

func TestTheOperatorsGOGCHolds(t *testing.T) { //nolint:paralleltest // it sets the collector of the process
	for set, want := range map[int]int{goDefault: gcPercent, 200: 200, -1: -1} {
		before := debug.SetGCPercent(set)
		j := newJanitor(func() int64 { return 0 })
		require.NoError(t, j.Start(t.Context()))
		require.Equal(t, want, debug.SetGCPercent(before))
		require.NoError(t, j.Stop(t.Context()))
	}
}
