package actor_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"wafleet/hosts/internal/actor"
	"wafleet/shared/message"
	"wafleet/shared/store/db"
)

// held is a send that has begun and does not end.
type held struct {
	begun, release chan struct{}
	end            func()
}

// hold makes the next send of a bundle wait until it is released.
func (b *bundle) hold(t *testing.T) *held {
	t.Helper()
	h := &held{begun: make(chan struct{}), release: make(chan struct{})}
	h.end = sync.OnceFunc(func() { close(h.release) })
	t.Cleanup(h.end)
	var once atomic.Bool
	b.set(func(s *script) {
		s.SendErr = func(actor.Outgoing) error {
			if once.CompareAndSwap(false, true) {
				close(h.begun)
				<-h.release
			}
			return nil
		}
	})
	return h
}

func (h *held) await(t *testing.T) {
	t.Helper()
	select {
	case <-h.begun:
	case <-time.After(await):
		require.FailNow(t, "nothing was sent")
	}
}

// unfinished requires that something has not ended, although it had time to.
func unfinished(t *testing.T, ended <-chan error, what string) {
	t.Helper()
	select {
	case err := <-ended:
		require.FailNow(t, what, "it ended with %v", err)
	case <-time.After(100 * time.Millisecond):
	}
}

// A host that goes finishes the message in hand and begins no other, so that its successor finds nothing in doubt.
func TestStopWaitsForTheMessageInHand(t *testing.T) {
	t.Parallel()
	b := setup(t, quick)
	h := b.hold(t)
	inHand, next := b.accept(t, "79001111111", "in hand"), b.accept(t, "79001111111", "next") // peeked together
	other := b.accept(t, "79002222222", "another chat")
	b.online(t)
	h.await(t)
	stopped := make(chan error, 1)
	go func() { stopped <- b.fleet.Stop(context.Background()) }()
	unfinished(t, stopped, "stopped over a message in hand")
	b.accept(t, "79002222222", "while it stops")
	h.end()
	require.NoError(t, <-stopped)

	require.Equal(t, string(message.Sent), b.message(t, inHand).Status)
	require.Len(t, b.AwaitFrames(t, 1), 1)
	require.Empty(t, b.frames)
	for _, id := range []string{next, other} {
		row := b.message(t, id)
		require.Equal(t, string(message.Queued), row.Status)
		require.Zero(t, row.Attempt, "not even claimed")
	}
	require.NoError(t, b.fleet.Stop(t.Context()), "twice is fine")
}

// Whoever kicks while the outbox is being drained does so for a message that the drain may just have missed.
// Nothing but kicks works here: the poll is hours away.
func TestNoKickIsLost(t *testing.T) {
	t.Parallel()
	cfg := quick
	cfg.PollInterval = time.Hour
	b := setup(t, cfg)
	b.online(t)
	const writers, each = 3, 15
	ids := make(chan string, writers*each)
	var writing sync.WaitGroup
	for w := range writers {
		writing.Go(func() {
			for i := range each {
				id := fmt.Sprintf("3EB0%d%04d", w, i)
				b.queue(t, id, fmt.Sprintf("7900%07d", w), "hi")
				b.fleet.Kick(company)
				ids <- id
			}
		})
	}
	writing.Wait()
	close(ids)
	for id := range ids {
		b.awaitStatus(t, id, message.Sent)
	}
	require.Len(t, b.AwaitFrames(t, writers*each), writers*each)
}

func unknown(reason string) error {
	return &actor.SendError{Outcome: actor.Unknown, Reason: reason, Err: errors.New("cause")}
}

// An unconfirmed message holds its chat for a while and no longer, even if its resends fail at once: then it
// has failed, and the chat goes on.
func TestADoubtEnds(t *testing.T) {
	t.Parallel()
	cfg := quick
	cfg.DoubtWindow = 300 * time.Millisecond
	b := setup(t, cfg)
	doubtful := b.newID()
	b.set(func(s *script) {
		s.SendErr = func(m actor.Outgoing) error {
			if m.ID == doubtful {
				return unknown("no_ack")
			}
			return nil
		}
	})
	b.queue(t, doubtful, "79001111111", "one")
	b.online(t)
	behind := b.accept(t, "79001111111", "two")
	row := b.awaitStatus(t, doubtful, message.Failed)
	require.Equal(t, "unconfirmed", row.Reason)
	require.Positive(t, row.Resends)
	b.awaitStatus(t, behind, message.Sent)
	require.NotContains(t, b.AwaitFrames(t, 1)[0].ID, doubtful)
}

// Nobody writes to the chat any more and nobody kicks: the doubt is resolved all the same.
func TestADoubtIsNotForgotten(t *testing.T) {
	t.Parallel()
	b := setup(t, quick)
	var attempts atomic.Int32
	b.set(func(s *script) {
		s.SendErr = func(actor.Outgoing) error {
			if attempts.Add(1) <= 4 {
				return unknown("no_ack")
			}
			return nil
		}
	})
	b.online(t)
	id := b.accept(t, "79001111111", "hi")
	row := b.awaitStatus(t, id, message.Sent)
	require.Equal(t, 4, row.Resends)
	require.Equal(t, 5, row.Attempt)
}

// People wait for an answer, batches do not: the interactive lane goes first, each lane in its order.
func TestLanes(t *testing.T) {
	t.Parallel()
	b := setup(t, quick)
	const batch = 1
	var batches, interactive []string
	for i := range 3 {
		id := b.newID()
		b.queueFor(t, company, id, "79001111111", fmt.Sprint("offer ", i), func(p *db.AcceptMessageParams) { p.Lane = batch })
		batches = append(batches, id)
	}
	for i := range 3 {
		id := b.newID()
		b.queue(t, id, "79002222222", fmt.Sprint("answer ", i))
		interactive = append(interactive, id)
	}
	b.online(t)
	var order []string
	for _, frame := range b.AwaitFrames(t, 6) {
		order = append(order, frame.ID)
	}
	require.Equal(t, append(interactive, batches...), order)
}

// A socket that drops in the middle of an outbox changes nothing about its order, and nothing goes out twice.
func TestOrderOverAReconnect(t *testing.T) {
	t.Parallel()
	cfg := quick
	cfg.PollInterval = time.Hour // which would wake the sender before the connection is back
	b := setup(t, cfg)
	c := b.online(t)
	var frames atomic.Int32
	dropped := make(chan struct{}, 2)
	b.set(func(s *script) {
		s.SendErr = func(actor.Outgoing) error {
			if n := frames.Add(1); n == 6 || n == 15 {
				b.latestOf(company).Close() // the socket is gone for further attempts, too
				dropped <- struct{}{}
				return &actor.SendError{Outcome: actor.NotWritten, Reason: "connection_lost", Err: errOffline}
			}
			return nil
		}
	})
	var want []string
	for i := range 24 {
		id := b.newID()
		b.queue(t, id, fmt.Sprintf("7900111111%d", i%2), fmt.Sprint("text ", i))
		want = append(want, id)
	}
	b.fleet.Kick(company)
	var got []string
	for _, until := range []int{5, 13, 24} {
		for _, frame := range b.AwaitFrames(t, until-len(got)) {
			got = append(got, frame.ID)
		}
		if until < 24 {
			<-dropped
			b.awaitStatus(t, want[until], message.Queued)
			require.Empty(t, b.frames)
			c.Signal(lost())
			c = b.AwaitDial(t)
			c.Signal(connected())
		}
	}
	require.Equal(t, want, got)
	b.awaitStatus(t, want[23], message.Sent)
	require.GreaterOrEqual(t, b.message(t, want[5]).Attempt, 2)
}

// Keys that cannot be had for a moment say nothing about the message.
func TestAnAbsentKeyServiceFailsNothing(t *testing.T) {
	t.Parallel()
	b := setup(t, quick)
	b.online(t)
	for _, times := range []int32{1, 3} {
		b.keys.away.Store(times)
		b.keys.vault.Forget(company)
		row := b.awaitStatus(t, b.accept(t, "79001111111", "patience"), message.Sent)
		require.Equal(t, 1, row.Attempt)
		require.Negative(t, b.keys.away.Load(), "the key was asked for in vain")
	}
}

// A single message that comes while a page of a batch's rows is being sent is the next one out.
func TestASingleMessageOvertakesABatch(t *testing.T) {
	t.Parallel()
	b := setup(t, quick)
	h := b.hold(t)
	first := b.accept(t, "79001111111", "row 1")
	var rows []string
	for n := range 9 {
		rows = append(rows, b.accept(t, fmt.Sprintf("7900222222%d", n), "row"))
	}
	_, err := b.store.Pool().Exec(t.Context(), `UPDATE messages SET lane = 1`)
	require.NoError(t, err)
	b.online(t)
	h.await(t)
	single := b.accept(t, "79003333333", "single")
	h.end()
	b.awaitStatus(t, rows[8], message.Sent)
	var order []string
	for _, frame := range b.AwaitFrames(t, 11) {
		order = append(order, frame.ID)
	}
	require.Equal(t, append([]string{first, single}, rows...), order)
}

// How a send ended is written when that is possible again, however long it takes.
func TestAnOutageWithAMessageInHand(t *testing.T) {
	t.Parallel()
	b := setup(t, quick)
	h := b.hold(t)
	b.online(t)
	id := b.accept(t, "79001111111", "in hand")
	h.await(t)
	exec(t, b, `ALTER TABLE events RENAME TO away`)
	h.end()
	// Longer than the ten tries after which a host gives up that wants to stop.
	require.Eventually(t, func() bool { return b.log.count("outcome not written, trying again") > 10 }, 3*await, time.Millisecond)
	require.Equal(t, string(message.Sending), b.message(t, id).Status)
	exec(t, b, `ALTER TABLE away RENAME TO events`)
	row := b.awaitStatus(t, id, message.Sent)
	require.Equal(t, 1, row.Attempt, "and nothing was sent twice")
}

// A claim may be committed although the host only heard that its connection broke. The row says sending then,
// with nothing in hand; it must not wait for the next owner.
func TestAClaimWhoseAnswerWasLost(t *testing.T) {
	t.Parallel()
	cfg := quick
	cfg.PollInterval = time.Hour
	b := setup(t, cfg)
	b.online(t)
	b.awaitStatus(t, b.accept(t, "79001111111", "before"), message.Sent)
	id := b.newID()
	b.queue(t, id, "79001111111", "claimed")
	wire, err := b.vault.Seal(t.Context(), company, message.WireContext(id), []byte("wire:claimed"))
	require.NoError(t, err)
	exec(t, b, `UPDATE messages m SET status = 'sending', attempt = 1, wire = $2, term = o.term, incarnation = o.incarnation
		FROM messages o WHERE m.message_id = $1 AND o.status = 'sent'`, id, wire)

	exec(t, b, `ALTER TABLE messages RENAME TO away`)
	b.fleet.Kick(company)
	require.Eventually(t, func() bool { return b.log.count("drain outbox") > 0 }, await, time.Millisecond,
		"%v", later(func() string { return fmt.Sprint(b.log.lines, b.session(t).State) }))
	exec(t, b, `ALTER TABLE away RENAME TO messages`)
	b.fleet.Kick(company)
	row := b.awaitStatus(t, id, message.Sent)
	require.Equal(t, 1, row.Resends, "it may have gone out: only a resend under its id is safe")
}

func exec(t *testing.T, b *bundle, statement string, args ...any) {
	t.Helper()
	_, err := b.store.Pool().Exec(t.Context(), statement, args...)
	require.NoError(t, err)
}
