package store_test

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"wafleet/shared/message"
	"wafleet/shared/queue"
	"wafleet/shared/queue/pgqueue"
	"wafleet/shared/store"
	"wafleet/shared/store/db"
)

// elsewhere is a queue that hides that it is in the same database, as no other queue is.
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

func (f *fixture) received(t *testing.T, q *pgqueue.Queue) []queue.Received {
	t.Helper()
	received, err := q.Receive(t.Context(), queue.Sends(0), queue.MaxBatch, 0, time.Minute)
	require.NoError(t, err)
	return received
}

// With the queue in the same database there is nothing to hand over: the message waits for its turn at once.
func TestAcceptInOneDatabase(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	q := newQueue(t, f)
	require.NoError(t, f.Accept(t.Context(), q, acceptance("a"), []byte("body a")))
	row := f.message(t, "a")
	require.Equal(t, "queued", row.Status)
	require.Equal(t, "body a", string(row.Body))
	require.NotNil(t, row.EnqueuedAt)
	require.WithinDuration(t, time.Now().Add(time.Minute), *row.ExpiresAt, 30*time.Second)
	require.Equal(t, "queued", lastTrace(t, row)["status"])
	require.Empty(t, f.received(t, q))

	before := f.contents(t)
	require.ErrorIs(t, f.Accept(t.Context(), q, acceptance("a"), []byte("another body")), store.ErrMessageExists)
	require.NoError(t, f.Enqueue(t.Context(), q, 0, company, "a", []byte("another body")), "again, and it folds")
	require.Equal(t, before, f.contents(t))

	f.exec(t, `UPDATE messages SET status = 'failed', reason = 'not_enqueued', body = NULL`)
	require.NoError(t, f.Enqueue(t.Context(), q, 0, company, "a", []byte("body a")))
	require.Equal(t, "queued", f.message(t, "a").Status, "what no queue had taken is lifted")
}

func TestAcceptThroughAQueue(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	q := newQueue(t, f)
	send := &elsewhere{queue: q}
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
	received := f.received(t, q)
	require.Len(t, received, 1)
	envelope, err := message.DecodeEnvelope(received[0].Body)
	require.NoError(t, err)
	require.Equal(t, message.Envelope{CompanyID: company, MessageID: "a", Body: []byte("body a")}, envelope)
	require.Equal(t, company, received[0].Group)
	require.Equal(t, "a", received[0].DedupID)

	require.NoError(t, f.Enqueue(t.Context(), send, 0, company, "a", []byte("body a")), "again, and it folds")
	require.Empty(t, f.received(t, q))
}

func TestAcceptWithoutTheQueue(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	cut := errors.New("cut off")
	err := f.Accept(t.Context(), &elsewhere{err: cut}, acceptance("a"), []byte("body"))
	require.ErrorIs(t, err, store.ErrNotQueued)
	require.ErrorIs(t, err, cut)
	require.Nil(t, f.message(t, "a").EnqueuedAt, "sweep finds it")
}
