package ingest_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"wafleet/hosts/internal/ingest"
	"wafleet/shared/message"
	"wafleet/shared/queue"
	"wafleet/shared/queue/pgqueue"
	"wafleet/shared/store"
	"wafleet/shared/store/db"
	"wafleet/shared/store/pgtest"
	"wafleet/shared/vault"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	company = "salon"
	shardNo = 1
	await   = 15 * time.Second
)

type bundle struct {
	queue    *flakyQueue
	store    *store.Store
	vault    *vault.Vault
	ingester *ingest.Ingester

	mu     sync.Mutex
	kicked []string
}

// flakyQueue is the real queue; deletes can be made to get lost, as by a host that dies before them.
type flakyQueue struct {
	queue.Queue
	mu          sync.Mutex
	loseDeletes int
	received    chan int
}

func (q *flakyQueue) Receive(ctx context.Context, name string, most int, wait, _ time.Duration) ([]queue.Received, error) {
	batch, err := q.Queue.Receive(ctx, name, most, wait, time.Second) // comes back soon when not deleted
	if len(batch) > 0 {
		q.received <- len(batch)
	}
	return batch, err
}

func (q *flakyQueue) Delete(ctx context.Context, name string, handles []string) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.loseDeletes > 0 {
		q.loseDeletes--
		return errors.New("died before the delete")
	}
	return q.Queue.Delete(ctx, name, handles)
}

func setup(t *testing.T) *bundle {
	t.Helper()
	pool := pgtest.New(t)
	local, err := vault.NewLocal(bytes.Repeat([]byte{1}, vault.KeySize))
	require.NoError(t, err)
	v := vault.New(local, store.NewKeyring(pool))
	pg, err := pgqueue.New(pool, queue.Definitions(2), slog.New(slog.DiscardHandler), pgqueue.Config{LookEvery: 50 * time.Millisecond})
	require.NoError(t, err)
	require.NoError(t, pg.Start(t.Context()))
	t.Cleanup(func() { _ = pg.Stop(context.Background()) })
	b := &bundle{queue: &flakyQueue{Queue: pg, received: make(chan int, 1024)}, store: store.New(pool, v), vault: v}
	_, err = store.EnsureInstallation(t.Context(), pool, 2)
	require.NoError(t, err)
	_, err = b.store.CreateCompany(t.Context(), store.NewCompany{CompanyID: company, Shard: shardNo, PerMinute: 30, RateMax: 30})
	require.NoError(t, err)
	b.ingester = ingest.New(ingest.Deps{
		Queue: b.queue, Store: b.store, Vault: v, HostID: "host-1", Registry: prometheus.NewRegistry(),
		Logger:   slog.New(slog.DiscardHandler),
		Announce: func(context.Context, []store.Delivery) {},
		Kick: func(id string) {
			b.mu.Lock()
			defer b.mu.Unlock()
			b.kicked = append(b.kicked, id)
		},
	})
	t.Cleanup(func() { _ = b.ingester.Stop(context.Background()) })
	return b
}

// accept does what the API does.
func (b *bundle) accept(t *testing.T, id string) message.Envelope {
	t.Helper()
	ctx := t.Context()
	_, err := b.store.Queries().AcceptMessage(ctx, b.store.Pool(), db.AcceptMessageParams{
		CompanyID: company, Phone: "79001111111", MessageID: id, Shard: shardNo, Kind: "text", Chat: "79001111111", BodyHash: []byte{1},
	})
	require.NoError(t, err)
	body, err := b.vault.Seal(ctx, company, message.BodyContext(id), []byte(`{"type":"text","text":"hi"}`))
	require.NoError(t, err)
	return message.Envelope{CompanyID: company, MessageID: id, Body: body}
}

func (b *bundle) send(t *testing.T, e message.Envelope) {
	t.Helper()
	body, err := e.Encode()
	require.NoError(t, err)
	b.sendRaw(t, e.MessageID, body)
}

func (b *bundle) sendRaw(t *testing.T, id string, body []byte) {
	t.Helper()
	require.NoError(t, b.queue.Send(t.Context(), queue.Sends(shardNo), queue.Message{Group: company, DedupID: id, Body: body}))
}

func (b *bundle) awaitStatus(t *testing.T, id string, want message.Status) db.Message {
	t.Helper()
	var row db.Message
	require.Eventually(t, func() bool {
		var err error
		row, err = b.store.Queries().GetOutgoing(t.Context(), b.store.Pool(), db.GetOutgoingParams{CompanyID: company, MessageID: id})
		return err == nil && row.Status == string(want)
	}, await, 5*time.Millisecond, "%s of %s", want, id)
	return row
}

func TestSendsReachTheOutbox(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.ingester.OpenShard(t.Context(), shardNo)
	for i := range 25 {
		b.send(t, b.accept(t, fmt.Sprintf("3EB0%02d", i)))
	}
	for i := range 25 {
		row := b.awaitStatus(t, fmt.Sprintf("3EB0%02d", i), message.Queued)
		require.NotEmpty(t, row.Body)
		require.NotNil(t, row.EnqueuedAt)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	require.Contains(t, b.kicked, company)
}

func TestARedeliveryFolds(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.queue.loseDeletes = 1
	b.ingester.OpenShard(t.Context(), shardNo)
	b.send(t, b.accept(t, "3EB0A"))
	b.awaitStatus(t, "3EB0A", message.Queued)
	_, err := b.store.Pool().Exec(t.Context(), `UPDATE messages SET status = 'sent' WHERE message_id = '3EB0A'`)
	require.NoError(t, err)
	<-b.queue.received
	select {
	case <-b.queue.received: // the second delivery
	case <-time.After(await):
		require.FailNow(t, "not redelivered")
	}
	b.send(t, b.accept(t, "3EB0B"))
	b.awaitStatus(t, "3EB0B", message.Queued)
	b.awaitStatus(t, "3EB0A", message.Sent)
}

func TestALateDeliveryLiftsNotEnqueued(t *testing.T) {
	t.Parallel()
	b := setup(t)
	lifted, final := b.accept(t, "3EB0A"), b.accept(t, "3EB0B")
	_, err := b.store.Pool().Exec(t.Context(), `UPDATE messages SET status = 'failed',
		reason = CASE message_id WHEN '3EB0A' THEN 'not_enqueued' ELSE 'recipient_not_on_whatsapp' END`)
	require.NoError(t, err)
	b.send(t, lifted)
	b.send(t, final)
	b.ingester.OpenShard(t.Context(), shardNo)
	require.Empty(t, b.awaitStatus(t, "3EB0A", message.Queued).Reason)
	b.send(t, b.accept(t, "3EB0C"))
	b.awaitStatus(t, "3EB0C", message.Queued)
	b.awaitStatus(t, "3EB0B", message.Failed)
}

func TestUnreadableSends(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.ingester.OpenShard(t.Context(), shardNo)
	bad := b.accept(t, "3EB0BAD")
	bad.Body = []byte("not sealed by us")
	b.send(t, bad)
	require.Equal(t, ingest.ReasonInvalid, b.awaitStatus(t, "3EB0BAD", message.Failed).Reason)

	// An envelope that names no message stays in the queue for the dead letters, and holds up nobody else.
	require.NoError(t, b.queue.Send(t.Context(), queue.Sends(shardNo), queue.Message{Group: "noise", DedupID: "x", Body: []byte("{]")}))
	b.send(t, b.accept(t, "3EB0OK"))
	b.awaitStatus(t, "3EB0OK", message.Queued)
}

func TestCloseFinishesTheBatchInHand(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for i := range 5 {
		b.send(t, b.accept(t, fmt.Sprintf("3EB0%d", i)))
	}
	b.ingester.OpenShard(t.Context(), shardNo)
	<-b.queue.received
	b.ingester.CloseShard(shardNo)()
	b.ingester.CloseShard(shardNo)() // twice is fine
	b.awaitStatus(t, "3EB00", message.Queued)
	b.ingester.OpenShard(t.Context(), shardNo)
	for i := range 5 {
		b.awaitStatus(t, fmt.Sprintf("3EB0%d", i), message.Queued)
	}
}

// Without the database nothing is deleted: the batch is handed back and comes again.
func TestNothingIsLostWhileTheDatabaseIsAway(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.send(t, b.accept(t, "3EB0A"))
	_, err := b.store.Pool().Exec(t.Context(), `ALTER TABLE messages RENAME TO away`)
	require.NoError(t, err)
	b.ingester.OpenShard(t.Context(), shardNo)
	<-b.queue.received
	<-b.queue.received
	_, err = b.store.Pool().Exec(t.Context(), `ALTER TABLE away RENAME TO messages`)
	require.NoError(t, err)
	b.awaitStatus(t, "3EB0A", message.Queued)
}
