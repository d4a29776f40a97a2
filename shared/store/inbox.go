package store

import (
	"context"
	"fmt"
	"strings"
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
	Placeholder uuid.UUID // what stands here instead, if the message could not be decrypted at first
	WAMessageID string
	Phone, Chat string // the sender's number where known, and the canonical chat
	Sender      string // canonical address of the sender
	SenderName  string
	Digest      []byte // of the plaintext
	Event       message.Incoming
	SentAt      time.Time
	File        []byte     // how the file of the message is fetched; nil: it has none. It is sealed here
	Amends      *Amendment // the earlier message that this one changes
	GreetTo     string     // the number that a greeting would go to; empty: none may be sent
	Greeted     func()     // called when a greeting waits in the outbox; may be nil
	Wanted      func()     // called when the file is to be fetched at once; may be nil
}

// Amendment is what a message changes about an earlier one.
type Amendment struct {
	MessageID string
	Status    string        // the step in its trace: edited or revoked
	Said      *message.Said // what it says from now on; nil: it stays
}

// IncomingID is the message id of an arrival.
func IncomingID(id uuid.UUID) string { return "in_" + id.String() }

// MediaID is the id of the file of an incoming message.
func MediaID(messageID string) string { return "med_" + strings.TrimPrefix(messageID, "in_") }

// MediaContext is the associated data of a sealed reference to a file.
func MediaContext(mediaID string) string { return "received_media.reference|" + mediaID }

// Receive stores an incoming message, its event and the deliveries in one transaction. A message that is
// already there is left alone: fresh is false and nothing is told twice. One whose placeholder is there takes its place,
// under the placeholder's id.
func (s *Store) Receive(ctx context.Context, fence Fence, a Arrival) (fresh bool, deliveries []Delivery, err error) {
	row, err := s.receive(ctx, fence, a, a.ID, a.Placeholder)
	if err == nil && row.Waiting && a.Event.Kind != message.Undecryptable {
		row, err = s.receive(ctx, fence, a, a.Placeholder, uuid.Nil)
	}
	if err != nil {
		return false, nil, err
	}
	if row.Wanted && a.Wanted != nil {
		a.Wanted()
	}
	return row.Fresh, announced(a.CompanyID, row.At, row.Deliveries), nil
}

// receive stores a message under an id, unless its placeholder is there.
func (s *Store) receive(ctx context.Context, fence Fence, a Arrival, id, placeholder uuid.UUID) (row db.ReceiveMessageRow, err error) {
	optsOut := a.optsOut()
	a.Event.Suppressed = optsOut
	params, err := s.sealArrival(ctx, fence, a, IncomingID(id))
	if err != nil {
		return row, err
	}
	if placeholder != uuid.Nil {
		params.PlaceholderID = IncomingID(placeholder)
	}
	if a.GreetTo == "" && !optsOut {
		return s.arrive(ctx, s.pool, params)
	}
	greeted := false
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
	if err == nil && greeted && a.Greeted != nil {
		a.Greeted()
	}
	return row, err
}

// sealArrival is a message as it is stored under an id.
func (s *Store) sealArrival(ctx context.Context, fence Fence, a Arrival, messageID string) (params db.ReceiveMessageParams, err error) {
	a.Event.MessageID = messageID
	if a.File != nil {
		media := *a.Event.Media // the caller's is not ours to change
		media.ID = MediaID(messageID)
		a.Event.Media = &media
	}
	params = db.ReceiveMessageParams{
		Shard: fence.Shard, Term: fence.Term, HostID: fence.HostID, CompanyID: a.CompanyID, MessageID: messageID,
		Phone: a.Phone, Kind: string(a.Event.Kind), Chat: a.Chat, WaMessageID: a.WAMessageID, Sender: a.Sender,
		SenderName: a.SenderName, Digest: a.Digest, Reason: a.Event.Reason, CreatedAt: a.SentAt, EventType: a.Event.EventType(),
	}
	if params.Body, err = s.sealSaid(ctx, a.CompanyID, messageID, a.Event.Said); err != nil {
		return params, err
	}
	if a.Amends != nil {
		params.AmendedID, params.AmendedStatus = a.Amends.MessageID, a.Amends.Status
		if a.Amends.Said != nil {
			if params.AmendedBody, err = s.sealSaid(ctx, a.CompanyID, a.Amends.MessageID, *a.Amends.Said); err != nil {
				return params, err
			}
		}
	}
	if a.File != nil {
		params.MediaID, params.MimeType = a.Event.Media.ID, a.Event.Media.MimeType
		params.MediaReference, err = s.vault.Seal(ctx, a.CompanyID, MediaContext(params.MediaID), a.File)
		if err != nil {
			return params, fmt.Errorf("seal reference: %w", err)
		}
	}
	params.EventID, params.EventData, err = s.sealEvent(ctx, Event{CompanyID: a.CompanyID, Data: a.Event, ID: a.ID})
	return params, err
}

func (s *Store) sealSaid(ctx context.Context, companyID, messageID string, said message.Said) ([]byte, error) {
	content, err := said.Encode()
	if err != nil {
		return nil, fmt.Errorf("receive: %w", err)
	}
	body, err := s.vault.Seal(ctx, companyID, message.BodyContext(messageID), content)
	if err != nil {
		return nil, fmt.Errorf("seal incoming: %w", err)
	}
	return body, nil
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
