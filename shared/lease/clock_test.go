package lease_test

import (
	"reflect"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"wafleet/shared/lease"
	"wafleet/shared/store"
	"wafleet/shared/store/db"
)

// A host whose clock is wrong takes, holds and loses its leases as any other: only the database's clock counts. The clock
// of a test's bubble is decades behind the database's, and jumps an hour ahead here where the database's goes on.
func TestAClockThatIsWrong(t *testing.T) { //nolint:paralleltest // the bubble is parallel to nothing
	pool := newPool(t)
	right := table(t, pool, "right")
	beat(t, right, false)
	url := pool.Config().ConnString()
	synctest.Test(t, func(t *testing.T) {
		own, err := pgxpool.New(t.Context(), url)
		require.NoError(t, err)
		defer own.Close()
		var now time.Time
		require.NoError(t, own.QueryRow(t.Context(), `SELECT now()`).Scan(&now))
		require.Greater(t, time.Until(now).Abs(), time.Hour, "the clock is not wrong enough")

		wrong := table(t, own, "wrong")
		held := take(t, wrong, lease.Claim{Most: 2}, 2)
		for range 2 {
			still, err := wrong.Renew(t.Context(), held, false)
			require.NoError(t, err)
			require.Equal(t, held, still)
			var least, most float64
			require.NoError(t, own.QueryRow(t.Context(), `SELECT min(extract(epoch FROM expires_at - now()))::float8, max(extract(epoch FROM expires_at - now()))::float8
				FROM shard_lease WHERE host_id = 'wrong'`).Scan(&least, &most))
			require.Greater(t, least, 50.0)
			require.LessOrEqual(t, most, 60.0)
			require.NoError(t, store.New(own, nil).CheckFence(t.Context(), held[0].Fence))
			<-time.After(time.Hour) // its clock alone goes on
		}
		seen := survey(t, wrong)
		require.Zero(t, seen.Late)
		require.Len(t, seen.Hosts, 2, "nobody looks dead to it")

		expire(t, own)
		require.Equal(t, 2, survey(t, wrong).Late, "nor does it trust its own clock in what is late")
		_, err = wrong.Renew(t.Context(), held, false)
		require.NoError(t, err)
	})
	seen := survey(t, right)
	require.Zero(t, seen.Late)
	require.Len(t, seen.Hosts, 2, "and it looks dead to nobody")
	take(t, right, lease.Claim{Most: shards, Late: true}, shards-2)
}

// No statement about leases is told a time: lengths are all that a host may say.
func TestLeasesAreToldNoTime(t *testing.T) {
	t.Parallel()
	for _, params := range []any{
		db.TakeLeasesParams{}, db.RenewLeasesParams{}, db.ReleaseLeasesParams{}, db.AimLeaseParams{}, db.SettleLeaseParams{}, db.HoldFenceParams{},
	} {
		of := reflect.TypeOf(params)
		for field := range of.Fields() {
			require.NotEqual(t, reflect.TypeFor[time.Time](), field.Type, "%s.%s", of.Name(), field.Name)
			require.NotEqual(t, reflect.TypeFor[*time.Time](), field.Type, "%s.%s", of.Name(), field.Name)
		}
	}
}
