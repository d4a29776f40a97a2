package ratelimit_test

import (
	"log/slog"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"wafleet/shared/ratelimit"
)

func TestLookTakesNothing(t *testing.T) {
	t.Parallel()
	server := miniredis.RunT(t)
	client := redis.NewClient(&redis.Options{Addr: server.Addr(), MaxRetries: -1})
	t.Cleanup(func() { require.NoError(t, client.Close()) })
	limiter, limit := ratelimit.New(client, slog.New(slog.DiscardHandler)), ratelimit.Limit{PerMinute: 30, Burst: 2}
	look := func() ratelimit.Result {
		r, err := limiter.Look(t.Context(), "a", limit)
		require.NoError(t, err)
		return r
	}
	for range 5 {
		require.Equal(t, 2, look().Remaining)
	}
	require.True(t, limiter.Allow(t.Context(), "a", limit).Allowed)
	require.Equal(t, 1, look().Remaining)
	require.True(t, limiter.Allow(t.Context(), "a", limit).Allowed)
	empty := look()
	require.False(t, empty.Allowed)
	require.InDelta(t, 2, empty.RetryAfter.Seconds(), 1, "one call comes back every two seconds")
	require.InDelta(t, limiter.Allow(t.Context(), "a", limit).RetryAfter, empty.RetryAfter, float64(500*time.Millisecond), "as a call would be told")

	server.Close()
	_, err := limiter.Look(t.Context(), "a", limit)
	require.Error(t, err)
}
