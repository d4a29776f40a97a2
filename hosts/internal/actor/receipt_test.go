package actor_test

import (
	"encoding/json"
	"errors"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"wafleet/hosts/internal/actor"
	"wafleet/shared/message"
)

func (b *bundle) trace(t *testing.T, id string) []message.Status {
	t.Helper()
	var steps []struct {
		Status message.Status `json:"status"`
	}
	require.NoError(t, json.Unmarshal(b.message(t, id).Trace, &steps))
	trace := make([]message.Status, len(steps))
	for i := range steps {
		trace[i] = steps[i].Status
	}
	return trace
}

// The other side may be faster than our own note of the ack. The trace tells it in order all the same.
func TestAReceiptWaitsForTheMessageInHand(t *testing.T) {
	t.Parallel()
	b := setup(t, quick)
	h := b.hold(t)
	c := b.online(t)
	id := b.accept(t, "79001111111", "hi")
	h.await(t)
	handled := make(chan error, 1)
	go func() {
		handled <- c.Receipt(t.Context(), actor.Receipt{MessageIDs: []string{id}, Status: message.Delivered})
	}()
	other := make(chan error, 1)
	go func() {
		other <- c.Receipt(t.Context(), actor.Receipt{MessageIDs: []string{"another"}, Status: message.Delivered})
	}()
	require.NoError(t, <-other, "receipts for anything else do not wait")
	unfinished(t, handled, "a receipt overtook the ack")
	h.end()
	require.NoError(t, <-handled)
	require.Equal(t, []message.Status{message.Accepted, message.Queued, message.Sending, message.Sent, message.Delivered}, b.trace(t, id))
}

// What WhatsApp reports is stronger than what we believed: a message that arrived has not failed.
func TestAReceiptLiftsWhatHadFailed(t *testing.T) {
	t.Parallel()
	b := setup(t, quick)
	b.set(func(s *script) {
		s.SendErr = func(actor.Outgoing) error {
			return &actor.SendError{Outcome: actor.Refused, Reason: "server_refused_479", Final: true, Err: errors.New("cause")}
		}
	})
	c := b.online(t)
	id := b.accept(t, "79001111111", "hi")
	b.awaitStatus(t, id, message.Failed)
	require.NoError(t, c.Receipt(t.Context(), actor.Receipt{MessageIDs: []string{id}, Status: message.Delivered}))
	row := b.message(t, id)
	require.Equal(t, string(message.Delivered), row.Status)
	require.Empty(t, row.Reason)
	require.Equal(t, []string{"message.failed", "message.delivered"}, b.events(t)[len(b.events(t))-2:])
}

// Receipts for what this company never sent are nobody's business, and are acked so that they do not come again.
func TestReceiptsForUnknownMessages(t *testing.T) {
	t.Parallel()
	b := setup(t, quick)
	c := b.online(t)
	b.create(t, "other", shardNo)
	b.queueFor(t, "other", "3EB0OTHER", "79001111111", "of another company")
	require.NoError(t, c.Receive(t.Context(), incoming("ABCD", "hello")))
	before := b.events(t)
	ids := []string{"", "unknown", "3EB0OTHER", "ABCD"}
	for _, status := range []message.Status{message.Delivered, message.Read, message.Played} {
		require.NoError(t, c.Receipt(t.Context(), actor.Receipt{MessageIDs: ids, Status: status}))
	}
	require.NoError(t, c.Receipt(t.Context(), actor.Receipt{Status: message.Read}), "of nothing at all")
	require.Equal(t, before, b.events(t))
	var status string
	err := b.store.Pool().QueryRow(t.Context(), `SELECT status FROM messages WHERE message_id = '3EB0OTHER'`).Scan(&status)
	require.NoError(t, err)
	require.Equal(t, string(message.Queued), status)
}

// Receipts come in any order and any number; a message ends on the highest rung that was reported, each rung is
// told of once, and none after a higher one.
func TestReceiptsOnlyClimb(t *testing.T) {
	t.Parallel()
	b := setup(t, quick)
	c := b.online(t)
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	rungs := []message.Status{message.Delivered, message.Read, message.Played}
	for range 6 {
		id := b.accept(t, "79001111111", "hi")
		b.awaitStatus(t, id, message.Sent)
		highest := -1
		var want []message.Status
		for range 1 + random.IntN(5) {
			rung := random.IntN(len(rungs))
			require.NoError(t, c.Receipt(t.Context(), actor.Receipt{MessageIDs: []string{id}, Status: rungs[rung]}))
			if rung > highest {
				highest = rung
				want = append(want, rungs[rung])
			}
		}
		require.Equal(t, string(rungs[highest]), b.message(t, id).Status)
		trace := b.trace(t, id)
		require.Equal(t, want, trace[slices.Index(trace, message.Sent)+1:])
	}
}

// One receipt names many messages: all of them move, also behind one that cannot.
func TestAReceiptForMany(t *testing.T) {
	t.Parallel()
	b := setup(t, quick)
	c := b.online(t)
	ids := []string{"unknown"}
	for range 5 {
		ids = append(ids, b.accept(t, "79001111111", "hi"))
	}
	b.awaitStatus(t, ids[5], message.Sent)
	require.NoError(t, c.Receipt(t.Context(), actor.Receipt{MessageIDs: ids, Status: message.Read}))
	for _, id := range ids[1:] {
		require.Equal(t, string(message.Read), b.message(t, id).Status)
	}
}

// A receipt that cannot be written is not acked.
func TestAReceiptAfterTheLeaseIsLost(t *testing.T) {
	t.Parallel()
	b := setup(t, quick)
	c := b.online(t)
	id := b.accept(t, "79001111111", "hi")
	b.awaitStatus(t, id, message.Sent)
	b.lease(t, shardNo)
	require.Error(t, c.Receipt(t.Context(), actor.Receipt{MessageIDs: []string{id}, Status: message.Read}))
	require.Equal(t, string(message.Sent), b.message(t, id).Status)
	require.Eventually(t, func() bool { return !c.isOpen() }, await, time.Millisecond, "and the socket is closed")
}
