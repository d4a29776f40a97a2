package pace

import (
	"context"
	"crypto/rand"
	"log/slog"
	"os"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func discard() *slog.Logger { return slog.New(slog.DiscardHandler) }

func connect(t *testing.T, addr string) redis.UniversalClient {
	t.Helper()
	client := redis.NewClient(&redis.Options{Addr: addr, ContextTimeoutEnabled: true, MaxRetries: -1, DialTimeout: 50 * time.Millisecond})
	t.Cleanup(func() { _ = client.Close() })
	return client
}

// onEveryRedis runs a test against the in-process server and, where there is one, against redis-server.
func onEveryRedis(t *testing.T, test func(t *testing.T, client redis.UniversalClient)) {
	t.Helper()
	t.Run("in process", func(t *testing.T) {
		t.Parallel()
		test(t, connect(t, miniredis.RunT(t).Addr()))
	})
	t.Run("redis-server", func(t *testing.T) {
		t.Parallel()
		url := os.Getenv("TEST_REDIS_URL")
		if url == "" {
			if os.Getenv("REQUIRE_ALL") == "1" {
				t.Fatal("TEST_REDIS_URL is not set: run make test")
			}
			t.Skip("TEST_REDIS_URL is not set: run make test")
		}
		options, err := redis.ParseURL(url)
		require.NoError(t, err)
		test(t, connect(t, options.Addr))
	})
}

// askRedis takes a slot from Redis, however busy the machine is: what falls back on itself is asked again.
func askRedis(t *testing.T, p *Pace, good, bad int) (wait time.Duration, rate float64) {
	t.Helper()
	for range 50 {
		wait, rate, err := p.shared(context.WithoutCancel(t.Context()), good, bad)
		if err == nil {
			return wait, rate
		}
	}
	require.FailNow(t, "Redis does not answer")
	return 0, 0
}

// Hosts behind one address share its slots: the hundredth connect waits for all before it, whoever made them.
func TestHostsShareTheSlots(t *testing.T) {
	t.Parallel()
	onEveryRedis(t, func(t *testing.T, client redis.UniversalClient) {
		cfg := Config{Address: rand.Text(), Start: 10}
		hosts := []*Pace{New(client, cfg, discard()), New(client, cfg, discard())}
		start := time.Now()
		var wait time.Duration
		for n := range 100 {
			wait, _ = askRedis(t, hosts[n%2], 0, 0)
			if n < 10 {
				require.Less(t, wait, 100*time.Millisecond, "a burst of a second's worth")
			}
		}
		// 100 slots, 10 of them at once, less what passed meanwhile.
		require.InDelta(t, 9*time.Second, wait+time.Since(start), float64(500*time.Millisecond))

		cfg.Address = rand.Text()
		wait, _ = askRedis(t, New(client, cfg, discard()), 0, 0)
		require.Zero(t, wait, "another address has slots of its own")
	})
}

// More than a hundredth of failures halves the rate, a few do not, and one wave of failures halves it once.
func TestFailuresHalveTheSharedRate(t *testing.T) {
	t.Parallel()
	onEveryRedis(t, func(t *testing.T, client redis.UniversalClient) {
		p := New(client, Config{Address: rand.Text(), Start: 8, Most: 20}, discard())
		_, rate := askRedis(t, p, 0, 2)
		require.InEpsilon(t, 8.0, rate, 0.001, "two may fail for reasons of their own")
		_, rate = askRedis(t, p, 300, 1)
		require.InEpsilon(t, 8.0, rate, 0.001, "three of three hundred are no more than a hundredth")
		_, rate = askRedis(t, p, 0, 4)
		require.InEpsilon(t, 4.0, rate, 0.001)
		_, rate = askRedis(t, p, 0, 50)
		require.InEpsilon(t, 4.0, rate, 0.001, "begun before the rate was halved")
	})
}

// The two clocks and the two languages come to the same: the script is the state's take.
func TestTheScriptIsTheState(t *testing.T) {
	t.Parallel()
	server := miniredis.RunT(t)
	now := time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC)
	p := New(connect(t, server.Addr()), Config{Address: "a", Start: 5, Most: 7}, discard())
	var s state
	for step, outcome := range [][2]int{
		{0, 0},
		{1, 0},
		{10, 0},
		{0, 3},
		{0, 3},
		{0, 9},
		{50, 0},
		{50, 0},
		{50, 0},
		{50, 0},
		{50, 0},
		{0, 5},
		{0, 5},
		{0, 5},
		{0, 5},
		{0, 5},
		{0, 5},
		{0, 5},
		{0, 5},
		{9, 0},
		{0, 0},
	} {
		now = now.Add(time.Duration(step%7) * 6 * time.Second)
		server.SetTime(now)
		wait, rate := askRedis(t, p, outcome[0], outcome[1])
		require.InDelta(t, s.take(now, 5, 7, outcome[0], outcome[1]), wait, float64(2*time.Millisecond), "step %d", step)
		require.InEpsilon(t, s.rate, rate, 0.001, "step %d", step)
		require.GreaterOrEqual(t, rate, slowest)
		require.LessOrEqual(t, rate, 7.0)
	}
}

// Without Redis each host goes on with its part, and asks again after a while.
func TestWithoutRedis(t *testing.T) {
	t.Parallel()
	server := miniredis.RunT(t)
	p := New(connect(t, server.Addr()), Config{Address: "a", Start: 9, Most: 20}, discard())
	p.Share(3)
	server.Close()
	_, rate := p.take(t.Context(), 0, 0)
	require.InEpsilon(t, 3.0, rate, 0.001)
	require.False(t, p.askable(), "a failed Redis is left alone for a second")
	require.NoError(t, server.Restart())
	require.Eventually(t, func() bool {
		_, rate = p.take(t.Context(), 0, 0)
		return rate == 9
	}, 10*time.Second, 20*time.Millisecond)
}

// The rate grows by one for every half minute in which connects succeeded and none failed, up to its limit.
func TestTheRateGrows(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := New(nil, Config{Start: 5, Most: 8}, discard())
		rate := func(good, bad int) float64 {
			<-time.After(window)
			_, rate := p.take(t.Context(), good, bad)
			return rate
		}
		_, first := p.take(t.Context(), 0, 0)
		require.InEpsilon(t, 5.0, first, 0.001)
		require.InEpsilon(t, 5.0, rate(0, 0), 0.001, "nothing was learnt")
		for _, want := range []float64{6, 7, 8, 8} {
			require.InEpsilon(t, want, rate(100, 0), 0.001)
		}
		require.InEpsilon(t, 4.0, rate(0, 10), 0.001)
		require.InEpsilon(t, 5.0, rate(100, 0), 0.001)
	})
}

func TestNoLimit(t *testing.T) {
	t.Parallel()
	require.Nil(t, New(nil, Config{}, discard()))
}

// Take may be called by whoever likes.
func TestConcurrentTakes(t *testing.T) {
	t.Parallel()
	p := New(connect(t, miniredis.RunT(t).Addr()), Config{Address: "a", Start: 100}, discard())
	var taking sync.WaitGroup
	for range 8 {
		taking.Go(func() {
			for range 20 {
				p.Take(context.Background(), 1, 0)
				p.Share(2)
			}
		})
	}
	taking.Wait()
}
