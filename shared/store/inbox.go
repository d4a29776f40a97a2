package store

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"wafleet/shared/message"
	"wafleet/shared/store/db"
)

// Arrival is an incoming message under the id that its dedup key fixes.
type Arrival struct {
	CompanyID   string
	ID          uuid.UUID // UUIDv5 of the dedup key; the message's id and the event's
	WAMessageID string
	Phone, Chat string // the sender's number where known, and the canonical chat
	Sender      string // canonical address of the sender
	SenderName  string
	Content     message.Content
	Event       message.Incoming
	SentAt      time.Time
	GreetTo     string // the number that a greeting would go to; empty: none may be sent
	Greeted     func() // called when a greeting waits in the outbox; may be nil
}

// IncomingID is the message id of an arrival.
func IncomingID(id uuid.UUID) string { return "in_" + id.String() }

// Receive stores an incoming message, its event and the deliveries in one transaction. A message that is
// already there is left alone: fresh is false and nothing is told twice.
func (s *Store) Receive(ctx context.Context, fence Fence, a Arrival) (fresh bool, deliveries []Delivery, err error) {
	messageID := IncomingID(a.ID)
	optsOut := a.optsOut()
	a.Event.Suppressed = optsOut
	content, err := a.Content.Encode()
	if err != nil {
		return false, nil, fmt.Errorf("receive: %w", err)
	}
	body, err := s.vault.Seal(ctx, a.CompanyID, message.BodyContext(messageID), content)
	if err != nil {
		return false, nil, fmt.Errorf("seal incoming: %w", err)
	}
	params := db.ReceiveMessageParams{
		Shard: fence.Shard, Term: fence.Term, HostID: fence.HostID,
		CompanyID: a.CompanyID, MessageID: messageID, Phone: a.Phone, Kind: string(a.Content.Kind),
		Chat: a.Chat, Body: body, WaMessageID: a.WAMessageID, Sender: a.Sender, SenderName: a.SenderName,
		CreatedAt: a.SentAt, EventType: message.Received.EventType(),
	}
	if params.EventID, params.EventData, err = s.sealEvent(ctx, Event{CompanyID: a.CompanyID, Data: a.Event, ID: a.ID}); err != nil {
		return false, nil, err
	}
	if a.GreetTo == "" && !optsOut {
		row, err := s.arrive(ctx, s.pool, params)
		return row.Fresh, announced(a.CompanyID, row.At, row.Deliveries), err
	}
	var row db.ReceiveMessageRow
	var greeted bool
	err = s.InTx(ctx, func(tx pgx.Tx) error {
		row, err = s.arrive(ctx, tx, params)
		if err == nil && row.Fresh && optsOut {
			err = s.suppress(ctx, tx, a)
		}
		if err == nil && row.Fresh && a.GreetTo != "" {
			greeted, err = s.greet(ctx, tx, fence, a) // not who has just opted out, who is a known contact from now on
		}
		return err
	})
	if err != nil {
		return false, nil, err
	}
	if greeted && a.Greeted != nil {
		a.Greeted()
	}
	return row.Fresh, announced(a.CompanyID, row.At, row.Deliveries), nil
}

// arrive writes a message and its event.
func (s *Store) arrive(ctx context.Context, to db.DBTX, params db.ReceiveMessageParams) (db.ReceiveMessageRow, error) {
	row, err := s.queries.ReceiveMessage(ctx, to, params)
	if err != nil {
		return row, fmt.Errorf("receive message: %w", err)
	}
	if !row.Held {
		return row, fmt.Errorf("receive message: %w", ErrFenced)
	}
	return row, nil
}

// Quarantine keeps what an inbound handler could not digest, so that it can be acked without being lost.
func (s *Store) Quarantine(ctx context.Context, fence Fence, companyID, source, reason string, body []byte) error {
	sealed, err := s.vault.Seal(ctx, companyID, "quarantine.body", body)
	if err != nil {
		return fmt.Errorf("seal for quarantine: %w", err)
	}
	return s.FencedTx(ctx, fence, func(tx pgx.Tx) error {
		err := s.queries.Quarantine(ctx, tx, db.QuarantineParams{CompanyID: companyID, Source: source, Reason: reason, Body: sealed})
		if err != nil {
			return fmt.Errorf("quarantine: %w", err)
		}
		return nil
	})
}
