package store

import (
	"context"
	"errors"
	"fmt"
	"time"

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
	QRAttempts int           // QR codes shown so far; 0 leaves the number that is known
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
	params := db.SetSessionStateParams{
		Shard: fence.Shard, Term: fence.Term,
		CompanyID: c.CompanyID, State: string(c.State), Status: c.State.Status(), Reason: c.Reason,
		UserAction: string(c.Action), JID: c.JID, LID: c.LID, PushName: c.PushName, QrAttempts: c.QRAttempts, EventType: c.Event,
		BanSeconds: c.BanFor.Seconds(), Erase: c.Erase,
	}
	if c.Event != "" {
		fact := sessionFact{State: c.State, Status: c.State.Status(), Reason: c.Reason, UserAction: c.Action}
		if params.EventID, params.EventData, err = s.sealEvent(ctx, Event{CompanyID: c.CompanyID, Data: fact}); err != nil {
			return nil, err
		}
	}
	row, err := s.queries.SetSessionState(ctx, s.pool, params)
	switch {
	case violates(err, "one_company_per_number"):
		return nil, ErrNumberTaken
	case err != nil:
		return nil, fmt.Errorf("set session state: %w", err)
	case !row.Held:
		return nil, fmt.Errorf("set session state: %w", ErrFenced)
	case !row.Changed:
		return nil, ErrNoCompany
	}
	return announced(c.CompanyID, row.At, row.Deliveries), nil
}

// DisownSockets says of the sessions of a shard that was just won, and that were connected, that they are coming back.
// ErrFenced: it is lost again.
func (s *Store) DisownSockets(ctx context.Context, fence Fence) error {
	held, err := s.queries.DisownSockets(ctx, s.pool, db.DisownSocketsParams{Shard: fence.Shard, Term: fence.Term, Status: session.Reconnecting.Status()})
	if err != nil {
		return fmt.Errorf("disown sockets: %w", err)
	}
	if !held {
		return fmt.Errorf("disown sockets: %w", ErrFenced)
	}
	return nil
}

func violates(err error, constraint string) bool {
	var pgErr *pgconn.PgError
	return errors.As(err, &pgErr) && pgErr.ConstraintName == constraint
}
