package store_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"wafleet/shared/message"
	"wafleet/shared/store"
)

// Every step that the transition table has is made, and no other: from each state, for each reason that matters.
func TestMoveFollowsTheLadder(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for _, from := range message.Statuses() {
		for _, reason := range []string{"", "unreachable", message.ReasonNotEnqueued} {
			for _, to := range message.Statuses() {
				id := fmt.Sprintf("%s(%s)->%s", from, reason, to)
				f.put(t, outgoing{id: id, status: string(from), reason: reason})
				before, events := f.message(t, id), len(f.events(t, company, 0))

				_, err := f.move(t, store.Move{CompanyID: company, MessageID: id, To: to, Reason: "test"})
				after := f.message(t, id)
				if !from.CanMoveTo(to, reason) {
					require.ErrorIs(t, err, store.ErrNotMoved, id)
					require.Equal(t, before, after, id)
					require.Len(t, f.events(t, company, 0), events, id)
					continue
				}
				require.NoError(t, err, id)
				require.Equal(t, string(to), after.Status, id)
				require.Equal(t, "test", after.Reason, id)
				require.Equal(t, string(to), lastTrace(t, after)["status"], id)
				told := f.events(t, company, int64(events))
				if to.EventType() == "" {
					require.Empty(t, told, id)
					continue
				}
				require.Len(t, told, 1, id)
				require.Equal(t, to.EventType(), told[0].kind, id)
				require.Equal(t, id, told[0].data["messageId"], id)
			}
		}
	}
}

func (f *fixture) move(t *testing.T, m store.Move) (deliveries []store.Delivery, err error) {
	t.Helper()
	err = f.InTx(t.Context(), func(tx pgx.Tx) error {
		deliveries, err = f.MoveInTx(t.Context(), tx, "host-a", m)
		return err
	})
	return deliveries, err
}

func TestMoveFromCanOnlyNarrow(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.put(t, outgoing{id: "queued", status: "queued"})
	f.put(t, outgoing{id: "canceled", status: "canceled"})

	_, err := f.Move(t.Context(), f.fence, store.Move{
		CompanyID: company, MessageID: "queued", To: message.Failed, From: []message.Status{message.Sending},
	})
	require.ErrorIs(t, err, store.ErrNotMoved, "narrower than the ladder")
	_, err = f.Move(t.Context(), f.fence, store.Move{
		CompanyID: company, MessageID: "canceled", To: message.Delivered, From: []message.Status{message.Canceled},
	})
	require.ErrorIs(t, err, store.ErrNotMoved, "wider than the ladder")
	_, err = f.Move(t.Context(), f.fence, store.Move{
		CompanyID: company, MessageID: "queued", To: message.Failed, From: []message.Status{message.Queued},
	})
	require.NoError(t, err)
}

func TestMoveTouchesOneCompanyOnly(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.createCompany(t, "other")
	f.put(t, outgoing{id: "m", status: "sent"})
	_, err := f.Move(t.Context(), f.fence, store.Move{CompanyID: "other", MessageID: "m", To: message.Read})
	require.ErrorIs(t, err, store.ErrNotMoved)
	require.Equal(t, message.Sent, f.status(t, "m"))
}

func TestMoveTellsWhatHappened(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.endpoint(t, company, "all")
	f.put(t, outgoing{id: "m", status: "sending"})

	deliveries, err := f.Move(t.Context(), f.fence, store.Move{CompanyID: company, MessageID: "m", To: message.Failed, Reason: "refused"})
	require.NoError(t, err)
	require.Len(t, deliveries, 1)
	require.Equal(t, company, deliveries[0].CompanyID)

	event := f.events(t, company, 0)[0]
	at, err := time.Parse(time.RFC3339, event.data["timestamp"].(string))
	require.NoError(t, err)
	require.WithinDuration(t, time.Now(), at, time.Minute)
	delete(event.data, "timestamp")
	require.Equal(t, map[string]any{
		"messageId": "m", "status": "failed", "to": map[string]any{"phone": "79001234567"}, "type": "text",
		"clientRef": "ref of m", "reason": "refused",
	}, event.data)

	trace := lastTrace(t, f.message(t, "m"))
	require.Equal(t, "host-a", trace["host"])
	require.Equal(t, "refused", trace["reason"])
}

// A receipt implies the ones below it, and none moves a time that is already known.
func TestReceiptsFillTheTimes(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.put(t, outgoing{id: "m", status: "sending"})
	move := func(to message.Status) {
		_, err := f.Move(t.Context(), f.fence, store.Move{CompanyID: company, MessageID: "m", To: to})
		require.NoError(t, err)
	}

	move(message.Sent)
	sent := f.message(t, "m")
	require.NotNil(t, sent.SentAt)
	require.Nil(t, sent.DeliveredAt)

	move(message.Read)
	read := f.message(t, "m")
	require.Equal(t, sent.SentAt, read.SentAt)
	require.NotNil(t, read.DeliveredAt)
	require.NotNil(t, read.ReadAt)
	require.Nil(t, read.PlayedAt)

	move(message.Played)
	played := f.message(t, "m")
	require.Equal(t, read.ReadAt, played.ReadAt)
	require.NotNil(t, played.PlayedAt)
}

func TestMoveBackToQueuedWaits(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.put(t, outgoing{id: "m", status: "sending"})
	_, err := f.Move(t.Context(), f.fence, store.Move{
		CompanyID: company, MessageID: "m", To: message.Queued, Reason: "connection_lost", Delay: time.Hour,
	})
	require.NoError(t, err)
	require.WithinDuration(t, time.Now().Add(time.Hour), f.message(t, "m").DueAt, time.Minute)
	require.Empty(t, f.events(t, company, 0), "going back is nobody's business")
}
