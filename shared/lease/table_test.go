package lease_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
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
	leases, err := lease.New(pool, lease.Config{HostID: host, Version: "test", TTL: time.Minute})
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

func TestTakeFree(t *testing.T) {
	t.Parallel()
	pool := newPool(t)
	a, b := table(t, pool, "a"), table(t, pool, "b")

	mine, err := a.Take(t.Context(), 1)
	require.NoError(t, err)
	require.Equal(t, 1, mine.Shard)
	require.Equal(t, "a", mine.HostID)
	require.EqualValues(t, 1, mine.Epoch)
	require.NotEqual(t, uuid.Nil, mine.Term)

	for _, other := range []*lease.Table{a, b} {
		_, err = other.Take(t.Context(), 1)
		require.ErrorIs(t, err, lease.ErrHeld)
		_, err = other.TakeExpired(t.Context(), 1)
		require.ErrorIs(t, err, lease.ErrHeld, "it is not late")
	}
	_, err = b.TakeExpired(t.Context(), 2)
	require.NoError(t, err, "what is free can be taken this way, too")
	_, err = a.Take(t.Context(), shards)
	require.ErrorIs(t, err, lease.ErrHeld, "there is no such shard")
}

func TestTakeExpired(t *testing.T) {
	t.Parallel()
	pool := newPool(t)
	a, b := table(t, pool, "a"), table(t, pool, "b")
	old, err := a.Take(t.Context(), 1)
	require.NoError(t, err)
	expire(t, pool)

	_, err = b.Take(t.Context(), 1)
	require.ErrorIs(t, err, lease.ErrHeld, "late is not free")
	taken, err := b.TakeExpired(t.Context(), 1)
	require.NoError(t, err)
	require.EqualValues(t, 2, taken.Epoch)
	require.NotEqual(t, old.Term, taken.Term)

	still, err := a.Renew(t.Context(), []lease.Lease{old}, false)
	require.NoError(t, err)
	require.Empty(t, still, "denied")
	require.NoError(t, a.Release(t.Context(), old), "nothing to give back")
	still, err = b.Renew(t.Context(), []lease.Lease{taken}, false)
	require.NoError(t, err)
	require.Equal(t, []lease.Lease{taken}, still)
}

// After an outage of the database everything is late; whoever still has its term goes on.
func TestRenewAsksForTheTermOnly(t *testing.T) {
	t.Parallel()
	pool := newPool(t)
	a := table(t, pool, "a")
	mine, err := a.Take(t.Context(), 1)
	require.NoError(t, err)
	expire(t, pool)
	require.Equal(t, []int{1}, survey(t, a).Expired)

	still, err := a.Renew(t.Context(), []lease.Lease{mine}, false)
	require.NoError(t, err)
	require.Equal(t, []lease.Lease{mine}, still)
	require.Empty(t, survey(t, a).Expired)
}

func TestRenewTellsWhatIsLost(t *testing.T) {
	t.Parallel()
	pool := newPool(t)
	a := table(t, pool, "a")
	var held []lease.Lease
	for shard := range shards {
		l, err := a.Take(t.Context(), shard)
		require.NoError(t, err)
		held = append(held, l)
	}
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
	mine, err := a.Take(t.Context(), 1)
	require.NoError(t, err)
	require.Equal(t, []int{0, 2, 3}, survey(t, a).Free)
	require.NoError(t, a.Release(t.Context(), mine))
	require.Equal(t, []int{0, 1, 2, 3}, survey(t, a).Free)

	next, err := b.Take(t.Context(), 1)
	require.NoError(t, err, "at once")
	require.EqualValues(t, 2, next.Epoch, "the epoch goes on")
	require.NoError(t, a.Release(t.Context(), mine), "a second time")
	still, err := b.Renew(t.Context(), []lease.Lease{next}, false)
	require.NoError(t, err)
	require.Len(t, still, 1, "and takes nothing from the new holder")
}

func TestSurveyCountsHosts(t *testing.T) {
	t.Parallel()
	pool := newPool(t)
	a, b, c := table(t, pool, "a"), table(t, pool, "b"), table(t, pool, "c")
	beat := func(leases *lease.Table, draining bool) {
		_, err := leases.Renew(t.Context(), nil, draining)
		require.NoError(t, err)
	}
	require.Equal(t, lease.Survey{Shards: shards, Free: []int{0, 1, 2, 3}, Expired: []int{}}, survey(t, a))
	beat(a, false)
	beat(b, false)
	beat(c, true)
	require.Equal(t, 2, survey(t, a).Hosts, "one is draining, from its first word on")
	beat(b, true)
	require.Equal(t, 1, survey(t, a).Hosts)
	beat(b, false)
	require.Equal(t, 2, survey(t, a).Hosts)

	_, err := pool.Exec(t.Context(), `UPDATE hosts SET heartbeat_at = now() - interval '61 seconds' WHERE host_id = 'b'`)
	require.NoError(t, err)
	require.Equal(t, 1, survey(t, a).Hosts, "one is silent for longer than a lease lives")
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
	for i, host := range []string{"a", "b"} {
		leases := table(t, pool, host)
		_, err := leases.Take(t.Context(), i)
		require.NoError(t, err)
		_, err = leases.Renew(t.Context(), nil, false)
		require.NoError(t, err)
	}
	n, err := lease.ReleaseAll(t.Context(), pool)
	require.NoError(t, err)
	require.Equal(t, 2, n)
	require.Equal(t, lease.Survey{Shards: shards, Free: []int{0, 1, 2, 3}, Expired: []int{}}, survey(t, table(t, pool, "c")))
	next, err := table(t, pool, "c").Take(t.Context(), 0)
	require.NoError(t, err)
	require.EqualValues(t, 2, next.Epoch)
}

func TestTakeOnce(t *testing.T) {
	t.Parallel()
	const hosts = 8
	pool := newPool(t, pgtest.MaxConns(hosts))
	for _, expired := range []bool{false, true} {
		if expired {
			expire(t, pool)
		}
		errs := make([]error, hosts)
		var wg sync.WaitGroup
		for i := range hosts {
			leases := table(t, pool, string(rune('a'+i)))
			wg.Go(func() { _, errs[i] = leases.TakeExpired(t.Context(), 0) })
		}
		wg.Wait()
		winners := 0
		for _, err := range errs {
			if err == nil {
				winners++
			} else {
				require.ErrorIs(t, err, lease.ErrHeld)
			}
		}
		require.Equal(t, 1, winners)
	}
}

func TestErrorsAreNotAnswers(t *testing.T) {
	t.Parallel()
	pool := newPool(t)
	a := table(t, pool, "a")
	mine, err := a.Take(t.Context(), 0)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = a.Take(ctx, 1)
	require.ErrorIs(t, err, context.Canceled)
	require.NotErrorIs(t, err, lease.ErrHeld)
	_, err = a.Renew(ctx, []lease.Lease{mine}, false)
	require.ErrorIs(t, err, context.Canceled)
	_, err = a.Survey(ctx)
	require.ErrorIs(t, err, context.Canceled)
	require.ErrorIs(t, a.Release(ctx, mine), context.Canceled)
	require.ErrorIs(t, a.Leave(ctx), context.Canceled)
	_, err = lease.ReleaseAll(ctx, pool)
	require.ErrorIs(t, err, context.Canceled)
}
