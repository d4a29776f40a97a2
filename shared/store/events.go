package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"wafleet/shared/store/db"
	"wafleet/shared/vault"
)

// Event is a fact about a company, to be told to it.
type Event struct {
	CompanyID string
	Type      string
	Data      any       // becomes JSON
	ID        uuid.UUID // fixed by the caller where the fact may be written twice, else made here
}

// Delivery is one event on its way to one endpoint.
type Delivery = db.AppendEventRow

// EventContext is the associated data of a sealed event.
func EventContext(id uuid.UUID) string { return "events.data|" + id.String() }

// AppendEvent writes an event under the company's next number and a delivery for each endpoint that wants
// it. It must be the last statement of its transaction: from here to the commit the company's counter is
// locked, which is what keeps readers of the log from skipping an event. After the commit the caller may
// speed the returned deliveries up through the queue; nothing depends on it. Who calls it for many companies at the
// same time has to leave one connection of the pool free, for data keys that are not in memory yet.
func (s *Store) AppendEvent(ctx context.Context, tx pgx.Tx, e Event) ([]Delivery, error) {
	id, sealed, err := s.sealEvent(ctx, e)
	if err != nil {
		return nil, err
	}
	deliveries, err := s.queries.AppendEvent(ctx, tx, db.AppendEventParams{
		CompanyID: e.CompanyID, ID: id, Type: e.Type, Data: sealed,
	})
	if err != nil {
		return nil, fmt.Errorf("append event: %w", err)
	}
	return deliveries, nil
}

// sealEvent returns the event's id, made unless it is fixed, and its data as it is stored. ErrNoCompany: its key is gone.
func (s *Store) sealEvent(ctx context.Context, e Event) (id uuid.UUID, sealed []byte, err error) {
	data, err := json.Marshal(e.Data)
	if err != nil {
		return id, nil, fmt.Errorf("encode event: %w", err)
	}
	if id = e.ID; id == uuid.Nil {
		if id, err = uuid.NewV7(); err != nil {
			return id, nil, fmt.Errorf("make event id: %w", err)
		}
	}
	sealed, err = s.vault.Seal(ctx, e.CompanyID, EventContext(id), data)
	if errors.Is(err, vault.ErrNoKey) {
		return id, nil, fmt.Errorf("seal event: %w: %w", ErrNoCompany, err)
	}
	if err != nil {
		return id, nil, fmt.Errorf("seal event: %w", err)
	}
	return id, sealed, nil
}

// announced are the deliveries that a statement made, at its time.
func announced(companyID string, at time.Time, ids []uuid.UUID) []Delivery {
	deliveries := make([]Delivery, len(ids))
	for i, id := range ids {
		deliveries[i] = Delivery{ID: id, CompanyID: companyID, CreatedAt: at}
	}
	return deliveries
}
