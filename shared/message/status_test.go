package message_test

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"wafleet/shared/message"
)

// The table of architecture.md ("A send, step by step"), written out a second time by hand.
func TestTransitionTable(t *testing.T) {
	t.Parallel()
	all := message.Statuses()
	allowed := func(from, to message.Status) bool {
		switch to {
		case message.Accepted:
			return false // see TestNotEnqueuedIsLifted
		case message.Queued:
			return from == message.Accepted || from == message.Sending
		case message.Sending:
			return from == message.Queued || from == message.Unconfirmed
		case message.Sent:
			return from == message.Sending || from == message.Unconfirmed
		case message.Delivered, message.Read, message.Played:
			ladder := []message.Status{message.Delivered, message.Read, message.Played}
			higher := slices.Index(ladder, from) >= slices.Index(ladder, to)
			return from != message.Canceled && !higher
		case message.Failed:
			return slices.Contains([]message.Status{message.Accepted, message.Queued, message.Sending, message.Unconfirmed}, from)
		case message.Expired, message.Canceled:
			return from == message.Accepted || from == message.Queued
		case message.Unconfirmed:
			return from == message.Sending
		case message.Received:
		}
		return false
	}
	for _, from := range all {
		for _, to := range all {
			require.Equal(t, allowed(from, to), from.CanMoveTo(to, "any"), "%s → %s", from, to)
		}
	}
}

func TestNotEnqueuedIsLifted(t *testing.T) {
	t.Parallel()
	for _, to := range []message.Status{message.Queued, message.Accepted} {
		require.True(t, message.Failed.CanMoveTo(to, message.ReasonNotEnqueued))
		require.False(t, message.Failed.CanMoveTo(to, "recipient_not_on_whatsapp"))
	}
}

// Whatever happens, a message that was shown delivered is never shown as less.
func TestRandomWalksNeverGoBack(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	all := message.Statuses()
	ladder := []message.Status{message.Sent, message.Delivered, message.Read, message.Played}
	for range 2_000 {
		status, reached := message.Accepted, -1
		for range 40 {
			next := all[random.IntN(len(all))]
			if !status.CanMoveTo(next, "any") {
				continue
			}
			require.NotEqual(t, message.Canceled, status, "left canceled for %s", next)
			status = next
			rung := slices.Index(ladder, status)
			require.True(t, reached < 0 || rung > reached, "%s after %s", status, ladder[max(reached, 0)])
			reached = max(reached, rung)
		}
	}
}

func TestSourcesCannotBeChangedByACaller(t *testing.T) {
	t.Parallel()
	message.Sent.Sources()[0] = message.Canceled
	require.NotContains(t, message.Sent.Sources(), message.Canceled)
}

func TestEventTypes(t *testing.T) {
	t.Parallel()
	require.Equal(t, "message.delivered", message.Delivered.EventType())
	require.Equal(t, "message.received", message.Received.EventType())
	require.Empty(t, message.Queued.EventType())
}

func TestFinal(t *testing.T) {
	t.Parallel()
	for _, s := range message.Statuses() {
		leads := false
		for _, next := range message.Statuses() {
			receipt := next == message.Delivered || next == message.Read || next == message.Played
			leads = leads || (!receipt && s.CanMoveTo(next, "any"))
		}
		awaitsReceipt := s == message.Sent || s == message.Delivered || s == message.Read
		require.Equal(t, !leads && !awaitsReceipt, s.Final(), s)
	}
}
