package lease_test

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

	"wafleet/shared/lease"
	"wafleet/shared/store"
	"wafleet/shared/store/db"
	"wafleet/shared/store/pgtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const shards = 4

func newPool(t *testing.T, opts ...pgtest.Option) *pgxpool.Pool {
	t.Helper()
	pool := pgtest.New(t, opts...)
	_, err := store.EnsureInstallation(t.Context(), pool, shards)
	require.NoError(t, err)
	return pool
}

func table(t *testing.T, pool *pgxpool.Pool, host string) *lease.Table {
	t.Helper()
	leases, err := lease.New(pool, lease.Config{HostID: host, Version: "test", Peer: "peer of " + host, TTL: time.Minute})
	require.NoError(t, err)
	return leases
}

// expire lets the time to live of all leases pass.
func expire(t *testing.T, pool *pgxpool.Pool) {
	t.Helper()
	_, err := pool.Exec(t.Context(), `UPDATE shard_lease SET expires_at = now() - interval '1 second' WHERE host_id IS NOT NULL`)
	require.NoError(t, err)
}

func survey(t *testing.T, leases *lease.Table) lease.Survey {
	t.Helper()
	s, err := leases.Survey(t.Context())
	require.NoError(t, err)
	return s
}

func TestConfig(t *testing.T) {
	t.Parallel()
	_, err := lease.New(nil, lease.Config{})
	require.ErrorContains(t, err, "host id")
	_, err = lease.New(nil, lease.Config{HostID: "a", TTL: -time.Second})
	require.ErrorContains(t, err, "-1s")
	leases, err := lease.New(nil, lease.Config{HostID: "a"})
	require.NoError(t, err)
	require.Equal(t, 6*time.Second, leases.TTL())
}

// take takes so many shards, and requires to get them.
func take(t *testing.T, leases *lease.Table, claim lease.Claim, want int) []lease.Lease {
	t.Helper()
	taken, err := leases.Take(t.Context(), claim)
	require.NoError(t, err)
	require.Len(t, taken, want)
	return taken
}

// beat gives a sign of life.
func beat(t *testing.T, leases *lease.Table, draining bool) {
	t.Helper()
	_, err := leases.Renew(t.Context(), nil, draining)
	require.NoError(t, err)
}

func TestTakeFree(t *testing.T) {
	t.Parallel()
	pool := newPool(t)
	a, b := table(t, pool, "a"), table(t, pool, "b")
	terms := make(map[uuid.UUID]bool)
	for _, mine := range take(t, a, lease.Claim{Most: 3}, 3) {
		require.Equal(t, "a", mine.HostID)
		require.EqualValues(t, 1, mine.Epoch)
		require.NotEqual(t, uuid.Nil, mine.Term)
		require.False(t, mine.Handed)
		terms[mine.Term] = true
	}
	require.Len(t, terms, 3, "each has its own")
	take(t, b, lease.Claim{Most: shards, Late: true}, 1)
	for _, host := range []*lease.Table{a, b} {
		take(t, host, lease.Claim{Most: shards, Late: true}, 0)
	}
}

func TestTakeLate(t *testing.T) {
	t.Parallel()
	pool := newPool(t)
	a, b := table(t, pool, "a"), table(t, pool, "b")
	old := take(t, a, lease.Claim{Most: shards}, shards)
	expire(t, pool)
	require.Equal(t, shards, survey(t, b).Late)

	take(t, b, lease.Claim{Most: shards}, 0)
	taken := take(t, b, lease.Claim{Most: 1, Late: true}, 1)[0]
	require.EqualValues(t, 2, taken.Epoch)

	still, err := a.Renew(t.Context(), old, false)
	require.NoError(t, err)
	require.Len(t, still, shards-1, "one is denied")
	require.NoError(t, a.Release(t.Context(), old...), "there is one less to give back")
	still, err = b.Renew(t.Context(), []lease.Lease{taken}, false)
	require.NoError(t, err)
	require.Equal(t, []lease.Lease{taken}, still)
}

// The leases of a host whose process has ended need not run out first.
func TestTakeFromTheDead(t *testing.T) {
	t.Parallel()
	pool := newPool(t)
	a, b, c := table(t, pool, "a"), table(t, pool, "b"), table(t, pool, "c")
	old := take(t, a, lease.Claim{Most: 2}, 2)
	take(t, c, lease.Claim{Most: 2}, 2)
	take(t, b, lease.Claim{Most: shards, Dead: []string{"x"}}, 0)
	for _, taken := range take(t, b, lease.Claim{Most: shards, Dead: []string{"x", "a"}}, 2) {
		require.EqualValues(t, 2, taken.Epoch)
	}
	still, err := a.Renew(t.Context(), old, false)
	require.NoError(t, err)
	require.Empty(t, still, "had it been alive, it would know now")
}

// A shard whose old holder is still writing is left alone: a take waits for nobody.
func TestTakeLeavesWhatIsInUse(t *testing.T) {
	t.Parallel()
	pool := newPool(t)
	a, b := table(t, pool, "a"), table(t, pool, "b")
	mine := take(t, a, lease.Claim{Most: 1}, 1)[0]
	expire(t, pool)
	err := store.New(pool, nil).FencedTx(t.Context(), mine.Fence, func(pgx.Tx) error {
		for _, taken := range take(t, b, lease.Claim{Most: shards, Late: true}, shards-1) {
			require.NotEqual(t, mine.Shard, taken.Shard)
		}
		return nil
	})
	require.NoError(t, err)
	take(t, b, lease.Claim{Most: shards, Late: true}, 1)
}

// A shard that is handed over is its target's alone for a while, and on its way until it is settled.
func TestHandOver(t *testing.T) {
	t.Parallel()
	pool := newPool(t)
	a, b, c := table(t, pool, "a"), table(t, pool, "b"), table(t, pool, "c")
	for _, host := range []*lease.Table{a, b, c} {
		beat(t, host, false)
	}
	held := take(t, a, lease.Claim{Most: shards}, shards)
	require.NoError(t, a.Aim(t.Context(), held[0], "b"))
	require.NoError(t, a.Aim(t.Context(), lease.Lease{Fence: store.Fence{Shard: 1, Term: uuid.New()}}, "b"), "passed over")
	require.Zero(t, survey(t, a).Moving, "not yet")
	require.Equal(t, 1, survey(t, b).Hosts[1].Shards, "but it counts as the other's")
	require.NoError(t, a.Release(t.Context(), held[0]))

	require.Equal(t, 1, survey(t, a).Moving)
	require.Zero(t, survey(t, a).Free)
	require.Equal(t, lease.Survey{Shards: shards, Free: 1, Handed: 1, Moving: 1, Hosts: survey(t, b).Hosts}, survey(t, b))
	take(t, c, lease.Claim{Most: shards, Late: true}, 0)
	got := take(t, b, lease.Claim{Most: shards}, 1)[0]
	require.True(t, got.Handed)
	require.Equal(t, 1, survey(t, a).Moving, "its sessions are connecting")
	require.NoError(t, a.Settle(t.Context(), held[0]), "not a's to say")
	require.Equal(t, 1, survey(t, a).Moving)
	require.NoError(t, b.Settle(t.Context(), got))
	require.Zero(t, survey(t, a).Moving)

	require.NoError(t, a.Aim(t.Context(), held[1], "b"))
	require.NoError(t, a.Release(t.Context(), held[1]))
	_, err := pool.Exec(t.Context(), `UPDATE shard_lease SET expires_at = now() - interval '1 ms' WHERE target = 'b'`)
	require.NoError(t, err)
	require.Zero(t, survey(t, a).Moving, "it was not called for")
	require.Equal(t, 1, survey(t, c).Free)
	require.False(t, take(t, c, lease.Claim{Most: shards}, 1)[0].Handed)
}

// After an outage of the database everything is late; whoever still has its term goes on.
func TestRenewAsksForTheTermOnly(t *testing.T) {
	t.Parallel()
	pool := newPool(t)
	a := table(t, pool, "a")
	mine := take(t, a, lease.Claim{Most: 1}, 1)[0]
	expire(t, pool)
	require.Equal(t, 1, survey(t, a).Late)

	still, err := a.Renew(t.Context(), []lease.Lease{mine}, false)
	require.NoError(t, err)
	require.Equal(t, []lease.Lease{mine}, still)
	require.Zero(t, survey(t, a).Late)
}

func TestRenewTellsWhatIsLost(t *testing.T) {
	t.Parallel()
	pool := newPool(t)
	a := table(t, pool, "a")
	held := take(t, a, lease.Claim{Most: shards}, shards)
	slices.SortFunc(held, func(a, b lease.Lease) int { return a.Shard - b.Shard })
	_, err := pool.Exec(t.Context(), `UPDATE shard_lease SET term = gen_random_uuid() WHERE shard IN (0, 2)`)
	require.NoError(t, err)
	still, err := a.Renew(t.Context(), held, false)
	require.NoError(t, err)
	require.Equal(t, []lease.Lease{held[1], held[3]}, still)
}

func TestRelease(t *testing.T) {
	t.Parallel()
	pool := newPool(t)
	a, b := table(t, pool, "a"), table(t, pool, "b")
	mine := take(t, a, lease.Claim{Most: 1}, 1)[0]
	require.Equal(t, shards-1, survey(t, a).Free)
	require.NoError(t, a.Release(t.Context(), mine))
	require.Equal(t, shards, survey(t, a).Free)

	next := take(t, b, lease.Claim{Most: shards}, shards)
	i := slices.IndexFunc(next, func(l lease.Lease) bool { return l.Shard == mine.Shard })
	require.EqualValues(t, 2, next[i].Epoch, "at once, and the epoch goes on")
	require.NoError(t, a.Release(t.Context(), mine), "a second time")
	still, err := b.Renew(t.Context(), next, false)
	require.NoError(t, err)
	require.Len(t, still, shards, "and takes nothing from the new holder")
}

// Whoever may take a shard, or waits for one to arrive, is told at once.
func TestAnnouncements(t *testing.T) {
	t.Parallel()
	pool := newPool(t)
	a, b, c := table(t, pool, "a"), table(t, pool, "b"), table(t, pool, "c")
	ctx, cancel := context.WithCancel(t.Context())
	var listeners sync.WaitGroup
	listen := func(leases *lease.Table) <-chan struct{} {
		told := make(chan struct{}, 100)
		listeners.Go(func() { leases.Listen(ctx, slog.New(slog.DiscardHandler), func() { told <- struct{}{} }) })
		<-told // it listens
		return told
	}
	toB, toC := listen(b), listen(c)
	told := func(by ...<-chan struct{}) {
		t.Helper()
		for _, ch := range by {
			select {
			case <-ch:
			case <-time.After(10 * time.Second):
				require.Fail(t, "nothing was announced")
			}
		}
	}
	held := take(t, a, lease.Claim{Most: shards}, shards)
	require.NoError(t, a.Release(t.Context(), held[0]))
	told(toB, toC)
	require.NoError(t, a.Aim(t.Context(), held[1], "b"))
	require.NoError(t, a.Release(t.Context(), held[1]))
	told(toB)
	require.Empty(t, toC, "it is none of its business")
	for _, l := range take(t, b, lease.Claim{Most: 2}, 2) {
		require.NoError(t, b.Settle(t.Context(), l))
	}
	told(toB, toC)
	require.NoError(t, db.New().ReleaseLeasesOfHost(t.Context(), pool, "a"))
	told(toB, toC)

	_, err := pool.Exec(t.Context(), `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
		WHERE datname = current_database() AND query LIKE 'LISTEN wafleet_leases%'`)
	require.NoError(t, err)
	told(toB, toC) // they listen again, and look for what they missed
	cancel()
	listeners.Wait()
	require.Empty(t, toB)
	require.Empty(t, toC)
}

func TestSurveyListsHosts(t *testing.T) {
	t.Parallel()
	pool := newPool(t)
	a, b, c := table(t, pool, "a"), table(t, pool, "b"), table(t, pool, "c")
	require.Equal(t, lease.Survey{Shards: shards, Free: shards, Hosts: []lease.Host{}}, survey(t, a))
	beat(t, a, false)
	beat(t, b, false)
	beat(t, c, true)
	take(t, b, lease.Claim{Most: 2}, 2)
	require.Equal(t, []lease.Host{
		{ID: "a", Peer: "peer of a"}, {ID: "b", Peer: "peer of b", Shards: 2}, {ID: "c", Peer: "peer of c", Draining: true},
	}, survey(t, a).Hosts)
	beat(t, b, true)
	require.True(t, survey(t, a).Hosts[1].Draining)
	beat(t, b, false)
	require.False(t, survey(t, a).Hosts[1].Draining)

	_, err := pool.Exec(t.Context(), `UPDATE hosts SET heartbeat_at = now() - interval '61 seconds' WHERE host_id = 'b'`)
	require.NoError(t, err)
	require.Len(t, survey(t, a).Hosts, 2, "one is silent for longer than a lease lives")
	_, err = pool.Exec(t.Context(), `UPDATE hosts SET heartbeat_at = now() - interval '2 days' WHERE host_id = 'b'`)
	require.NoError(t, err)

	require.NoError(t, a.Leave(t.Context()))
	hosts, err := db.New().ListHosts(t.Context(), pool)
	require.NoError(t, err)
	require.Len(t, hosts, 1)
	require.Equal(t, "c", hosts[0].HostID)
	require.Equal(t, "test", hosts[0].Version)
	var rows int
	require.NoError(t, pool.QueryRow(t.Context(), `SELECT count(*) FROM hosts`).Scan(&rows))
	require.Equal(t, 1, rows, "the silent one is forgotten")
}

func TestReleaseAll(t *testing.T) {
	t.Parallel()
	pool := newPool(t)
	for _, host := range []string{"a", "b"} {
		leases := table(t, pool, host)
		take(t, leases, lease.Claim{Most: 1}, 1)
		beat(t, leases, false)
	}
	n, err := lease.ReleaseAll(t.Context(), pool)
	require.NoError(t, err)
	require.Equal(t, 2, n)
	require.Equal(t, lease.Survey{Shards: shards, Free: shards, Hosts: []lease.Host{}}, survey(t, table(t, pool, "c")))
	epochs := 0
	for _, l := range take(t, table(t, pool, "c"), lease.Claim{Most: shards}, shards) {
		epochs += int(l.Epoch)
	}
	require.Equal(t, shards+2, epochs, "they go on")
}

// However many want them at once, each shard goes to one.
func TestTakeOnce(t *testing.T) {
	t.Parallel()
	const hosts = 8
	pool := newPool(t, pgtest.MaxConns(hosts))
	for _, late := range []bool{false, true} {
		if late {
			expire(t, pool)
		}
		var mu sync.Mutex
		winners := make(map[int]int)
		var wg sync.WaitGroup
		for i := range hosts {
			leases := table(t, pool, string(rune('a'+i)))
			wg.Go(func() {
				taken, err := leases.Take(t.Context(), lease.Claim{Most: shards, Late: late})
				mu.Lock()
				defer mu.Unlock()
				if err != nil {
					t.Errorf("take: %v", err)
				}
				for _, l := range taken {
					winners[l.Shard]++
				}
			})
		}
		wg.Wait()
		require.Equal(t, map[int]int{0: 1, 1: 1, 2: 1, 3: 1}, winners)
	}
}

func TestErrorsAreNotAnswers(t *testing.T) {
	t.Parallel()
	pool := newPool(t)
	a := table(t, pool, "a")
	mine := take(t, a, lease.Claim{Most: 1}, 1)[0]
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := a.Take(ctx, lease.Claim{Most: 1})
	require.ErrorIs(t, err, context.Canceled)
	_, err = a.Renew(ctx, []lease.Lease{mine}, false)
	require.ErrorIs(t, err, context.Canceled)
	_, err = a.Survey(ctx)
	require.ErrorIs(t, err, context.Canceled)
	require.ErrorIs(t, a.Aim(ctx, mine, "b"), context.Canceled)
	require.ErrorIs(t, a.Settle(ctx, mine), context.Canceled)
	require.ErrorIs(t, a.Release(ctx, mine), context.Canceled)
	require.ErrorIs(t, a.Leave(ctx), context.Canceled)
	_, err = lease.ReleaseAll(ctx, pool)
	require.ErrorIs(t, err, context.Canceled)
	a.Listen(ctx, slog.New(slog.DiscardHandler), func() {})
}
