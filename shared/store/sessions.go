package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"wafleet/shared/session"
	"wafleet/shared/store/db"
)

// ErrNumberTaken says that another company's session is linked to the same WhatsApp number. Nothing was written.
var ErrNumberTaken = errors.New("number belongs to another company")

// SessionChange is a step of a session's state machine, as its owner saw it.
type SessionChange struct {
	CompanyID  string
	State      session.State
	Reason     string
	Action     session.UserAction
	JID, LID   *string // when newly known
	PushName   *string
	QRAttempts int
	Event      string        // type of the event that tells of it; empty: none
	BanFor     time.Duration // with Banned: how long from now; 0 leaves the end that is known
	Erase      bool          // with Created: a deletion that was asked for is done
}

// sessionFact is the data of a session event.
type sessionFact struct {
	State      session.State      `json:"state"`
	Status     string             `json:"status"`
	Reason     string             `json:"reason,omitempty"`
	UserAction session.UserAction `json:"userAction"`
}

// ChangeSession records a session's state, keeps the predecessor's columns in step, and writes the event.
// ErrFenced: the lease is gone; ErrNoCompany: the company is; ErrNumberTaken: the device is of another company's number.
func (s *Store) ChangeSession(ctx context.Context, fence Fence, c SessionChange) (deliveries []Delivery, err error) {
	if err := s.openKey(ctx, c.CompanyID); err != nil {
		return nil, err
	}
	err = s.FencedTx(ctx, fence, func(tx pgx.Tx) error {
		_, err := s.queries.SetSessionState(ctx, tx, db.SetSessionStateParams{
			CompanyID: c.CompanyID, State: string(c.State), Status: c.State.Status(), Reason: c.Reason,
			UserAction: string(c.Action), JID: c.JID, LID: c.LID, PushName: c.PushName, QrAttempts: c.QRAttempts,
			BanSeconds: c.BanFor.Seconds(),
		})
		if errors.Is(err, pgx.ErrNoRows) {
			return ErrNoCompany
		}
		if violates(err, "one_company_per_number") {
			return ErrNumberTaken
		}
		if err != nil {
			return fmt.Errorf("set session state: %w", err)
		}
		if c.Erase {
			if err := s.queries.EraseSession(ctx, tx, c.CompanyID); err != nil {
				return fmt.Errorf("erase session: %w", err)
			}
		}
		if c.Event == "" {
			return nil
		}
		deliveries, err = s.AppendEvent(ctx, tx, Event{
			CompanyID: c.CompanyID, Type: c.Event,
			Data: sessionFact{State: c.State, Status: c.State.Status(), Reason: c.Reason, UserAction: c.Action},
		})
		return err
	})
	if err != nil {
		return nil, err
	}
	return deliveries, nil
}

func violates(err error, constraint string) bool {
	var pgErr *pgconn.PgError
	return errors.As(err, &pgErr) && pgErr.ConstraintName == constraint
}
