package shard_test

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"wafleet/hosts/internal/shard"
	"wafleet/shared/lease"
	"wafleet/shared/store"
)

var errDown = errors.New("database is away")

// script is a table of leases that does what a test wants.
type script struct {
	mu       sync.Mutex // guards what follows
	down     bool
	deny     bool          // all renewals
	slowness time.Duration // of the next renewal
	takes    time.Duration // how long a take takes
	survey   lease.Survey
	renewals []time.Time
}

func (s *script) TTL() time.Duration { return 6 * time.Second }

func (s *script) Survey(context.Context) (lease.Survey, error) {
	defer s.lock()()
	survey := s.survey
	survey.Free, survey.Expired = slices.Clone(survey.Free), slices.Clone(survey.Expired)
	return survey, nil
}

func (s *script) Renew(_ context.Context, held []lease.Lease, _ bool) ([]lease.Lease, error) {
	<-time.After(s.begin())
	defer s.lock()()
	switch {
	case s.down:
		return nil, errDown
	case s.deny:
		return nil, nil
	}
	return held, nil
}

// begin notes a renewal and returns how long it takes.
func (s *script) begin() (slowness time.Duration) {
	defer s.lock()()
	s.renewals = append(s.renewals, time.Now())
	slowness, s.slowness = s.slowness, 0
	return slowness
}

func (s *script) Take(_ context.Context, n int) (lease.Lease, error) {
	unlock := s.lock()
	takes := s.takes
	unlock()
	<-time.After(takes)
	return lease.Lease{Fence: store.Fence{Shard: n, Term: uuid.New()}}, nil
}

// change lets a test change what happens next.
func (s *script) change(do func(s *script)) {
	defer s.lock()()
	do(s)
}

// renewed is when the renewals so far began.
func (s *script) renewed() []time.Time {
	defer s.lock()()
	return slices.Clone(s.renewals)
}

func (s *script) lock() (unlock func()) {
	s.mu.Lock()
	return s.mu.Unlock
}

func (s *script) TakeExpired(ctx context.Context, n int) (lease.Lease, error) { return s.Take(ctx, n) }

func (s *script) Release(context.Context, ...lease.Lease) error { return nil }

func (s *script) Leave(context.Context) error { return nil }

// start starts a Keeper inside a test's bubble, which has a clock of its own, and ends it with the bubble.
func start(t *testing.T, s *script) *shard.Keeper {
	t.Helper()
	k, err := shard.New(s, shard.Config{}, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	require.NoError(t, k.Start(t.Context()))
	require.Error(t, k.Start(t.Context()), "once is enough")
	t.Cleanup(func() {
		require.NoError(t, k.Stop(context.WithoutCancel(t.Context())))
		for range k.Events() { // until it is closed
		}
	})
	return k
}

// pass lets time go by.
func pass(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

// gained returns the next event, which has to be a Gained, and how long it took to come.
func gained(t *testing.T, k *shard.Keeper) (store.Fence, time.Duration) {
	t.Helper()
	start := time.Now()
	select {
	case e := <-k.Events():
		require.IsType(t, shard.Gained{}, e)
		return e.(shard.Gained).Fence, time.Since(start)
	case <-time.After(time.Hour):
		require.Fail(t, "nothing was gained")
	}
	return store.Fence{}, 0
}

func TestALateLeaseIsTakenAfterOneTTLOfRenewals(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		k := start(t, &script{survey: lease.Survey{Shards: 1, Hosts: 1, Expired: []int{0}}})
		_, after := gained(t, k)
		require.GreaterOrEqual(t, after, 6*time.Second)
		require.Less(t, after, 8*time.Second)
	})
}

func TestAFreeLeaseIsTakenAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		k := start(t, &script{survey: lease.Survey{Shards: 1, Hosts: 1, Free: []int{0}}})
		_, after := gained(t, k)
		require.Zero(t, after)
	})
}

// Whatever breaks the row of renewals makes a take-over wait for a whole new one.
func TestABrokenRowOfRenewals(t *testing.T) {
	t.Parallel()
	for name, disturb := range map[string]func(s *script){
		"by a renewal that fails": func(s *script) {
			s.change(func(s *script) { s.down = true })
			pass(1500 * time.Millisecond)
			s.change(func(s *script) { s.down = false })
		},
		"by a host that stood still": func(s *script) {
			s.change(func(s *script) { s.slowness = 4 * time.Second })
			pass(5 * time.Second)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := &script{survey: lease.Survey{Shards: 1, Hosts: 1, Expired: []int{0}}}
			synctest.Test(t, func(t *testing.T) {
				k := start(t, s)
				pass(5 * time.Second)
				disturb(s)
				require.Empty(t, k.Events())
				_, after := gained(t, k)
				require.GreaterOrEqual(t, after, 5*time.Second)
				require.Less(t, after, 8*time.Second)
			})
		})
	}
}

func TestTrustEndsBeforeTheLease(t *testing.T) {
	t.Parallel()
	s := &script{survey: lease.Survey{Shards: 1, Hosts: 1, Free: []int{0}}}
	synctest.Test(t, func(t *testing.T) {
		k := start(t, s)
		fence, _ := gained(t, k)
		s.change(func(s *script) { s.survey.Free = nil })
		pass(10 * time.Second)
		require.True(t, k.Trusted(fence))

		renewed := s.renewed()
		s.change(func(s *script) { s.down = true })
		pass(time.Until(renewed[len(renewed)-1].Add(5*time.Second - time.Nanosecond)))
		require.True(t, k.Trusted(fence))
		pass(time.Nanosecond)
		require.False(t, k.Trusted(fence), "one second of margin before the database may call it late")
		pass(time.Hour)
		require.False(t, k.Trusted(fence))
		require.Empty(t, k.Events(), "in doubt is not lost")

		s.change(func(s *script) { s.down = false })
		pass(time.Second)
		require.True(t, k.Trusted(fence), "confirmed")
		s.change(func(s *script) { s.deny = true })
		pass(2 * time.Second)
		require.False(t, k.Trusted(fence))
		require.Equal(t, shard.Lost{Shard: 0, Term: fence.Term}, <-k.Events())
	})
}

// Trust counts from the start of a renewal, because the database's clock may have read any time since then.
func TestTrustCountsFromTheStartOfARenewal(t *testing.T) {
	t.Parallel()
	s := &script{survey: lease.Survey{Shards: 1, Hosts: 1, Free: []int{0}}}
	synctest.Test(t, func(t *testing.T) {
		k := start(t, s)
		fence, _ := gained(t, k)
		n := len(s.renewed())
		s.change(func(s *script) { s.slowness = 4900 * time.Millisecond })
		for len(s.renewed()) == n {
			pass(10 * time.Millisecond)
		}
		started := s.renewed()[n]
		pass(time.Until(started.Add(4890 * time.Millisecond)))
		require.False(t, k.Trusted(fence), "the renewal before is too old, this one has no answer yet")
		pass(20 * time.Millisecond)
		require.True(t, k.Trusted(fence))
		s.change(func(s *script) { s.down = true })
		pass(time.Until(started.Add(5 * time.Second)))
		require.False(t, k.Trusted(fence))
	})
}

func TestTheRhythm(t *testing.T) {
	t.Parallel()
	s := &script{}
	synctest.Test(t, func(t *testing.T) {
		start(t, s)
		pass(100 * time.Second)
		renewed := s.renewed()
		healthy := len(renewed)
		require.InDelta(t, 100, healthy, 10)
		differ := make(map[time.Duration]bool)
		for i := 2; i < healthy; i++ {
			pause := renewed[i].Sub(renewed[i-1])
			require.InDelta(t, time.Second, pause, float64(110*time.Millisecond))
			differ[pause] = true
		}
		require.Greater(t, len(differ), healthy/2, "jitter")
		s.change(func(s *script) { s.down = true })
		pass(100 * time.Second)
		require.InDelta(t, 400, len(s.renewed())-healthy, 40, "in doubt it asks more often")
	})
}

// A take may be slow; the renewals of what is held already come first.
func TestTakingDoesNotDelayRenewals(t *testing.T) {
	t.Parallel()
	s := &script{takes: 300 * time.Millisecond, survey: lease.Survey{Shards: 64, Hosts: 1}}
	for n := range 64 {
		s.survey.Free = append(s.survey.Free, n)
	}
	synctest.Test(t, func(t *testing.T) {
		k := start(t, s)
		pass(time.Minute)
		require.GreaterOrEqual(t, len(k.Events()), 64)
		renewed := s.renewed()
		for i := 1; i < len(renewed); i++ {
			require.Less(t, renewed[i].Sub(renewed[i-1]), 1500*time.Millisecond)
		}
	})
}

// An owner that does not drain its events stops the taking, never the renewing, and misses no loss.
func TestAnOwnerThatDoesNotDrain(t *testing.T) {
	t.Parallel()
	s := &script{survey: lease.Survey{Shards: 8, Hosts: 1, Free: []int{0, 1, 2, 3, 4, 5, 6, 7}}}
	synctest.Test(t, func(t *testing.T) {
		k := start(t, s)
		s.change(func(s *script) { s.deny = true }) // everything is lost as soon as it is gained
		pass(time.Hour)
		full := len(k.Events())
		require.LessOrEqual(t, full, cap(k.Events()))
		require.Greater(t, full, cap(k.Events())-2)
		before := len(s.renewed())
		pass(10 * time.Second)
		require.Greater(t, len(s.renewed()), before+8)
		require.Len(t, k.Events(), full)

		held := make(map[int]uuid.UUID)
		for range full {
			switch e := (<-k.Events()).(type) {
			case shard.Gained:
				require.NotContains(t, held, e.Fence.Shard)
				held[e.Fence.Shard] = e.Fence.Term
			case shard.Lost:
				require.Equal(t, held[e.Shard], e.Term)
				delete(held, e.Shard)
			}
		}
		require.Empty(t, held)
		pass(2 * time.Second)
		require.NotEmpty(t, k.Events(), "it goes on")
	})
}

func TestNotMoreThanTheShare(t *testing.T) {
	t.Parallel()
	s := &script{survey: lease.Survey{Shards: 7, Hosts: 2, Expired: []int{2, 3, 4, 5, 6}}}
	synctest.Test(t, func(t *testing.T) {
		k := start(t, s)
		pass(5 * time.Second)
		s.change(func(s *script) { s.survey.Shards = 0 }) // no share: the row of renewals gets long enough
		pass(5 * time.Second)
		require.Empty(t, k.Events())
		s.change(func(s *script) { s.survey.Shards, s.survey.Free = 7, []int{0, 1} })
		pass(time.Minute)
		require.Len(t, k.Events(), 4, "⌈7 / 2⌉, of both kinds together")
	})
}

// What its owner released while a renewal was under way is not lost, whatever the renewal says.
func TestReleaseDuringARenewal(t *testing.T) {
	t.Parallel()
	s := &script{survey: lease.Survey{Shards: 1, Hosts: 1, Free: []int{0}}}
	synctest.Test(t, func(t *testing.T) {
		k := start(t, s)
		fence, _ := gained(t, k)
		s.change(func(s *script) { s.survey.Free, s.slowness, s.deny = nil, time.Second, true })
		for n := len(s.renewed()); len(s.renewed()) == n; {
			pass(10 * time.Millisecond)
		}
		require.NoError(t, k.Release(t.Context(), fence))
		pass(time.Minute)
		require.Empty(t, k.Events())
	})
}

// One shard at a time, and none while the owner has yet to close the last.
func TestSurplusIsAskedForOneByOne(t *testing.T) {
	t.Parallel()
	s := &script{survey: lease.Survey{Shards: 4, Hosts: 1, Free: []int{0, 1, 2, 3}}}
	synctest.Test(t, func(t *testing.T) {
		k := start(t, s)
		for range 4 {
			gained(t, k)
		}
		s.change(func(s *script) { s.survey = lease.Survey{Shards: 4, Hosts: 2} })
		for range 2 {
			pass(time.Minute)
			require.Len(t, k.Events(), 1)
			fence := (<-k.Events()).(shard.Surplus).Fence
			require.True(t, k.Trusted(fence), "held until it is released")
			require.NoError(t, k.Release(t.Context(), fence))
			require.False(t, k.Trusted(fence))
			require.NoError(t, k.Release(t.Context(), fence), "a second time")
		}
		pass(time.Minute)
		require.Empty(t, k.Events())
	})
}

func TestDrainTakesNothing(t *testing.T) {
	t.Parallel()
	s := &script{survey: lease.Survey{Shards: 2, Hosts: 1}}
	synctest.Test(t, func(t *testing.T) {
		k := start(t, s)
		k.Drain()
		s.change(func(s *script) { s.survey.Free, s.survey.Expired = []int{0}, []int{1} })
		pass(time.Minute)
		require.Empty(t, k.Events())
		require.Greater(t, len(s.renewed()), 50)
	})
}

func TestConfigThatCannotWork(t *testing.T) {
	t.Parallel()
	for _, c := range []shard.Config{
		{Interval: 3 * time.Second}, {Interval: -1}, {Margin: -1}, {Interval: 2 * time.Second, Margin: 3 * time.Second},
	} {
		_, err := shard.New(&script{}, c, nil)
		require.ErrorContains(t, err, "cannot be kept")
	}
}
