package store

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"wafleet/shared/message"
	"wafleet/shared/store/db"
)

// greetingKey stands in for the idempotency key of a greeting, which has none. No header can hold a NUL, so that no
// caller's key is the same.
const greetingKey = "\x00greeting\x00"

// greet answers a contact's first message with the company's greetingMessage, if it has one: in the transaction that
// stores the message, so that the greeting is neither lost nor sent twice.
func (s *Store) greet(ctx context.Context, tx pgx.Tx, fence Fence, a Arrival) (greeted bool, err error) {
	met, err := s.queries.MeetContact(ctx, tx, db.MeetContactParams{CompanyID: a.CompanyID, Chat: a.Chat})
	if errors.Is(err, pgx.ErrNoRows) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("meet contact: %w", err)
	}
	content := message.Content{Kind: message.Text, Text: met.Greeting}
	id := message.NewIDs(met.IDSecret).For(a.CompanyID, greetingKey+a.Chat)
	hash, err := content.Hash(a.GreetTo, nil)
	if err != nil {
		return false, fmt.Errorf("hash greeting: %w", err)
	}
	plain, err := content.Encode()
	if err != nil {
		return false, fmt.Errorf("encode greeting: %w", err)
	}
	body, err := s.vault.Seal(ctx, a.CompanyID, message.BodyContext(id), plain)
	if err != nil {
		return false, fmt.Errorf("seal greeting: %w", err)
	}
	rows, err := s.queries.QueueGreeting(ctx, tx, db.QueueGreetingParams{
		CompanyID: a.CompanyID, Phone: a.GreetTo, MessageID: id, Shard: fence.Shard, Body: body, BodyHash: hash, HostID: fence.HostID,
	})
	if err != nil {
		return false, fmt.Errorf("queue greeting: %w", err)
	}
	return rows > 0, nil
}
