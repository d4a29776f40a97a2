package store

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"wafleet/shared/message"
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

// Accept makes a send durable: nil means that a host will find it. Where the queue is in the same database as the row there
// is nothing to hand over, and the message waits for its turn at once (steps 1 to 3, one statement). With any other queue the
// row comes first, then its body goes into the queue of its shard (steps 1 and 2); the row stays behind when the queue
// fails (ErrNotQueued). The body is sealed for message.BodyContext.
func (s *Store) Accept(ctx context.Context, q Sender, row db.AcceptMessageParams, body []byte) error {
	if queue.IsLocal(q) {
		return s.acceptQueued(ctx, row, body)
	}
	_, err := s.queries.AcceptMessage(ctx, s.pool, row)
	if err := accepted(err); err != nil {
		return err
	}
	return s.Enqueue(ctx, q, row.Shard, row.CompanyID, row.MessageID, body)
}

func (s *Store) acceptQueued(ctx context.Context, row db.AcceptMessageParams, body []byte) error {
	_, err := s.queries.AcceptQueued(ctx, s.pool, db.AcceptQueuedParams{
		CompanyID: row.CompanyID, Phone: row.Phone, MessageID: row.MessageID, Shard: row.Shard, Kind: row.Kind, Chat: row.Chat,
		Lane: row.Lane, ClientRef: row.ClientRef, BodyHash: row.BodyHash, DueAt: row.DueAt, Ttl: row.Ttl, Body: body,
	})
	return accepted(err)
}

// accepted names the outcome of writing the row.
func accepted(err error) error {
	if errors.Is(err, pgx.ErrNoRows) {
		return ErrMessageExists
	}
	if err != nil {
		return fmt.Errorf("accept message: %w", err)
	}
	return nil
}

// Enqueue hands over a message whose row is there already: done twice, it folds.
func (s *Store) Enqueue(ctx context.Context, q Sender, shard int, companyID, messageID string, body []byte) error {
	if queue.IsLocal(q) {
		_, err := s.QueueAll(ctx, []db.QueueMessageParams{{CompanyID: companyID, MessageID: messageID, Body: body}})
		return err
	}
	envelope, err := message.Envelope{CompanyID: companyID, MessageID: messageID, Body: body}.Encode()
	if err != nil {
		return fmt.Errorf("queue message %s: %w: %w", messageID, ErrNotQueued, err)
	}
	err = q.Send(ctx, queue.Sends(shard), queue.Message{Group: companyID, DedupID: messageID, Body: envelope})
	if err != nil {
		return fmt.Errorf("queue message %s: %w: %w", messageID, ErrNotQueued, err)
	}
	err = s.queries.MarkEnqueued(ctx, s.pool, db.MarkEnqueuedParams{CompanyID: companyID, MessageID: messageID})
	if err != nil {
		return fmt.Errorf("message %s: %w: %w", messageID, ErrNotMarked, err)
	}
	return nil
}
