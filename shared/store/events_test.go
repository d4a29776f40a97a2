package store_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"wafleet/shared/store"
	"wafleet/shared/store/db"
	"wafleet/shared/store/pgtest"
	"wafleet/shared/vault"
)

func (f *fixture) append(ctx context.Context, e store.Event) (deliveries []store.Delivery, err error) {
	err = f.InTx(ctx, func(tx pgx.Tx) error {
		deliveries, err = f.AppendEvent(ctx, tx, e)
		return err
	})
	return deliveries, err
}

func TestAppendEvent(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.createCompany(t, "other")
	fixed := uuid.New()
	for _, e := range []store.Event{
		{CompanyID: company, Type: "a", Data: map[string]int{"n": 1}},
		{CompanyID: "other", Type: "b", Data: map[string]int{"n": 2}},
		{CompanyID: company, Type: "c", Data: map[string]int{"n": 3}, ID: fixed},
	} {
		_, err := f.append(t.Context(), e)
		require.NoError(t, err)
	}

	mine := f.events(t, company, 0)
	require.Len(t, mine, 2)
	require.EqualValues(t, 1, mine[0].seq)
	require.EqualValues(t, 7, mine[0].id.Version(), "ids that are made here sort by time")
	require.Equal(t, fact{seq: 2, id: fixed, kind: "c", data: map[string]any{"n": 3.0}}, mine[1])
	require.EqualValues(t, 1, f.events(t, "other", 0)[0].seq, "each company counts for itself")
	require.Len(t, f.events(t, company, 1), 1, "after is exclusive")
}

func TestEventsAreSealed(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	_, err := f.append(t.Context(), store.Event{CompanyID: company, Type: "a", Data: "the secret"})
	require.NoError(t, err)
	row, err := f.Queries().GetEvent(t.Context(), f.pool, db.GetEventParams{CompanyID: company, Seq: 1})
	require.NoError(t, err)
	require.NotContains(t, string(row.Data), "the secret")
	_, err = f.vault.Open(t.Context(), company, store.EventContext(uuid.New()), row.Data)
	require.ErrorIs(t, err, vault.ErrCannotOpen, "it opens under its own id only")
}

func TestAppendEventErrors(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	_, err := f.append(t.Context(), store.Event{CompanyID: "nobody", Type: "a"})
	require.ErrorIs(t, err, vault.ErrNoKey)
	_, err = f.append(t.Context(), store.Event{CompanyID: company, Type: "a", Data: func() {}})
	var unsupported *json.UnsupportedTypeError
	require.ErrorAs(t, err, &unsupported)
	require.Empty(t, f.events(t, company, 0))
}

func TestDeliveriesGoToWhoWantsThem(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.createCompany(t, "other")
	f.endpoint(t, company, "all")
	f.endpoint(t, company, "matching", "message.sent", "message.read")
	f.endpoint(t, company, "not matching", "message.failed")
	f.endpoint(t, company, "disabled")
	f.endpoint(t, "other", "of another company")
	n, err := f.Queries().DisableEndpoint(t.Context(), f.pool, db.DisableEndpointParams{CompanyID: company, ID: "disabled", Reason: "gone"})
	require.NoError(t, err)
	require.EqualValues(t, 1, n)

	id := uuid.New()
	deliveries, err := f.append(t.Context(), store.Event{CompanyID: company, Type: "message.read", ID: id})
	require.NoError(t, err)
	require.Len(t, deliveries, 2)

	var endpoints []string
	for _, d := range deliveries {
		var endpoint, kind, state string
		var event uuid.UUID
		var seq int64
		require.NoError(t, f.pool.QueryRow(t.Context(), `
			SELECT endpoint_id, event_type, event_id, event_seq, state FROM webhook_deliveries
			WHERE company_id = $1 AND id = $2 AND created_at = $3 AND next_attempt_at <= now()`, d.CompanyID, d.ID, d.CreatedAt).
			Scan(&endpoint, &kind, &event, &seq, &state), "what is returned is there, and due at once")
		require.Equal(t, id, event)
		require.Equal(t, "message.read", kind)
		require.EqualValues(t, 1, seq)
		require.Equal(t, "pending", state)
		endpoints = append(endpoints, endpoint)
	}
	require.ElementsMatch(t, []string{"all", "matching"}, endpoints)
	require.Equal(t, 2, f.count(t, `SELECT count(*) FROM webhook_deliveries`))
}

func TestAnEventThatIsRolledBackLeavesNoGap(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	broken := errors.New("broken")
	err := f.InTx(t.Context(), func(tx pgx.Tx) error {
		_, err := f.AppendEvent(t.Context(), tx, store.Event{CompanyID: company, Type: "lost"})
		return errors.Join(err, broken)
	})
	require.ErrorIs(t, err, broken)
	_, err = f.append(t.Context(), store.Event{CompanyID: company, Type: "kept"})
	require.NoError(t, err)
	require.EqualValues(t, 1, f.events(t, company, 0)[0].seq)
}

// A reader that goes on after the highest number it saw must see every event, however the writers' commits fall.
func TestAReaderNeverSkipsAnEvent(t *testing.T) {
	t.Parallel()
	const writers, each = 8, 40
	f := newFixture(t, pgtest.MaxConns(writers+2))
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()

	errs := make([]error, writers)
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for n := range each {
				if _, err := f.append(ctx, store.Event{CompanyID: company, Type: fmt.Sprintf("%d/%d", w, n)}); err != nil {
					errs[w] = err
					return
				}
			}
		})
	}
	var after int64
	seen := make(map[string]bool)
	for len(seen) < writers*each && ctx.Err() == nil {
		rows, err := f.Queries().ListEvents(ctx, f.pool, db.ListEventsParams{CompanyID: company, After: after, PageSize: 7})
		require.NoError(t, err)
		for _, row := range rows {
			require.Equal(t, after+1, row.Seq, "no gap")
			after, seen[row.Type] = row.Seq, true
		}
	}
	wg.Wait()
	require.NoError(t, errors.Join(errs...))
	require.Len(t, seen, writers*each)
}
