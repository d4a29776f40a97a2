package shard_test

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"wafleet/hosts/internal/shard"
	"wafleet/shared/lease"
	"wafleet/shared/store"
	"wafleet/shared/store/pgtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const patience = 20 * time.Second

func newPool(t *testing.T, shards int) *pgxpool.Pool {
	t.Helper()
	pool := pgtest.New(t, pgtest.MaxConns(12))
	_, err := store.EnsureInstallation(t.Context(), pool, shards)
	require.NoError(t, err)
	return pool
}

// host is a Keeper with an owner that drains its events and closes what it is asked for.
type host struct {
	*shard.Keeper

	kill func() // ends it as a dying process would, and waits until it is gone

	mu     sync.Mutex // guards what follows
	events []shard.Event
	mine   map[int]store.Fence
}

// leases is the row protocol with its announcements.
type leases interface {
	shard.Leases
	Listen(ctx context.Context, logger *slog.Logger, told func())
}

// startHost starts a Keeper that renews six times within the TTL.
func startHost(t *testing.T, id string, leases leases) *host {
	t.Helper()
	logger := slog.New(slog.DiscardHandler)
	keeper, err := shard.New(leases, shard.Config{HostID: id, Interval: leases.TTL() / 6}, logger)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	h := &host{Keeper: keeper, mine: make(map[int]store.Fence)}
	require.NoError(t, keeper.Start(ctx))
	var owner sync.WaitGroup
	owner.Go(func() { h.own(ctx, t) })
	owner.Go(func() { leases.Listen(ctx, logger, keeper.Hurry) })
	h.kill = func() {
		cancel()
		owner.Wait()
	}
	t.Cleanup(h.kill)
	return h
}

func (h *host) own(ctx context.Context, t *testing.T) {
	t.Helper()
	for e := range h.Events() {
		h.mu.Lock()
		h.events = append(h.events, e)
		switch e := e.(type) {
		case shard.Gained:
			if _, again := h.mine[e.Fence.Shard]; again {
				t.Errorf("shard %d was gained twice", e.Fence.Shard)
			}
			h.mine[e.Fence.Shard] = e.Fence
			if e.Handed {
				if err := h.Settle(ctx, e.Fence); err != nil && ctx.Err() == nil {
					t.Errorf("settle: %v", err)
				}
			}
		case shard.Lost:
			if h.mine[e.Shard].Term != e.Term {
				t.Errorf("shard %d was lost under a term that it was not gained under", e.Shard)
			}
			delete(h.mine, e.Shard)
		case shard.Surplus:
			delete(h.mine, e.Fence.Shard)
			if err := h.Release(ctx, e.Fence); err != nil && ctx.Err() == nil {
				t.Errorf("release: %v", err)
			}
		}
		h.mu.Unlock()
	}
}

func (h *host) fences() []store.Fence {
	h.mu.Lock()
	defer h.mu.Unlock()
	fences := make([]store.Fence, 0, len(h.mine))
	for _, fence := range h.mine {
		fences = append(fences, fence)
	}
	slices.SortFunc(fences, func(a, b store.Fence) int { return a.Shard - b.Shard })
	return fences
}

func (h *host) log() []shard.Event {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.events)
}

// owns waits until the host has so many shards.
func (h *host) owns(t *testing.T, shards int) []store.Fence {
	t.Helper()
	require.Eventually(t, func() bool { return len(h.fences()) == shards }, patience, 5*time.Millisecond)
	return h.fences()
}

func table(t *testing.T, pool *pgxpool.Pool, id string, ttl time.Duration) *lease.Table {
	t.Helper()
	leases, err := lease.New(pool, lease.Config{HostID: id, TTL: ttl})
	require.NoError(t, err)
	return leases
}

func TestOneHostTakesAll(t *testing.T) {
	t.Parallel()
	pool := newPool(t, 8)
	a := startHost(t, "a", table(t, pool, "a", time.Second))
	for i, fence := range a.owns(t, 8) {
		require.Equal(t, i, fence.Shard)
		require.Equal(t, "a", fence.HostID)
		require.True(t, a.Trusted(fence))
		require.NoError(t, store.New(pool, nil).CheckFence(t.Context(), fence))
		require.False(t, a.Trusted(store.Fence{Shard: i, Term: uuid.New()}), "another term")
	}
	require.False(t, a.Trusted(store.Fence{Shard: 8}))
}

// A dead host's shards are taken when their leases have run out, and not before the successor has renewed for as long.
func TestTakeOverOfADeadHost(t *testing.T) {
	t.Parallel()
	const ttl = 600 * time.Millisecond
	pool := newPool(t, 3)
	a := startHost(t, "a", table(t, pool, "a", ttl))
	old := a.owns(t, 3)
	a.kill()
	var expiry time.Time
	require.NoError(t, pool.QueryRow(t.Context(), `SELECT max(expires_at) FROM shard_lease`).Scan(&expiry))

	started := time.Now()
	b := startHost(t, "b", table(t, pool, "b", ttl))
	fences := b.owns(t, 3)
	require.GreaterOrEqual(t, time.Since(started), ttl, "an unbroken row of its own renewals")
	var now time.Time
	require.NoError(t, pool.QueryRow(t.Context(), `SELECT now()`).Scan(&now))
	require.True(t, now.After(expiry))
	for i, fence := range fences {
		require.NotEqual(t, old[i].Term, fence.Term)
		require.ErrorIs(t, store.New(pool, nil).CheckFence(t.Context(), old[i]), store.ErrFenced)
	}
	var epochs int
	require.NoError(t, pool.QueryRow(t.Context(), `SELECT count(*) FROM shard_lease WHERE epoch = 2`).Scan(&epochs))
	require.Equal(t, 3, epochs)
}

// With a TTL of a minute nothing can have expired: what changes hands here was given away.
func TestADrainHandsEverythingOver(t *testing.T) {
	t.Parallel()
	const shards = 9
	pool := newPool(t, shards)
	a := startHost(t, "a", quick{table(t, pool, "a", time.Minute)})
	a.owns(t, shards)
	b := startHost(t, "b", quick{table(t, pool, "b", time.Minute)})
	a.owns(t, 5)
	b.owns(t, 4)
	require.NoError(t, a.Drain(t.Context()))
	require.Empty(t, a.fences())
	require.Len(t, b.fences(), shards)
	require.NoError(t, a.Stop(t.Context()))
	a.kill()
	handed := 0
	for _, e := range b.log() {
		require.IsType(t, shard.Gained{}, e)
		if e.(shard.Gained).Handed {
			handed++
		}
	}
	require.Equal(t, shards, handed, "none was free for everybody")
	for _, e := range a.log() {
		require.IsNotType(t, shard.Lost{}, e)
	}
}

func TestStopFreesWhatIsLeft(t *testing.T) {
	t.Parallel()
	pool := newPool(t, 4)
	a := startHost(t, "a", quick{table(t, pool, "a", time.Minute)})
	a.owns(t, 4)
	require.NoError(t, a.Drain(t.Context()), "nobody is there")
	require.Len(t, a.fences(), 4)
	require.NoError(t, a.Stop(t.Context()))
	b := startHost(t, "b", quick{table(t, pool, "b", time.Minute)})
	b.owns(t, 4)
	a.kill()
	require.Len(t, a.log(), 4, "a host that stops takes nothing back, and is not told what it gave away")

	require.NoError(t, a.Stop(t.Context()), "a second time")
	b.owns(t, 4)
	var hosts []string
	require.NoError(t, pool.QueryRow(t.Context(), `SELECT array_agg(host_id) FROM hosts`).Scan(&hosts))
	require.Equal(t, []string{"b"}, hosts)
}

// The others of a host that was killed need not wait for its leases.
func TestTheShardsOfABuriedHost(t *testing.T) {
	t.Parallel()
	a, b := share(t)
	a.kill()
	b.Bury("a")
	b.owns(t, 6)
}

// A host that was taken for dead loses its shards in order, and cannot write for them any more.
func TestAWrongGuess(t *testing.T) {
	t.Parallel()
	a, b := share(t)
	old := a.fences()
	b.Bury("a")
	require.Eventually(t, func() bool {
		lost := 0
		for _, e := range a.log() {
			if _, ok := e.(shard.Lost); ok {
				lost++
			}
		}
		return lost == 3
	}, patience, 5*time.Millisecond)
	for _, fence := range old {
		require.False(t, a.Trusted(fence))
		require.ErrorIs(t, a.Gate(fence).Pass(nil), shard.ErrDenied)
	}
	b.owns(t, 3) // and one after the other goes back to it
	a.owns(t, 3)
}

// share is two hosts with three shards each, none of which can expire.
func share(t *testing.T) (a, b *host) {
	t.Helper()
	pool := newPool(t, 6)
	a = startHost(t, "a", quick{table(t, pool, "a", time.Minute)})
	a.owns(t, 6)
	b = startHost(t, "b", quick{table(t, pool, "b", time.Minute)})
	b.owns(t, 3)
	a.owns(t, 3)
	return a, b
}

// quick makes a Keeper with a long TTL look around often.
type quick struct{ *lease.Table }

func (quick) TTL() time.Duration { return 1200 * time.Millisecond }

func TestADeniedRenewalIsALoss(t *testing.T) {
	t.Parallel()
	pool := newPool(t, 2)
	a := startHost(t, "a", quick{table(t, pool, "a", time.Minute)})
	before := a.owns(t, 2)
	_, err := pool.Exec(t.Context(), `UPDATE shard_lease SET host_id = 'thief', term = gen_random_uuid(), epoch = epoch + 1 WHERE shard = 1`)
	require.NoError(t, err)

	require.Equal(t, before[:1], a.owns(t, 1))
	events := a.log()
	require.Equal(t, shard.Lost{Shard: 1, Term: before[1].Term}, events[len(events)-1])
	require.False(t, a.Trusted(before[1]))
	require.True(t, a.Trusted(before[0]))
}

// A host that was alone gives away what is more than its share, one by one, and then nothing moves any more.
func TestShardsAreSharedFairly(t *testing.T) {
	t.Parallel()
	const shards = 7
	pool := newPool(t, shards)
	a := startHost(t, "a", quick{table(t, pool, "a", time.Minute)})
	a.owns(t, shards)
	b := startHost(t, "b", quick{table(t, pool, "b", time.Minute)})
	a.owns(t, 4)
	b.owns(t, 3)
	c := startHost(t, "c", quick{table(t, pool, "c", time.Minute)})
	a.owns(t, 3)
	b.owns(t, 3)
	c.owns(t, 1)

	settled := [][]store.Fence{a.fences(), b.fences(), c.fences()}
	require.Never(t, func() bool {
		return len(a.fences()) != 3 || len(b.fences()) != 3 || len(c.fences()) != 1
	}, 500*time.Millisecond, 10*time.Millisecond)
	require.Equal(t, [][]store.Fence{a.fences(), b.fences(), c.fences()}, settled)
	for _, e := range slices.Concat(a.log(), b.log(), c.log()) {
		require.IsNotType(t, shard.Lost{}, e, "nothing is taken by force")
	}
}

// While the database is away nobody loses anything, and when it is back nobody wins by being first.
func TestAnOutageOfTheDatabase(t *testing.T) {
	t.Parallel()
	const ttl = 600 * time.Millisecond
	pool := newPool(t, 3)
	a := startHost(t, "a", table(t, pool, "a", ttl))
	a.owns(t, 3)
	b := startHost(t, "b", table(t, pool, "b", ttl)) // which would like to have two
	mine, theirs := a.owns(t, 2), b.owns(t, 1)
	known := len(a.log()) + len(b.log())

	restore := outage(t, pool)
	require.True(t, a.Trusted(mine[0]), "still fresh")
	require.Eventually(t, func() bool { return !a.Trusted(mine[0]) && !b.Trusted(theirs[0]) }, patience, 5*time.Millisecond)
	<-time.After(2 * ttl)
	restore()
	require.Eventually(t, func() bool {
		return a.Trusted(mine[0]) && a.Trusted(mine[1]) && b.Trusted(theirs[0])
	}, patience, 5*time.Millisecond)
	require.Never(t, func() bool { return len(a.log())+len(b.log()) != known }, 2*ttl, 10*time.Millisecond)
	require.Equal(t, mine, a.fences())
	require.Equal(t, theirs, b.fences())
}

// outage ends all connections to the database and refuses new ones, until the returned function is called.
func outage(t *testing.T, pool *pgxpool.Pool) (restore func()) {
	t.Helper()
	config := pool.Config().ConnConfig.Copy()
	name := pgx.Identifier{config.Database}.Sanitize()
	target := config.Database
	config.Database = "postgres"
	exec := func(statement string, args ...any) {
		admin, err := pgx.ConnectConfig(t.Context(), config)
		require.NoError(t, err)
		_, err = admin.Exec(t.Context(), statement, args...)
		require.NoError(t, err)
		require.NoError(t, admin.Close(t.Context()))
	}
	exec(`ALTER DATABASE ` + name + ` ALLOW_CONNECTIONS false`)
	exec(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1`, target)
	return func() { exec(`ALTER DATABASE ` + name + ` ALLOW_CONNECTIONS true`) }
}

func TestStartNeedsTheDatabase(t *testing.T) {
	t.Parallel()
	pool := newPool(t, 1)
	restore := outage(t, pool)
	defer restore()
	keeper, err := shard.New(table(t, pool, "a", time.Second), shard.Config{Interval: 100 * time.Millisecond}, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	require.NoError(t, keeper.Stop(t.Context()), "before it was started")
	require.ErrorContains(t, keeper.Start(t.Context()), "start keeper")
	require.NoError(t, keeper.Stop(t.Context()))
}

func TestStopReportsWhatItCouldNotRelease(t *testing.T) {
	t.Parallel()
	pool := newPool(t, 1)
	a := startHost(t, "a", table(t, pool, "a", time.Second))
	a.owns(t, 1)
	restore := outage(t, pool)
	defer restore()
	require.ErrorContains(t, a.Stop(t.Context()), "release leases")
}
