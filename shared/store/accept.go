package store

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"wafleet/shared/queue"
	"wafleet/shared/store/db"
)

var (
	// ErrMessageExists says that there is a message of this id already: nothing was written or queued.
	ErrMessageExists = errors.New("message exists already")
	// ErrNotQueued says that a message may not be in the queue: nothing may be promised for it.
	ErrNotQueued = errors.New("message was not queued")
	// ErrNotMarked says that a message is queued, and its row does not say so yet.
	ErrNotMarked = errors.New("message is not marked as queued")
)

// Sender is the producer's side of a queue.
type Sender interface {
	Send(ctx context.Context, queue string, message queue.Message) error
}

// tables is a queue whose tables are in the store's own database.
type tables interface {
	// Check says why a message cannot be sent to the queue of that name, as Send would.
	Check(name string, message queue.Message) error
	// Unflushed is a pool whose commits a later one makes durable.
	Unflushed() *pgxpool.Pool
}

// Accept makes steps 1 and 2 of a send: the row under its final id, then the body into the queue of the message's shard.
// Nil means that both are durable. Where the queue is in the same database that is one statement and one commit; with
// any other queue the row comes first, and stays behind when the queue fails (ErrNotQueued).
func (s *Store) Accept(ctx context.Context, q Sender, row db.AcceptMessageParams, body []byte) error {
	if same, ok := q.(tables); ok {
		return s.acceptIntoTables(ctx, same, row, body)
	}
	_, err := s.queries.AcceptMessage(ctx, s.pool, row)
	if errors.Is(err, pgx.ErrNoRows) {
		return ErrMessageExists
	}
	if err != nil {
		return fmt.Errorf("accept message: %w", err)
	}
	return s.Enqueue(ctx, q, row.Shard, row.CompanyID, row.MessageID, body)
}

func (s *Store) acceptIntoTables(ctx context.Context, q tables, row db.AcceptMessageParams, body []byte) error {
	name := queue.Sends(row.Shard)
	if err := q.Check(name, queue.Message{Group: row.CompanyID, DedupID: row.MessageID, Body: body}); err != nil {
		return err
	}
	accepted, err := s.queries.AcceptIntoQueue(ctx, s.pool, db.AcceptIntoQueueParams{
		CompanyID: row.CompanyID, Phone: row.Phone, MessageID: row.MessageID, Shard: row.Shard, Kind: row.Kind, Chat: row.Chat,
		Lane: row.Lane, ClientRef: row.ClientRef, BodyHash: row.BodyHash, DueAt: row.DueAt, Ttl: row.Ttl, Queue: name, Body: body,
	})
	if err != nil {
		return fmt.Errorf("accept message: %w", err)
	}
	if !accepted {
		return ErrMessageExists
	}
	return nil
}

// Enqueue is step 2 for a message whose row is there: queued twice, it folds.
func (s *Store) Enqueue(ctx context.Context, q Sender, shard int, companyID, messageID string, body []byte) error {
	err := q.Send(ctx, queue.Sends(shard), queue.Message{Group: companyID, DedupID: messageID, Body: body})
	if err != nil {
		return fmt.Errorf("queue message %s: %w: %w", messageID, ErrNotQueued, err)
	}
	err = s.queries.MarkEnqueued(ctx, s.pool, db.MarkEnqueuedParams{CompanyID: companyID, MessageID: messageID})
	if err != nil {
		return fmt.Errorf("message %s: %w: %w", messageID, ErrNotMarked, err)
	}
	return nil
}
