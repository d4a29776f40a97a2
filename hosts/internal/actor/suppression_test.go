package actor_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"wafleet/shared/message"
	"wafleet/shared/store/db"
)

// Who opts out gets nothing of what was queued for them, while everybody else does; and the company is told.
func TestASuppressedRecipientGetsNothing(t *testing.T) {
	t.Parallel()
	b := setup(t, quick)
	c := b.online(t)
	require.NoError(t, c.Receive(t.Context(), incoming("STOP1", "Stop")))
	var refused, wanted []string
	for _, text := range []string{"one", "two", "three"} {
		refused = append(refused, b.accept(t, "79001111111", text))
		wanted = append(wanted, b.accept(t, "79002222222", text))
	}
	for i, frame := range b.AwaitFrames(t, len(wanted)) {
		require.Equal(t, wanted[i], frame.ID)
	}
	for _, id := range refused {
		row := b.awaitStatus(t, id, message.Failed)
		require.Equal(t, message.ReasonSuppressed, row.Reason)
		require.Zero(t, row.Attempt)
	}
	for _, id := range wanted {
		b.awaitStatus(t, id, message.Sent)
	}
	require.Empty(t, b.frames)

	told, err := b.store.Queries().ListEvents(t.Context(), b.store.Pool(), db.ListEventsParams{CompanyID: company, PageSize: 100})
	require.NoError(t, err)
	failed := 0
	for _, e := range told {
		if e.Type == "message.failed" {
			failed++
		}
	}
	require.Equal(t, len(refused), failed)
}

// The page that the sender works through was read before the opt-out: the claim itself refuses.
func TestAnOptOutBetweenPeekAndClaim(t *testing.T) {
	t.Parallel()
	b := setup(t, quick)
	h := b.hold(t)
	var ids []string
	for _, text := range []string{"one", "two", "three", "four"} {
		ids = append(ids, b.accept(t, "79001111111", text))
	}
	b.online(t)
	h.await(t)
	_, err := b.store.Queries().AddSuppression(t.Context(), b.store.Pool(), db.AddSuppressionParams{CompanyID: company, Address: "79001111111"})
	require.NoError(t, err)
	h.end()
	b.awaitStatus(t, ids[0], message.Sent)
	for _, id := range ids[1:] {
		row := b.awaitStatus(t, id, message.Failed)
		require.Equal(t, message.ReasonSuppressed, row.Reason)
	}
	var trace []json.RawMessage
	require.NoError(t, json.Unmarshal(b.message(t, ids[1]).Trace, &trace))
	require.Len(t, trace, 3, "accepted, queued, failed")
}
