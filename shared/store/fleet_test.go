package store_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"wafleet/shared/session"
	"wafleet/shared/store"
	"wafleet/shared/store/db"
)

// linked makes companies that are linked to numbers.
func (f *fixture) linked(t *testing.T, n int) (ids []string) {
	t.Helper()
	for i := range n {
		id := fmt.Sprintf("linked-%d", i)
		f.createCompany(t, id)
		ids = append(ids, id)
	}
	_, err := f.pool.Exec(t.Context(), `UPDATE whatsapp_sessions SET jid = id || ':1@s.whatsapp.net'`)
	require.NoError(t, err)
	return ids
}

func (f *fixture) open(t *testing.T) bool {
	t.Helper()
	open, err := f.BreakerOpen(t.Context())
	require.NoError(t, err)
	return open
}

// Five companies a minute may be logged out; the sixth opens the breaker, once.
func TestTheBreakerOpensOnABurst(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	ids := f.linked(t, 8)
	for range 3 { // the same company again is no burst
		open, tripped, err := f.Refuse(t.Context(), ids[0])
		require.NoError(t, err)
		require.False(t, open || tripped)
	}
	for i, id := range ids[1:] {
		open, tripped, err := f.Refuse(t.Context(), id)
		require.NoError(t, err)
		require.Equal(t, i+2 > 5, open, id)
		require.Equal(t, i+2 == 6, tripped, id)
		require.Equal(t, open, f.open(t))
	}
}

// However many hosts are told at the same time, none of a burst's later part is believed.
func TestTheBreakerUnderConcurrency(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	ids := f.linked(t, 30)
	var believed, tripped atomic.Int32
	var refusing sync.WaitGroup
	for _, id := range ids {
		refusing.Go(func() {
			open, first, err := f.Refuse(context.WithoutCancel(t.Context()), id)
			if err == nil && !open {
				believed.Add(1)
			}
			if first {
				tripped.Add(1)
			}
		})
	}
	refusing.Wait()
	require.EqualValues(t, 5, believed.Load())
	require.EqualValues(t, 1, tripped.Load())
}

// In a large installation a hundredth is usual; what is older than a minute does not count.
func TestTheBreakerKnowsWhatIsUsual(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	ids := f.linked(t, 20)
	_, err := f.pool.Exec(t.Context(), `
		WITH many AS (INSERT INTO companies (company_id, shard) SELECT 'many-' || n, 1 FROM generate_series(1, 1000) n RETURNING company_id)
		INSERT INTO whatsapp_sessions (company_id, jid) SELECT company_id, '8' || right(company_id, -5) || ':1@s.whatsapp.net' FROM many`)
	require.NoError(t, err)
	for _, id := range ids[:10] {
		open, _, err := f.Refuse(t.Context(), id)
		require.NoError(t, err)
		require.False(t, open)
	}
	_, err = f.pool.Exec(t.Context(), `UPDATE refusals SET refused_at = now() - interval '61 seconds'`)
	require.NoError(t, err)
	for _, id := range ids[10:] {
		open, _, err := f.Refuse(t.Context(), id)
		require.NoError(t, err)
		require.False(t, open)
	}
	open, _, err := f.Refuse(t.Context(), ids[0])
	require.NoError(t, err)
	require.True(t, open, "the eleventh in a minute")
}

func TestAStrangerIsNotCounted(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	_, _, err := f.Refuse(t.Context(), "nobody")
	require.ErrorIs(t, err, store.ErrNoCompany)
}

// One probe at a time, and none where there is nothing to find out.
func TestProbesTakeTurns(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	mine, unheld, err := f.ClaimProbe(t.Context())
	require.NoError(t, err)
	require.False(t, mine)
	require.True(t, unheld)

	require.NoError(t, f.Queries().OpenBreaker(t.Context(), f.pool))
	for turn := range 3 {
		mine, unheld, err = f.ClaimProbe(t.Context())
		require.NoError(t, err)
		require.Equal(t, turn == 0, mine)
		require.False(t, unheld)
	}
	_, err = f.pool.Exec(t.Context(), `UPDATE fleet SET probe_until = now() - interval '1 second'`)
	require.NoError(t, err)
	mine, _, err = f.ClaimProbe(t.Context())
	require.NoError(t, err)
	require.True(t, mine, "a probe that never reported is over")

	closed, err := f.CloseBreaker(t.Context())
	require.NoError(t, err)
	require.True(t, closed)
	closed, err = f.CloseBreaker(t.Context())
	require.NoError(t, err)
	require.False(t, closed)
	require.False(t, f.open(t))
}

// A breaker that nothing closes for a day has been wrong about what it held.
func TestTheBreakerDoesNotStayOpenForEver(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	require.NoError(t, f.Queries().OpenBreaker(t.Context(), f.pool))
	require.True(t, f.open(t))
	_, err := f.pool.Exec(t.Context(), `UPDATE fleet SET breaker_opened_at = now() - interval '25 hours'`)
	require.NoError(t, err)
	require.False(t, f.open(t))
}

// One host asks for the version; who asks meanwhile is told to wait, who asks later gets the answer.
func TestTheVersionIsFetchedOnce(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	never := func(context.Context) (string, error) { return "", errors.New("must not be asked") }
	version, err := f.RenewVersion(t.Context(), "2.3000.1", func(ctx context.Context) (string, error) {
		_, err := f.RenewVersion(ctx, "2.3000.1", never)
		require.ErrorIs(t, err, store.ErrClaimed)
		return "2.3000.2", nil
	})
	require.NoError(t, err)
	require.Equal(t, "2.3000.2", version)
	version, err = f.RenewVersion(t.Context(), "2.3000.1", never)
	require.NoError(t, err)
	require.Equal(t, "2.3000.2", version)
	version, err = f.RenewVersion(t.Context(), "2.3000.2", never)
	require.NoError(t, err)
	require.Equal(t, "2.3000.2", version, "fresh, and refused all the same")

	_, err = f.pool.Exec(t.Context(), `UPDATE fleet SET version_checked_at = now() - interval '11 minutes'`)
	require.NoError(t, err)
	down := errors.New("no route")
	_, err = f.RenewVersion(t.Context(), "2.3000.2", func(context.Context) (string, error) { return "", down })
	require.ErrorIs(t, err, down)
	version, err = f.RenewVersion(t.Context(), "2.3000.2", func(context.Context) (string, error) { return "2.3000.3", nil })
	require.NoError(t, err)
	require.Equal(t, "2.3000.3", version, "a failure lets the next one ask")
}

// A restart is a generation of its own; a deletion stays until it is done, whatever is asked for after it.
func TestRestartAndDelete(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	q := f.Queries()
	row, err := q.RestartSession(t.Context(), f.pool, company)
	require.NoError(t, err)
	require.Equal(t, row.DesiredGeneration, row.RestartGeneration)
	require.Equal(t, string(session.DesiredRunning), row.DesiredState)

	_, err = q.SetDesired(t.Context(), f.pool, db.SetDesiredParams{CompanyID: company, DesiredState: "running", PairingPhone: new("79001112233")})
	require.NoError(t, err)
	row, err = q.DeleteSession(t.Context(), f.pool, company)
	require.NoError(t, err)
	require.True(t, row.DeleteAfterLogout)
	require.Nil(t, row.PairingPhone)
	row, err = q.SetDesired(t.Context(), f.pool, db.SetDesiredParams{CompanyID: company, DesiredState: "running"})
	require.NoError(t, err)
	require.True(t, row.DeleteAfterLogout)
	require.Less(t, row.RestartGeneration, row.DesiredGeneration)

	c := change(session.Created)
	c.Erase = true
	_, err = f.ChangeSession(t.Context(), f.fence, c)
	require.NoError(t, err)
	row, err = q.GetSession(t.Context(), f.pool, company)
	require.NoError(t, err)
	require.False(t, row.DeleteAfterLogout)
	require.Nil(t, row.JID)
}

// The end of a ban is the database's, survives repetitions without one, and goes with the ban.
func TestTheEndOfABan(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	left := func() float64 {
		seconds, err := f.Queries().BanLeft(t.Context(), f.pool, company)
		require.NoError(t, err)
		return seconds
	}
	require.Zero(t, left())
	c := change(session.Banned)
	c.BanFor = 90 * time.Second
	_, err := f.ChangeSession(t.Context(), f.fence, c)
	require.NoError(t, err)
	require.InDelta(t, 90, left(), 5)
	c.BanFor = 0
	_, err = f.ChangeSession(t.Context(), f.fence, c)
	require.NoError(t, err)
	require.InDelta(t, 90, left(), 5)
	_, err = f.ChangeSession(t.Context(), f.fence, change(session.Connecting))
	require.NoError(t, err)
	require.Zero(t, left())
}
