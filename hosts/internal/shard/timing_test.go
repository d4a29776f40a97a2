package shard_test

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strconv"
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
	shards   int
	hosts    []lease.Host
	free     []int // shards that a take gives
	late     []int // and those that it gives if late ones are asked for
	moving   int
	renewals []time.Time
	aims     map[int]string // by shard
}

func (s *script) TTL() time.Duration { return 6 * time.Second }

func (s *script) Survey(context.Context) (lease.Survey, error) {
	defer s.lock()()
	return lease.Survey{Shards: s.shards, Free: len(s.free), Late: len(s.late), Moving: s.moving, Hosts: slices.Clone(s.hosts)}, nil
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

// Take gives the same shards again and again, as if they were lost or released at once.
func (s *script) Take(_ context.Context, claim lease.Claim) (taken []lease.Lease, err error) {
	unlock := s.lock()
	offered, takes := slices.Clone(s.free), s.takes
	if claim.Late {
		offered = append(offered, s.late...)
	}
	unlock()
	<-time.After(takes)
	for _, n := range offered[:min(claim.Most, len(offered))] {
		taken = append(taken, lease.Lease{Fence: store.Fence{Shard: n, Term: uuid.New()}})
	}
	return taken, nil
}

func (s *script) Aim(_ context.Context, held lease.Lease, hostID string) error {
	defer s.lock()()
	if s.aims == nil {
		s.aims = make(map[int]string)
	}
	s.aims[held.Shard] = hostID
	return nil
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

func (s *script) Settle(context.Context, lease.Lease) error { return nil }

func (s *script) Release(context.Context, ...lease.Lease) error { return nil }

func (s *script) Leave(context.Context) error { return nil }

// me is the host of these tests, and them is as many others.
var me = lease.Host{ID: "me"}

func them(n int) (hosts []lease.Host) {
	hosts = append(hosts, me)
	for i := range n {
		hosts = append(hosts, lease.Host{ID: "other " + strconv.Itoa(i)})
	}
	return hosts
}

// start starts a Keeper inside a test's bubble, which has a clock of its own, and ends it with the bubble.
func start(t *testing.T, s shard.Leases) *shard.Keeper {
	t.Helper()
	k, err := shard.New(s, shard.Config{HostID: me.ID}, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	begin(t, k)
	require.Error(t, k.Start(t.Context()), "once is enough")
	return k
}

// begin starts a Keeper, and ends it with the bubble.
func begin(t *testing.T, k *shard.Keeper) {
	t.Helper()
	require.NoError(t, k.Start(t.Context()))
	t.Cleanup(func() {
		require.NoError(t, k.Stop(context.WithoutCancel(t.Context())))
		for range k.Events() { // until it is closed
		}
	})
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
		k := start(t, &script{shards: 1, late: []int{0}})
		_, after := gained(t, k)
		require.GreaterOrEqual(t, after, 6*time.Second)
		require.Less(t, after, 8*time.Second)
	})
}

func TestAFreeLeaseIsTakenAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		k := start(t, &script{shards: 1, free: []int{0}})
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
			s := &script{shards: 1, late: []int{0}}
			synctest.Test(t, func(t *testing.T) {
				k := start(t, s)
				pass(4500 * time.Millisecond) // with the next renewal, whenever it starts, the row is not long enough yet
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
	s := &script{shards: 1, free: []int{0}}
	synctest.Test(t, func(t *testing.T) {
		k := start(t, s)
		fence, _ := gained(t, k)
		s.change(func(s *script) { s.free = nil })
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
	s := &script{shards: 1, free: []int{0}}
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

// Everything that is missing comes at once, however slow that is.
func TestAColdStartIsOneTake(t *testing.T) {
	t.Parallel()
	s := &script{takes: 300 * time.Millisecond, shards: 64}
	for n := range 64 {
		s.free = append(s.free, n)
	}
	synctest.Test(t, func(t *testing.T) {
		k := start(t, s)
		pass(300 * time.Millisecond)
		require.Len(t, k.Events(), 64)
		s.change(func(s *script) { s.free = nil })
		pass(time.Minute)
		renewed := s.renewed()
		for i := 1; i < len(renewed); i++ {
			require.Less(t, renewed[i].Sub(renewed[i-1]), 1500*time.Millisecond)
		}
	})
}

// A host that sees no other waits a moment before it takes everything: they may be starting as well.
func TestGrace(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		others int
		want   int
		after  time.Duration
	}{
		"alone":        {others: 0, want: 4, after: time.Second},
		"among others": {others: 1, want: 2, after: 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := &script{shards: 4, free: []int{0, 1, 2, 3}, hosts: them(c.others)}
			synctest.Test(t, func(t *testing.T) {
				k, err := shard.New(s, shard.Config{HostID: me.ID, Grace: 500 * time.Millisecond}, slog.New(slog.DiscardHandler))
				require.NoError(t, err)
				begin(t, k)
				_, after := gained(t, k)
				require.InDelta(t, c.after, after, float64(150*time.Millisecond))
				synctest.Wait()
				require.Len(t, k.Events(), c.want-1)
			})
		})
	}
}

// An owner that does not drain its events stops the taking, never the renewing, and misses no loss.
func TestAnOwnerThatDoesNotDrain(t *testing.T) {
	t.Parallel()
	s := &script{shards: 8, free: []int{0, 1, 2, 3, 4, 5, 6, 7}}
	synctest.Test(t, func(t *testing.T) {
		k := start(t, s)
		s.change(func(s *script) { s.deny = true }) // everything is lost as soon as it is gained
		pass(time.Hour)
		full := len(k.Events())
		require.LessOrEqual(t, full, cap(k.Events()))
		require.Greater(t, full, cap(k.Events())-3)
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
	s := &script{hosts: them(1), late: []int{2, 3, 4, 5, 6}}
	synctest.Test(t, func(t *testing.T) {
		k := start(t, s)
		pass(10 * time.Second) // no share: the row of renewals gets long enough
		require.Empty(t, k.Events())
		s.change(func(s *script) { s.shards, s.free = 7, []int{0, 1} })
		pass(time.Minute)
		require.Len(t, k.Events(), 4, "⌈7 / 2⌉, of both kinds together")
	})
}

// What its owner released while a renewal was under way is not lost, whatever the renewal says.
func TestReleaseDuringARenewal(t *testing.T) {
	t.Parallel()
	s := &script{shards: 1, free: []int{0}}
	synctest.Test(t, func(t *testing.T) {
		k := start(t, s)
		fence, _ := gained(t, k)
		s.change(func(s *script) { s.free, s.slowness, s.deny = nil, time.Second, true })
		for n := len(s.renewed()); len(s.renewed()) == n; {
			pass(10 * time.Millisecond)
		}
		require.NoError(t, k.Release(t.Context(), fence))
		pass(time.Minute)
		require.Empty(t, k.Events())
	})
}

// One shard at a time, and none while the owner has yet to close the last or the last has yet to arrive.
func TestSurplusIsAskedForOneByOne(t *testing.T) {
	t.Parallel()
	s := &script{shards: 4, free: []int{0, 1, 2, 3}}
	synctest.Test(t, func(t *testing.T) {
		k := start(t, s)
		for range 4 {
			gained(t, k)
		}
		s.change(func(s *script) { s.free, s.hosts = nil, them(1) })
		for range 2 {
			pass(time.Minute)
			require.Len(t, k.Events(), 1)
			fence := (<-k.Events()).(shard.Surplus).Fence
			require.True(t, k.Trusted(fence), "held until it is released")
			require.Equal(t, "other 0", s.aims[fence.Shard])
			s.change(func(s *script) { s.moving = 1 })
			require.NoError(t, k.Release(t.Context(), fence))
			require.False(t, k.Trusted(fence))
			require.NoError(t, k.Release(t.Context(), fence), "a second time")
			pass(time.Minute)
			require.Empty(t, k.Events())
			s.change(func(s *script) { s.moving = 0 })
		}
		pass(time.Minute)
		require.Empty(t, k.Events())
	})
}

// tenants is companies of which a test knows what they are doing.
type tenants struct {
	mu      sync.Mutex // guards pairing
	pairing int        // the shard of one that is in the middle of it; -1: none
	due     []int
	err     error
}

func (c *tenants) Pairing(n int) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return n == c.pairing
}

func (c *tenants) Due(_ context.Context, shards []int) ([]int, error) {
	return slices.DeleteFunc(slices.Clone(shards), func(n int) bool { return !slices.Contains(c.due, n) }), c.err
}

// hold gives a Keeper with these companies so many shards.
func hold(t *testing.T, s *script, companies shard.Companies, shards int) *shard.Keeper {
	t.Helper()
	k, err := shard.New(s, shard.Config{HostID: me.ID, Companies: companies}, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	s.shards = shards
	for n := range shards {
		s.free = append(s.free, n)
	}
	begin(t, k)
	for range shards {
		gained(t, k)
	}
	s.change(func(s *script) { s.free = nil })
	return k
}

func TestAShardWithSomebodyPairingStays(t *testing.T) {
	t.Parallel()
	s, c := &script{}, &tenants{pairing: 1}
	synctest.Test(t, func(t *testing.T) {
		k := hold(t, s, c, 2)
		s.change(func(s *script) { s.hosts = them(1) })
		pass(2 * time.Second)
		require.Equal(t, 0, (<-k.Events()).(shard.Surplus).Fence.Shard)
	})
}

func TestADrainHandsOverAFewAtATime(t *testing.T) {
	t.Parallel()
	s, c := &script{}, &tenants{pairing: 5, due: []int{7, 2}}
	synctest.Test(t, func(t *testing.T) {
		k := hold(t, s, c, 8)
		s.change(func(s *script) {
			s.hosts = append(them(2), lease.Host{ID: "draining", Draining: true})
			s.hosts[0].Draining, s.hosts[1].Shards = true, 1
		})
		done := make(chan error, 1)
		go func() { done <- k.Drain(t.Context()) }()
		synctest.Wait()
		require.Len(t, k.Events(), 4, "in flight")
		var order []int
		next := func() {
			fence := (<-k.Events()).(shard.Surplus).Fence
			order = append(order, fence.Shard)
			require.NoError(t, k.Release(t.Context(), fence))
			synctest.Wait()
		}
		next()
		next()
		require.ElementsMatch(t, []int{2, 7}, order, "those with messages first")
		require.Len(t, k.Events(), 4)
		s.change(func(s *script) { s.moving = 4 })
		next()
		require.Len(t, k.Events(), 3, "enough are on their way")
		s.change(func(s *script) { s.moving = 0 })
		for range 4 {
			next()
		}
		require.NotContains(t, order, 5)
		pass(time.Minute)
		require.Empty(t, k.Events(), "somebody is pairing")
		require.Empty(t, done)
		c.mu.Lock()
		c.pairing = -1
		c.mu.Unlock()
		pass(2 * time.Second)
		next()
		require.NoError(t, <-done)
		to := make(map[string]int)
		for _, host := range s.aims {
			to[host]++
		}
		require.Len(t, to, 2, "spread over those that serve")
		require.NoError(t, k.Drain(t.Context()), "again")
	})
}

func TestADrainEnds(t *testing.T) {
	t.Parallel()
	t.Run("when nobody is there to take anything", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			k := hold(t, &script{hosts: []lease.Host{me, {ID: "b", Draining: true}}}, nil, 2)
			require.NoError(t, k.Drain(t.Context()))
			require.Empty(t, k.Events())
		})
	})
	t.Run("with its context", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			s := &script{}
			k := hold(t, s, nil, 2)
			s.change(func(s *script) { s.hosts = them(1) })
			ctx, cancel := context.WithTimeout(t.Context(), 15*time.Second)
			defer cancel()
			require.ErrorIs(t, k.Drain(ctx), context.DeadlineExceeded, "nobody closes what is asked for")
		})
	})
	t.Run("before the Keeper was started", func(t *testing.T) {
		t.Parallel()
		k, err := shard.New(&script{}, shard.Config{}, slog.New(slog.DiscardHandler))
		require.NoError(t, err)
		require.NoError(t, k.Drain(t.Context()))
	})
}

// The due messages of companies decide an order, no more.
func TestADrainWithoutAnOrder(t *testing.T) {
	t.Parallel()
	s := &script{}
	synctest.Test(t, func(t *testing.T) {
		k := hold(t, s, &tenants{pairing: -1, err: errDown}, 2)
		s.change(func(s *script) { s.hosts = them(1) })
		go func() { _ = k.Drain(t.Context()) }()
		synctest.Wait()
		require.Len(t, k.Events(), 2)
	})
}

func TestDrainTakesNothing(t *testing.T) {
	t.Parallel()
	s := &script{shards: 2}
	synctest.Test(t, func(t *testing.T) {
		k := start(t, s)
		require.NoError(t, k.Drain(t.Context()))
		s.change(func(s *script) { s.free, s.late = []int{0}, []int{1} })
		pass(time.Minute)
		require.Empty(t, k.Events())
		require.Greater(t, len(s.renewed()), 50)
	})
}

// The others of a host whose process has ended take its shards without waiting for anything.
func TestBury(t *testing.T) {
	t.Parallel()
	s := &mortal{script: script{shards: 4, hosts: them(1)}, of: map[string][]int{"other 0": {2, 3}}}
	synctest.Test(t, func(t *testing.T) {
		s.free = []int{0, 1}
		k := start(t, s)
		gained(t, k)
		gained(t, k)
		s.change(func(s *script) { s.free = nil })
		pass(time.Minute)
		require.Empty(t, k.Events())
		k.Bury("other 0")
		synctest.Wait()
		require.Len(t, k.Events(), 2, "at once, and its share is not counted any more")
		gained(t, k)
		gained(t, k)
		s.change(func(s *script) { s.hosts = them(0) })
		pass(time.Minute)
		s.change(func(script *script) { s.of["other 0"], script.shards = []int{4, 5}, 8 })
		pass(time.Minute)
		require.Empty(t, k.Events(), "after a while it is a host like any other")
	})
}

// mortal is a script in which hosts can die.
type mortal struct {
	script

	of map[string][]int // shards of hosts
}

func (m *mortal) Take(ctx context.Context, claim lease.Claim) ([]lease.Lease, error) {
	taken, err := m.script.Take(ctx, claim)
	defer m.lock()()
	for _, host := range claim.Dead {
		for _, n := range m.of[host] {
			taken = append(taken, lease.Lease{Fence: store.Fence{Shard: n, Term: uuid.New()}})
		}
	}
	return taken, err
}

// Whoever watches the other hosts is told of them, and not of this one.
func TestPeers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		told := make(chan []lease.Host, 1000)
		k, err := shard.New(&script{hosts: them(2)}, shard.Config{HostID: me.ID, Peers: func(others []lease.Host) { told <- others }},
			slog.New(slog.DiscardHandler))
		require.NoError(t, err)
		begin(t, k)
		require.Equal(t, them(2)[1:], <-told)
		k.Bury("other 1")
		synctest.Wait()
		require.Equal(t, them(1)[1:], <-told, "the dead need no watching")
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
