package ratelimit_test

import (
	"context"
	"crypto/rand"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"wafleet/shared/ratelimit"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var perMinute = ratelimit.Limit{PerMinute: 30, Burst: 30}

// servers are the Redis servers the limiter has to work with: the one in process, and a real one where there is one.
func servers(t *testing.T) map[string]redis.UniversalClient {
	t.Helper()
	clients := map[string]redis.UniversalClient{"miniredis": connect(t, miniredis.RunT(t).Addr())}
	if url := os.Getenv("TEST_REDIS_URL"); url != "" {
		options, err := redis.ParseURL(url)
		require.NoError(t, err)
		clients["redis-server"] = connect(t, options.Addr)
	} else if os.Getenv("REQUIRE_ALL") != "" {
		t.Fatal("TEST_REDIS_URL is not set")
	}
	return clients
}

func connect(t *testing.T, addr string) redis.UniversalClient {
	t.Helper()
	client := redis.NewClient(&redis.Options{Addr: addr, ContextTimeoutEnabled: true, MaxRetries: -1, DialTimeout: 50 * time.Millisecond})
	t.Cleanup(func() { require.NoError(t, client.Close()) })
	return client
}

func discard() *slog.Logger { return slog.New(slog.DiscardHandler) }

func TestThirtyAtOnceThenOneEveryTwoSeconds(t *testing.T) {
	t.Parallel()
	for name, client := range servers(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			limiter, company := ratelimit.New(client, discard()), rand.Text()
			for n := range 30 {
				r := limiter.Allow(t.Context(), company, perMinute)
				require.True(t, r.Allowed, n)
				require.InDelta(t, 29-n, r.Remaining, 1)
				require.Zero(t, r.RetryAfter)
			}
			r := limiter.Allow(t.Context(), company, perMinute)
			require.False(t, r.Allowed)
			require.Zero(t, r.Remaining)
			require.InDelta(t, 2*time.Second, r.RetryAfter, float64(time.Second))
			require.InDelta(t, time.Minute, r.ResetAfter, float64(2*time.Second))
			require.True(t, limiter.Allow(t.Context(), "another"+company, perMinute).Allowed, "companies do not share a bucket")
			require.False(t, limiter.Degraded())
		})
	}
}

func TestProcessesShareTheBucket(t *testing.T) {
	t.Parallel()
	for name, client := range servers(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			company := rand.Text()
			var allowed atomic.Int32
			var wg sync.WaitGroup
			for range 4 {
				limiter := ratelimit.New(client, discard())
				wg.Go(func() {
					for range 20 {
						if limiter.Allow(t.Context(), company, ratelimit.Limit{PerMinute: 1, Burst: 30}).Allowed {
							allowed.Add(1)
						}
					}
				})
			}
			wg.Wait()
			require.EqualValues(t, 30, allowed.Load())
		})
	}
}

func TestALimitOfItsOwn(t *testing.T) {
	t.Parallel()
	for name, client := range servers(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			limiter, company := ratelimit.New(client, discard()), rand.Text()
			r := limiter.Allow(t.Context(), company, ratelimit.Limit{PerMinute: 600, Burst: 1})
			require.True(t, r.Allowed)
			require.Zero(t, r.Remaining)
			require.InDelta(t, 100*time.Millisecond, r.ResetAfter, float64(10*time.Millisecond))
		})
	}
}

func TestWithoutRedisTheProcessGoesOnAlone(t *testing.T) {
	t.Parallel()
	server := miniredis.RunT(t)
	limiter := ratelimit.New(connect(t, server.Addr()), discard())
	small := ratelimit.Limit{PerMinute: 1, Burst: 3}
	require.True(t, limiter.Allow(t.Context(), "a", small).Allowed)
	require.True(t, limiter.Allow(t.Context(), "a", small).Allowed)

	server.Close()
	started := time.Now()
	require.True(t, limiter.Allow(t.Context(), "a", small).Allowed, "the third of three")
	require.Less(t, time.Since(started), time.Second)
	require.True(t, limiter.Degraded())
	require.False(t, limiter.Allow(t.Context(), "a", small).Allowed, "what was spent before stays spent")

	require.NoError(t, server.Restart())
	require.Eventually(t, func() bool {
		limiter.Allow(t.Context(), "b", perMinute)
		return !limiter.Degraded()
	}, 5*time.Second, 20*time.Millisecond)
}

// A caller that hangs up is no sign that Redis is gone.
func TestACanceledCallDegradesNothing(t *testing.T) {
	t.Parallel()
	limiter := ratelimit.New(connect(t, miniredis.RunT(t).Addr()), discard())
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	limiter.Allow(ctx, "a", perMinute)
	require.False(t, limiter.Degraded())
}
