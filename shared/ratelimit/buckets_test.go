package ratelimit

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func TestLocalBucketRefills(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		local, limit := newBuckets(), Limit{PerMinute: 30, Burst: 30}
		for n := range 30 {
			r := local.take("a", limit)
			require.True(t, r.Allowed)
			require.Equal(t, 29-n, r.Remaining)
			require.Equal(t, time.Duration(n+1)*2*time.Second, r.ResetAfter)
		}
		r := local.take("a", limit)
		require.False(t, r.Allowed)
		require.Equal(t, 2*time.Second, r.RetryAfter)
		require.Equal(t, time.Minute, r.ResetAfter)

		pass(2 * time.Second)
		require.True(t, local.take("a", limit).Allowed)
		require.False(t, local.take("a", limit).Allowed)

		pass(time.Hour)
		require.Equal(t, 29, local.take("a", limit).Remaining, "no more than a full bucket")
	})
}

func TestLocalBucketsAreBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		local, limit := newBuckets(), Limit{PerMinute: 60, Burst: 5}
		fill := func(prefix string) {
			for n := range maxBuckets {
				local.take(fmt.Sprint(prefix, n), limit)
			}
			require.LessOrEqual(t, len(local.full), maxBuckets)
		}
		fill("a")
		pass(time.Minute)
		fill("b") // all of a are full again and make room
		local.take("c", limit)
		require.Len(t, local.full, 1, "none was full, so all had to go")
	})
}

// pass lets the bubble's clock run.
func pass(d time.Duration) { <-time.After(d) }
