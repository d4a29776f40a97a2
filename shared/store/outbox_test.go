package store_test

import (
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"wafleet/shared/message"
	"wafleet/shared/store"
	"wafleet/shared/store/db"
)

func TestBegin(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.put(t, outgoing{id: "m", status: "queued"})
	f.exec(t, `UPDATE messages SET wire = NULL, reason = 'connection_lost' WHERE message_id = 'm'`)
	try := attempt("m")

	require.NoError(t, f.Begin(t.Context(), f.fence, try))
	row := f.message(t, "m")
	require.Equal(t, "sending", row.Status)
	require.Equal(t, 1, row.Attempt)
	require.Equal(t, try.Wire, row.Wire)
	require.Equal(t, f.fence.Term, *row.Term)
	require.Equal(t, try.Incarnation, *row.Incarnation)
	require.Empty(t, row.Reason)
	require.EqualValues(t, 1, lastTrace(t, row)["attempt"])
	require.Empty(t, f.events(t, company, 0))
}

func TestBeginIsGuarded(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for _, status := range message.Statuses() {
		f.put(t, outgoing{id: string(status), status: string(status)})
		err := f.Begin(t.Context(), f.fence, attempt(string(status)))
		if status == message.Queued {
			require.NoError(t, err)
			continue
		}
		require.ErrorIs(t, err, store.ErrNotMoved, status)
		require.Equal(t, status, f.status(t, string(status)))
	}
	f.put(t, outgoing{id: "too late", status: "queued", expiresIn: "-1 second"})
	require.ErrorIs(t, f.Begin(t.Context(), f.fence, attempt("too late")), store.ErrNotMoved)
	f.put(t, outgoing{id: "in time", status: "queued", expiresIn: "1 hour"})
	require.NoError(t, f.Begin(t.Context(), f.fence, attempt("in time")))
	require.ErrorIs(t, f.Begin(t.Context(), f.fence, attempt("nothing of the kind")), store.ErrNotMoved)
}

// Of many that try at the same time one gets to send.
func TestBeginOnce(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.put(t, outgoing{id: "m", status: "queued"})
	errs := make([]error, 8)
	var wg sync.WaitGroup
	for i := range errs {
		wg.Go(func() { errs[i] = f.Begin(t.Context(), f.fence, attempt("m")) })
	}
	wg.Wait()
	begun := slices.DeleteFunc(errs, func(err error) bool { return errors.Is(err, store.ErrNotMoved) })
	require.Equal(t, []error{nil}, begun)
	require.Equal(t, 1, f.message(t, "m").Attempt)
}

// What is on the wire is fixed by the first attempt: a later one is the same message under the same id.
func TestWireIsFixedByTheFirstAttempt(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.put(t, outgoing{id: "m", status: "queued"})
	f.exec(t, `UPDATE messages SET wire = NULL WHERE message_id = 'm'`)
	first := attempt("m")
	require.NoError(t, f.Begin(t.Context(), f.fence, first))
	_, err := f.Move(t.Context(), f.fence, store.Move{CompanyID: company, MessageID: "m", To: message.Queued})
	require.NoError(t, err)

	second := attempt("m")
	second.Wire = []byte("something else")
	require.NoError(t, f.Begin(t.Context(), f.fence, second))
	row := f.message(t, "m")
	require.Equal(t, first.Wire, row.Wire)
	require.Equal(t, second.Incarnation, *row.Incarnation)
	require.Equal(t, 2, row.Attempt)

	wire, err := f.Queries().GetWire(t.Context(), f.pool, db.GetWireParams{CompanyID: company, MessageID: "m"})
	require.NoError(t, err)
	require.Equal(t, first.Wire, wire.Wire)
}

func TestResume(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for _, status := range message.Statuses() {
		f.put(t, outgoing{id: string(status), status: string(status)})
		err := f.Resume(t.Context(), f.fence, attempt(string(status)))
		if status != message.Unconfirmed {
			require.ErrorIs(t, err, store.ErrNotMoved, status)
			continue
		}
		require.NoError(t, err)
		row := f.message(t, string(status))
		require.Equal(t, "sending", row.Status)
		require.Equal(t, []byte("wire"), row.Wire)
		require.Equal(t, 1, row.Resends)
		require.Equal(t, 1, row.Attempt)
	}
}

func TestAdvance(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	sent := store.Move{CompanyID: company, To: message.Sent}
	about := store.Subject{Phone: "79001234567", Kind: "text", At: time.Now()}

	t.Run("moves one and begins the next", func(t *testing.T) {
		t.Parallel()
		f.put(t, outgoing{id: "a1", status: "sending"})
		f.put(t, outgoing{id: "a2", status: "queued"})
		m, next := sent, attempt("a2")
		m.MessageID = "a1"
		begun, _, err := f.Advance(t.Context(), f.fence, m, about, &next)
		require.NoError(t, err)
		require.True(t, begun)
		require.Equal(t, message.Sent, f.status(t, "a1"))
		require.Equal(t, message.Sending, f.status(t, "a2"))
	})
	t.Run("moves all the same when the next is gone", func(t *testing.T) {
		t.Parallel()
		f.put(t, outgoing{id: "b1", status: "sending"})
		f.put(t, outgoing{id: "b2", status: "canceled"})
		m, next := sent, attempt("b2")
		m.MessageID = "b1"
		begun, _, err := f.Advance(t.Context(), f.fence, m, about, &next)
		require.NoError(t, err)
		require.False(t, begun)
		require.Equal(t, message.Sent, f.status(t, "b1"))
		require.Equal(t, message.Canceled, f.status(t, "b2"))
	})
	t.Run("begins the next although a receipt was faster", func(t *testing.T) {
		t.Parallel()
		f.put(t, outgoing{id: "c1", status: "delivered"})
		f.put(t, outgoing{id: "c2", status: "queued"})
		m, next := sent, attempt("c2")
		m.MessageID = "c1"
		begun, deliveries, err := f.Advance(t.Context(), f.fence, m, about, &next)
		require.ErrorIs(t, err, store.ErrNotMoved)
		require.True(t, begun)
		require.Empty(t, deliveries)
		require.Equal(t, message.Delivered, f.status(t, "c1"))
		require.Equal(t, message.Sending, f.status(t, "c2"))
	})
	t.Run("needs no next", func(t *testing.T) {
		t.Parallel()
		f.put(t, outgoing{id: "d1", status: "sending"})
		m := sent
		m.MessageID = "d1"
		begun, _, err := f.Advance(t.Context(), f.fence, m, about, nil)
		require.NoError(t, err)
		require.False(t, begun)
		require.Equal(t, message.Sent, f.status(t, "d1"))
	})
}

func TestPeekOutbox(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.createCompany(t, "other")
	f.put(t, outgoing{id: "batch", status: "queued", lane: 1, chat: "x"})
	f.put(t, outgoing{id: "first", status: "queued", chat: "a"})
	f.put(t, outgoing{id: "second", status: "queued", chat: "a"})
	f.put(t, outgoing{id: "third", status: "queued", chat: "b", expiresIn: "1 hour"})
	f.put(t, outgoing{id: "later", status: "queued", chat: "c", dueIn: "1 hour"})
	f.put(t, outgoing{id: "expired", status: "queued", chat: "d", expiresIn: "-1 second"})
	f.put(t, outgoing{id: "accepted", status: "accepted", chat: "e"})
	f.put(t, outgoing{id: "held by sending", status: "queued", chat: "f"})
	f.put(t, outgoing{id: "sending", status: "sending", chat: "f"})
	f.put(t, outgoing{id: "held by doubt", status: "queued", chat: "g"})
	f.put(t, outgoing{id: "in doubt", status: "unconfirmed", chat: "g"})
	f.put(t, outgoing{id: "not held", status: "queued", chat: "h"})
	f.put(t, outgoing{id: "done", status: "sent", chat: "h"})

	peek := func(companyID string, page int) (ids []string) {
		rows, err := f.Queries().PeekOutbox(t.Context(), f.pool, db.PeekOutboxParams{CompanyID: companyID, PageSize: page})
		require.NoError(t, err)
		for _, row := range rows {
			ids = append(ids, row.MessageID)
		}
		return ids
	}
	require.Equal(t, []string{"first", "second", "third", "not held", "batch"}, peek(company, 100))
	require.Equal(t, []string{"first", "second"}, peek(company, 2))
	require.Empty(t, peek("other", 100))

	// What is decided lets its chat go; what another company does in the same chat never held it.
	_, err := f.Move(t.Context(), f.fence, store.Move{CompanyID: company, MessageID: "in doubt", To: message.Failed})
	require.NoError(t, err)
	require.Contains(t, peek(company, 100), "held by doubt")
	f.exec(t, `UPDATE messages SET company_id = 'other' WHERE message_id = 'sending'`)
	require.Contains(t, peek(company, 100), "held by sending")
}

func TestQueueAll(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for _, status := range message.Statuses() {
		f.put(t, outgoing{id: string(status), status: string(status), reason: "unreachable", bare: status == message.Accepted})
	}
	f.put(t, outgoing{id: "given up", status: "failed", reason: message.ReasonNotEnqueued, bare: true})
	f.createCompany(t, "other")
	queue := func() (ids []string) {
		var sends []db.QueueMessageParams
		add := func(companyID, id string) {
			sends = append(sends, db.QueueMessageParams{CompanyID: companyID, MessageID: id, Body: []byte("sealed " + id), HostID: "host-a"})
		}
		for _, status := range message.Statuses() {
			add(company, string(status))
			add("other", string(status))
		}
		add(company, "given up")
		add(company, "given up") // a redelivery may be in the same batch
		add(company, "never accepted")
		rows, err := f.QueueAll(t.Context(), sends)
		require.NoError(t, err)
		for _, row := range rows {
			require.Equal(t, company, row.CompanyID)
			ids = append(ids, row.MessageID)
		}
		return ids
	}

	require.ElementsMatch(t, []string{"accepted", "given up"}, queue())
	for _, id := range []string{"accepted", "given up"} {
		row := f.message(t, id)
		require.Equal(t, "queued", row.Status)
		require.Equal(t, "sealed "+id, string(row.Body))
		require.Empty(t, row.Reason)
		require.NotNil(t, row.EnqueuedAt)
		require.Equal(t, "host-a", lastTrace(t, row)["host"])
	}
	for _, status := range message.Statuses()[1:] {
		row := f.message(t, string(status))
		require.Equal(t, string(status), row.Status)
		require.Equal(t, "body", string(row.Body))
	}
	before := f.contents(t)
	require.Empty(t, queue(), "a redelivery folds")
	require.Equal(t, before, f.contents(t))
}

func TestDoubtStale(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.endpoint(t, company, "all")
	mine := uuid.New()
	f.put(t, outgoing{id: "mine", status: "sending", incarnation: mine})
	f.put(t, outgoing{id: "older 1", status: "sending"})
	f.put(t, outgoing{id: "older 2", status: "sending"})
	f.put(t, outgoing{id: "sent", status: "sent"})
	f.put(t, outgoing{id: "queued", status: "queued"})

	ids, err := f.DoubtStale(t.Context(), f.fence, company, mine)
	require.NoError(t, err)
	require.ElementsMatch(t, []string{"older 1", "older 2"}, ids)
	require.Equal(t, message.Sending, f.status(t, "mine"))
	require.Equal(t, message.Sent, f.status(t, "sent"))
	require.Equal(t, message.Queued, f.status(t, "queued"))
	for _, id := range ids {
		row := f.message(t, id)
		require.Equal(t, "unconfirmed", row.Status)
		require.Equal(t, "owner_lost", row.Reason)
		require.Equal(t, "owner_lost", lastTrace(t, row)["reason"])
	}
	told := f.events(t, company, 0)
	require.Len(t, told, 2)
	for _, event := range told {
		require.Equal(t, "message.unconfirmed", event.kind)
		require.Equal(t, "owner_lost", event.data["reason"])
		require.Contains(t, ids, event.data["messageId"])
	}
	require.Equal(t, 2, f.count(t, `SELECT count(*) FROM webhook_deliveries`))

	ids, err = f.DoubtStale(t.Context(), f.fence, company, mine)
	require.NoError(t, err)
	require.Empty(t, ids)
	require.Len(t, f.events(t, company, 0), 2, "told once")
}
