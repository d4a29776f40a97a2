package store_test

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"wafleet/shared/queue"
	"wafleet/shared/queue/pgqueue"
	"wafleet/shared/store"
	"wafleet/shared/store/db"
)

// elsewhere hides that a queue is in the same database, as no other queue is.
type elsewhere struct {
	queue store.Sender
	err   error
}

func (q *elsewhere) Send(ctx context.Context, name string, m queue.Message) error {
	if q.err != nil {
		return q.err
	}
	return q.queue.Send(ctx, name, m)
}

func newQueue(t *testing.T, f *fixture) *pgqueue.Queue {
	t.Helper()
	q, err := pgqueue.New(f.pool, queue.Definitions(4), slog.New(slog.DiscardHandler), pgqueue.Config{})
	require.NoError(t, err)
	return q
}

func acceptance(id string) db.AcceptMessageParams {
	ttl := 60.0
	return db.AcceptMessageParams{
		CompanyID: company, Phone: "79001234567", MessageID: id, Kind: "text", Chat: "79001234567", BodyHash: []byte("hash"), Ttl: &ttl,
	}
}

// Both ways of accepting leave the same row and the same message in the queue.
func TestAccept(t *testing.T) {
	t.Parallel()
	for name, wrap := range map[string]func(q *pgqueue.Queue) store.Sender{
		"in one statement": func(q *pgqueue.Queue) store.Sender { return q },
		"in two steps":     func(q *pgqueue.Queue) store.Sender { return &elsewhere{queue: q} },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t)
			q := newQueue(t, f)
			send := wrap(q)
			require.NoError(t, f.Accept(t.Context(), send, acceptance("a"), []byte("body a")))
			row := f.message(t, "a")
			require.Equal(t, "accepted", row.Status)
			require.Nil(t, row.Body, "it travels through the queue")
			require.NotNil(t, row.EnqueuedAt)
			require.WithinDuration(t, time.Now().Add(time.Minute), *row.ExpiresAt, 30*time.Second)
			require.Equal(t, "accepted", lastTrace(t, row)["status"])

			before := f.contents(t)
			require.ErrorIs(t, f.Accept(t.Context(), send, acceptance("a"), []byte("another body")), store.ErrMessageExists)
			require.Equal(t, before, f.contents(t))
			received, err := q.Receive(t.Context(), queue.Sends(0), queue.MaxBatch, 0, time.Minute)
			require.NoError(t, err)
			require.Len(t, received, 1)
			require.Equal(t, "body a", string(received[0].Body))
			require.Equal(t, company, received[0].Group)
			require.Equal(t, "a", received[0].DedupID)

			require.NoError(t, f.Enqueue(t.Context(), send, 0, company, "a", []byte("body a")), "again, and it folds")
			received, err = q.Receive(t.Context(), queue.Sends(0), queue.MaxBatch, 0, time.Minute)
			require.NoError(t, err)
			require.Empty(t, received)
		})
	}
}

func TestAcceptWithoutTheQueue(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	cut := errors.New("cut off")
	err := f.Accept(t.Context(), &elsewhere{err: cut}, acceptance("a"), []byte("body"))
	require.ErrorIs(t, err, store.ErrNotQueued)
	require.ErrorIs(t, err, cut)
	require.Nil(t, f.message(t, "a").EnqueuedAt, "sweep finds it")

	q := newQueue(t, f)
	for _, wrong := range [][]byte{nil, make([]byte, queue.MaxBody+1)} {
		require.Error(t, f.Accept(t.Context(), q, acceptance("b"), wrong))
	}
	f.exec(t, `ALTER TABLE queue_fifo RENAME TO away`)
	require.Error(t, f.Accept(t.Context(), q, acceptance("b"), []byte("body")))
	_, err = f.Queries().GetOutgoing(t.Context(), f.pool, db.GetOutgoingParams{CompanyID: company, MessageID: "b"})
	require.Error(t, err, "one statement writes both or nothing")
}
