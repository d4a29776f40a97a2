package actor_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"wafleet/hosts/internal/actor"
	"wafleet/shared/message"
)

func TestOutboxKeepsItsOrder(t *testing.T) {
	t.Parallel()
	b := setup(t, quick)
	var want []string
	for i := range 50 {
		want = append(want, b.accept(t, fmt.Sprintf("7900111111%d", i%3), fmt.Sprint("text ", i)))
	}
	b.online(t)
	for i, frame := range b.AwaitFrames(t, len(want)) {
		require.Equal(t, want[i], frame.ID)
		require.Equal(t, fmt.Sprint("wire:text ", i), string(frame.Wire))
	}
	for _, id := range want {
		row := b.awaitStatus(t, id, message.Sent)
		require.Equal(t, 1, row.Attempt)
		require.NotNil(t, row.SentAt)
	}
}

// The trace tells the whole story of a message, in order.
func TestTrace(t *testing.T) {
	t.Parallel()
	b := setup(t, quick)
	c := b.online(t)
	id := b.accept(t, "79001111111", "hi")
	b.AwaitFrames(t, 1)
	require.NoError(t, c.Receipt(t.Context(), actor.Receipt{MessageIDs: []string{id}, Status: message.Delivered}))
	require.NoError(t, c.Receipt(t.Context(), actor.Receipt{MessageIDs: []string{id}, Status: message.Read}))
	require.NoError(t, c.Receipt(t.Context(), actor.Receipt{MessageIDs: []string{id, "unknown"}, Status: message.Delivered}), "late")
	row := b.message(t, id)
	require.Equal(t, string(message.Read), row.Status)

	var trace []struct {
		Status  message.Status `json:"status"`
		Host    string         `json:"host"`
		Attempt int            `json:"attempt"`
	}
	require.NoError(t, json.Unmarshal(row.Trace, &trace))
	var statuses []message.Status
	for _, step := range trace {
		statuses = append(statuses, step.Status)
	}
	require.Equal(t, []message.Status{
		message.Accepted, message.Queued, message.Sending, message.Sent, message.Delivered, message.Read,
	}, statuses)
	require.Equal(t, b.fence.HostID, trace[2].Host)
	require.Equal(t, 1, trace[2].Attempt)
}

func TestHowASendCanEnd(t *testing.T) {
	t.Parallel()
	cause := errors.New("cause")
	for name, tc := range map[string]struct {
		err    error
		status message.Status
		reason string
	}{
		"refused for good":  {&actor.SendError{Outcome: actor.Refused, Reason: "account_reachout_locked", Final: true, Err: cause}, message.Failed, "account_reachout_locked"},
		"cannot be written": {&actor.SendError{Outcome: actor.NotWritten, Reason: "unreadable", Final: true, Err: cause}, message.Failed, "unreadable"},
		"not this time":     {&actor.SendError{Outcome: actor.NotWritten, Reason: "query_timeout", Err: cause}, message.Queued, "query_timeout"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t, quick)
			b.set(func(s *script) {
				s.SendErr = func(m actor.Outgoing) error {
					if m.Phone == "79001111111" {
						return tc.err
					}
					return nil
				}
			})
			b.online(t)
			id := b.accept(t, "79001111111", "hi")
			require.Eventually(t, func() bool {
				row := b.message(t, id)
				return row.Status == string(tc.status) && row.Reason == tc.reason
			}, await, time.Millisecond)
			b.awaitStatus(t, b.accept(t, "79002222222", "others go on"), message.Sent)
		})
	}
}

func TestAnAttemptThatDidNotReachTheWireIsRepeated(t *testing.T) {
	t.Parallel()
	b := setup(t, quick)
	var attempts atomic.Int32
	b.set(func(s *script) {
		s.SendErr = func(actor.Outgoing) error {
			if attempts.Add(1) == 1 {
				return &actor.SendError{Outcome: actor.NotWritten, Reason: "query_timeout", Err: errors.New("cause")}
			}
			return nil
		}
	})
	b.online(t)
	row := b.awaitStatus(t, b.accept(t, "79001111111", "hi"), message.Sent)
	require.Equal(t, 2, row.Attempt)
	require.Zero(t, row.Resends)
}

// An ack that does not come leaves the message unconfirmed; it goes out again under its id, as the same bytes.
func TestUnconfirmedIsResentUnderItsID(t *testing.T) {
	t.Parallel()
	b := setup(t, quick)
	var attempts atomic.Int32
	var first atomic.Value
	b.set(func(s *script) {
		s.SendErr = func(m actor.Outgoing) error {
			if attempts.Add(1) == 1 {
				first.Store(m)
				return &actor.SendError{Outcome: actor.Unknown, Reason: "no_ack", Err: errors.New("cause")}
			}
			return nil
		}
	})
	b.online(t)
	id := b.accept(t, "79001111111", "hi")
	row := b.awaitStatus(t, id, message.Sent)
	require.Equal(t, 1, row.Resends)
	require.Equal(t, first.Load(), b.AwaitFrames(t, 1)[0])
}

func TestADoubtHoldsOnlyItsChat(t *testing.T) {
	t.Parallel()
	b := setup(t, quick)
	b.set(func(s *script) {
		s.SendErr = func(m actor.Outgoing) error {
			if m.Phone == "79001111111" {
				return &actor.SendError{Outcome: actor.Unknown, Reason: "no_ack", Err: errors.New("cause")}
			}
			return nil
		}
	})
	c := b.online(t)
	c.Signal(lost()) // not settled: doubts stay
	c = b.AwaitDial(t)
	c.Signal(connected())
	doubtful := b.accept(t, "79001111111", "one")
	b.awaitStatus(t, doubtful, message.Unconfirmed)
	behind := b.accept(t, "79001111111", "two")
	b.awaitStatus(t, b.accept(t, "79002222222", "another chat"), message.Sent)
	require.Equal(t, string(message.Queued), b.message(t, behind).Status)

	// A receipt settles the doubt without a resend, and the chat goes on.
	b.set(func(s *script) { s.SendErr = nil })
	require.NoError(t, c.Receipt(t.Context(), actor.Receipt{MessageIDs: []string{doubtful}, Status: message.Delivered}))
	b.awaitStatus(t, behind, message.Sent)
	require.Zero(t, b.message(t, doubtful).Resends)
}

// A host that died between the frame and its ack leaves a doubt to its successor.
func TestASuccessorResolvesWhatWasInHand(t *testing.T) {
	t.Parallel()
	b := setup(t, quick)
	c := b.online(t)
	b.awaitStatus(t, b.accept(t, "79001111111", "before"), message.Sent)
	b.AwaitFrames(t, 1)
	c.Signal(lost())
	b.set(func(s *script) { s.ConnectErr = func() error { return errOffline } })
	require.NoError(t, b.fleet.Stop(t.Context()))
	id := b.accept(t, "79001111111", "in hand")
	wire, err := b.vault.Seal(t.Context(), company, message.WireContext(id), []byte("wire:in hand"))
	require.NoError(t, err)
	_, err = b.store.Pool().Exec(t.Context(), `UPDATE messages SET status = 'sending', attempt = 1, term = gen_random_uuid(),
		incarnation = gen_random_uuid(), wire = $2 WHERE message_id = $1`, id, wire)
	require.NoError(t, err)

	b.set(func(s *script) { s.ConnectErr = nil })
	b.own(t, quick)
	c = b.AwaitDial(t)
	b.awaitStatus(t, id, message.Unconfirmed)
	c.Signal(connected())
	c.Signal(actor.Signal{Then: actor.Settle})
	row := b.awaitStatus(t, id, message.Sent)
	require.Equal(t, 2, row.Attempt)
	require.Equal(t, 1, row.Resends)
	require.Equal(t, "wire:in hand", string(b.AwaitFrames(t, 1)[0].Wire))
}

func TestWhatIsCanceledOrExpiredIsNotSent(t *testing.T) {
	t.Parallel()
	b := setup(t, quick)
	canceled, expired := b.accept(t, "79001111111", "canceled"), b.accept(t, "79001111111", "expired")
	_, err := b.store.Pool().Exec(t.Context(), `UPDATE messages SET status = 'canceled' WHERE message_id = $1`, canceled)
	require.NoError(t, err)
	_, err = b.store.Pool().Exec(t.Context(), `UPDATE messages SET expires_at = now() - interval '1 s' WHERE message_id = $1`, expired)
	require.NoError(t, err)
	b.online(t)
	id := b.accept(t, "79001111111", "this one")
	require.Equal(t, id, b.AwaitFrames(t, 1)[0].ID)
	b.awaitStatus(t, id, message.Sent)
	require.Empty(t, b.frames)
}

func TestABodyThatCannotBeReadFails(t *testing.T) {
	t.Parallel()
	b := setup(t, quick)
	id := b.accept(t, "79001111111", "hi")
	_, err := b.store.Pool().Exec(t.Context(), `UPDATE messages SET body = 'garbage' WHERE message_id = $1`, id)
	require.NoError(t, err)
	b.online(t)
	b.awaitStatus(t, b.accept(t, "79001111111", "the next"), message.Sent)
	require.Equal(t, "unreadable", b.awaitStatus(t, id, message.Failed).Reason)
}

func TestMessagesThatBecomeDueLaterAreFoundByThePoll(t *testing.T) {
	t.Parallel()
	b := setup(t, quick)
	b.online(t)
	id := b.newID()
	b.queue(t, id, "79001111111", "later") // and nobody kicks
	b.awaitStatus(t, id, message.Sent)
}
