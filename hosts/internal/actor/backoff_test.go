package actor

import (
	"math"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// ceilingOf is where the delays of a failure may end, told the slow way.
func ceilingOf(base time.Duration, failures int) time.Duration {
	ceiling := base
	for range max(failures-1, 0) {
		if ceiling = min(2*ceiling, maxDelay); ceiling == maxDelay {
			break
		}
	}
	return min(ceiling, maxDelay)
}

// A delay is never nothing and never longer than what its failure allows, whatever the base.
func TestBackoffStaysInItsBounds(t *testing.T) {
	t.Parallel()
	for _, base := range []time.Duration{10 * time.Millisecond, retryWrite, retryInbound, time.Second, 5 * time.Second, maxDelay, 24 * time.Hour, math.MaxInt64 / 4} {
		for _, failures := range []int{-1, 0, 1, 2, 3, 7, 15, 16, 17, 63, 64, 1000, math.MaxInt} {
			ceiling := ceilingOf(base, failures)
			for range 50 {
				d := backoff(base, failures)
				require.Positive(t, d, "base %s, failures %d", base, failures)
				require.LessOrEqual(t, d, ceiling, "base %s, failures %d", base, failures)
			}
		}
	}
}

// Full jitter: the delays of ten thousand sockets that dropped at once lie evenly between nothing and the
// ceiling. A χ² of ten buckets says whether they do; a constant part of the delay fails it by orders of magnitude.
func TestBackoffIsSpreadEvenly(t *testing.T) {
	t.Parallel()
	const sockets, buckets = 10_000, 10
	for _, failures := range []int{1, 3, 20} {
		ceiling := ceilingOf(5*time.Second, failures)
		var seen [buckets]float64
		for range sockets {
			seen[int(float64(backoff(5*time.Second, failures)-1)/float64(ceiling)*buckets)]++
		}
		const expected = sockets / buckets
		chi := 0.0
		for _, n := range seen {
			chi += (n - expected) * (n - expected) / expected
		}
		require.Less(t, chi, 50.0, "failures %d: %v", failures, seen) // nine degrees of freedom: once in ten million
	}
}

// The delays grow: their longest one nearly doubles with every failure, up to the cap.
func TestBackoffGrowsUpToItsCap(t *testing.T) {
	t.Parallel()
	longest := func(failures int) time.Duration {
		delays := make([]time.Duration, 2000)
		for i := range delays {
			delays[i] = backoff(5*time.Second, failures)
		}
		return slices.Max(delays)
	}
	for failures := 1; failures < 6; failures++ {
		require.Greater(t, longest(failures+1), longest(failures)*3/2)
	}
	require.Greater(t, longest(20), maxDelay*9/10)
}
