package store

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"

	"wafleet/shared/message"
	"wafleet/shared/store/db"
)

// hiddenSuffix tells a hidden id from a number where an address may be either.
const hiddenSuffix = "@lid"

// optsOut says that by this message its sender wants to hear no more: one word, to the company alone and not to a group.
func (a Arrival) optsOut() bool {
	return a.Chat == a.Sender && a.Event.Kind == message.Text && message.IsOptOut(a.Event.Text)
}

// suppress puts the sender of a message on the company's suppression list, under the number and the hidden id alike.
func (s *Store) suppress(ctx context.Context, tx pgx.Tx, a Arrival) error {
	var addresses []string
	if a.Phone != "" {
		addresses = append(addresses, a.Phone)
	}
	if lid := a.Event.From.LID; lid != "" {
		addresses = append(addresses, strings.TrimSuffix(lid, hiddenSuffix)+hiddenSuffix)
	}
	if len(addresses) == 0 {
		return nil
	}
	_, err := s.queries.Suppress(ctx, tx, db.SuppressParams{
		CompanyID: a.CompanyID, Person: addresses[0], MessageID: IncomingID(a.ID), Addresses: addresses,
	})
	if err != nil {
		return fmt.Errorf("suppress sender: %w", err)
	}
	return nil
}
