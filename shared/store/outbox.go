package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"wafleet/shared/message"
	"wafleet/shared/store/db"
)

// ErrNotMoved says that a message is no longer in a state from which the wanted step is allowed: somebody
// or something else moved it first. Nothing was written.
var ErrNotMoved = errors.New("message is no longer in a state to be moved")

// Move is one step of the status ladder.
type Move struct {
	CompanyID, MessageID string
	To                   message.Status
	From                 []message.Status // narrows what the ladder allows; nil: all of it
	Reason               string
	Delay                time.Duration // until the message is due again, for a step back to queued
}

// Attempt is the right to put a message on the wire once.
type Attempt struct {
	CompanyID, MessageID string
	Incarnation          uuid.UUID // of the session that sends; another one finds the message in doubt
	Wire                 []byte    // sealed; kept if the message has one already
}

// QueueAll makes the bodies of accepted messages durable, in one commit, and returns those that were not before.
func (s *Store) QueueAll(ctx context.Context, sends []db.QueueMessageParams) (fresh []db.QueueMessageParams, err error) {
	s.queries.QueueMessage(ctx, s.pool, sends).QueryRow(func(i int, _ string, rowErr error) {
		switch {
		case rowErr == nil:
			fresh = append(fresh, sends[i])
		case !errors.Is(rowErr, pgx.ErrNoRows) && err == nil: // the first one fails the whole batch
			err = fmt.Errorf("queue messages: %w", rowErr)
		}
	})
	if err != nil {
		return nil, err
	}
	return fresh, nil
}

// Begin claims a queued message for sending and fixes what goes on the wire. ErrNotMoved: it was canceled,
// expired or taken; ErrFenced: the lease is gone.
func (s *Store) Begin(ctx context.Context, fence Fence, a Attempt) error {
	rows, err := s.queries.BeginSending(ctx, s.pool, beginParams(fence, a))
	return s.guarded(ctx, fence, rows, err, "begin sending")
}

// Resume claims an unconfirmed message for another attempt under its id.
func (s *Store) Resume(ctx context.Context, fence Fence, a Attempt) error {
	rows, err := s.queries.ResumeSending(ctx, s.pool, db.ResumeSendingParams{
		CompanyID: a.CompanyID, MessageID: a.MessageID, Incarnation: a.Incarnation,
		Shard: fence.Shard, Term: fence.Term, HostID: fence.HostID,
	})
	return s.guarded(ctx, fence, rows, err, "resume sending")
}

// Subject is what events tell of a message beside its status.
type Subject struct {
	Phone     string
	Kind      string
	ClientRef *string
	At        time.Time // when it is told, by the database's clock
}

// Move makes one step of the ladder and writes the event that tells of it. ErrNotMoved: there is no such message, or it is
// not in a state from which the step is allowed; ErrFenced: the lease is gone.
func (s *Store) Move(ctx context.Context, fence Fence, m Move) ([]Delivery, error) {
	row, err := s.queries.DescribeMessage(ctx, s.pool, db.DescribeMessageParams{CompanyID: m.CompanyID, MessageID: m.MessageID})
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, ErrNotMoved
	}
	if err != nil {
		return nil, fmt.Errorf("describe message: %w", err)
	}
	_, deliveries, err := s.Advance(ctx, fence, m, Subject(row), nil)
	return deliveries, err
}

// Advance is Move of a message whose subject is known and, in the same statement, Begin of the next one: one commit for
// each message of a busy outbox. Each may come about without the other: begun is false when the next message was
// canceled, expired or taken, and ErrNotMoved says nothing about it.
func (s *Store) Advance(ctx context.Context, fence Fence, m Move, about Subject, next *Attempt) (begun bool, deliveries []Delivery, err error) {
	params := db.AdvanceMessageParams{
		Shard: fence.Shard, Term: fence.Term, HostID: fence.HostID, CompanyID: m.CompanyID, MessageID: m.MessageID,
		Status: string(m.To), FromStates: words(m.sources()), Reason: m.Reason, Delay: m.Delay.Seconds(), EventType: m.To.EventType(),
	}
	if next != nil {
		params.NextID, params.Incarnation, params.NextWire = next.MessageID, next.Incarnation, next.Wire
	}
	if params.EventType != "" {
		if params.EventID, params.EventData, err = s.sealEvent(ctx, Event{CompanyID: m.CompanyID, Data: progress(about, m)}); err != nil {
			return false, nil, err
		}
	}
	row, err := s.queries.AdvanceMessage(ctx, s.pool, params)
	switch {
	case err != nil:
		return false, nil, fmt.Errorf("advance message: %w", err)
	case !row.Held:
		return false, nil, fmt.Errorf("advance message: %w", ErrFenced)
	case !row.Moved:
		return row.Begun, nil, ErrNotMoved
	}
	return row.Begun, announced(m.CompanyID, row.At, row.Deliveries), nil
}

// sources are the states that the step may be made from.
func (m Move) sources() []message.Status {
	from := m.To.Sources()
	if m.From != nil {
		from = slices.DeleteFunc(from, func(s message.Status) bool { return !slices.Contains(m.From, s) })
	}
	return from
}

// MoveInTx is Move inside a transaction of the caller's. It must be the transaction's last statement.
func (s *Store) MoveInTx(ctx context.Context, tx pgx.Tx, hostID string, m Move) ([]Delivery, error) {
	row, err := s.queries.MoveMessage(ctx, tx, db.MoveMessageParams{
		CompanyID: m.CompanyID, MessageID: m.MessageID, HostID: hostID,
		Status: string(m.To), FromStates: words(m.sources()), Reason: m.Reason, Delay: m.Delay.Seconds(),
	})
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, ErrNotMoved
	}
	if err != nil {
		return nil, fmt.Errorf("move message: %w", err)
	}
	return s.tell(ctx, tx, m, row)
}

// tell appends the event of a step, if one is due.
func (s *Store) tell(ctx context.Context, tx pgx.Tx, m Move, row db.MoveMessageRow) ([]Delivery, error) {
	eventType := m.To.EventType()
	if eventType == "" {
		return nil, nil
	}
	if m.To == message.Failed && m.Reason != message.ReasonNotEnqueued {
		if err := s.queries.CountFailure(ctx, tx, m.CompanyID); err != nil {
			return nil, fmt.Errorf("count failure: %w", err)
		}
	}
	return s.AppendEvent(ctx, tx, Event{CompanyID: m.CompanyID, Type: eventType, Data: progress(subject(row), m)})
}

// DoubtStale marks what other incarnations of a company's session were sending as unconfirmed, tells of it, and
// returns the message ids.
func (s *Store) DoubtStale(ctx context.Context, fence Fence, companyID string, incarnation uuid.UUID) ([]string, error) {
	if err := s.openKey(ctx, companyID); err != nil {
		return nil, err
	}
	var ids []string
	err := s.FencedTx(ctx, fence, func(tx pgx.Tx) error {
		rows, err := s.queries.DoubtStaleSends(ctx, tx, db.DoubtStaleSendsParams{
			CompanyID: companyID, Incarnation: incarnation, Reason: reasonOwnerLost, HostID: fence.HostID,
		})
		if err != nil {
			return fmt.Errorf("doubt stale sends: %w", err)
		}
		for _, row := range rows {
			ids = append(ids, row.MessageID)
			m := Move{CompanyID: companyID, MessageID: row.MessageID, To: message.Unconfirmed, Reason: reasonOwnerLost}
			if _, err := s.tell(ctx, tx, m, db.MoveMessageRow(row)); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return ids, nil
}

// reasonOwnerLost is why a send is in doubt whose owner went away before it could tell how it ended.
const reasonOwnerLost = "owner_lost"

// guarded names the outcome of a fenced single-row update.
func (s *Store) guarded(ctx context.Context, fence Fence, rows int64, err error, what string) error {
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	if rows > 0 {
		return nil
	}
	if err := s.CheckFence(ctx, fence); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return fmt.Errorf("%s: %w", what, ErrNotMoved)
}

func beginParams(fence Fence, a Attempt) db.BeginSendingParams {
	return db.BeginSendingParams{
		CompanyID: a.CompanyID, MessageID: a.MessageID, Incarnation: a.Incarnation, Wire: a.Wire,
		Shard: fence.Shard, Term: fence.Term, HostID: fence.HostID,
	}
}

func subject(row db.MoveMessageRow) Subject {
	return Subject{Phone: row.Phone, Kind: row.Kind, ClientRef: row.ClientRef, At: row.At}
}

func progress(about Subject, m Move) message.Progress {
	p := message.Progress{
		MessageID: m.MessageID, Status: m.To, To: message.ContactOf(about.Phone),
		Kind: message.Kind(about.Kind), Reason: m.Reason, Timestamp: about.At,
	}
	if about.ClientRef != nil {
		p.ClientRef = *about.ClientRef
	}
	return p
}

func words(statuses []message.Status) []string {
	out := make([]string, len(statuses))
	for i, s := range statuses {
		out[i] = string(s)
	}
	return out
}

// Postponement lets a queued message wait, and counts as an attempt.
type Postponement struct {
	CompanyID, MessageID string
	Reason               string
	Delay                time.Duration
}

// Postpone makes a message due later. ErrNotMoved: it is not queued any more; ErrFenced: the lease is gone.
func (s *Store) Postpone(ctx context.Context, fence Fence, p Postponement) error {
	rows, err := s.queries.PostponeMessage(ctx, s.pool, db.PostponeMessageParams{
		CompanyID: p.CompanyID, MessageID: p.MessageID, Reason: p.Reason, Delay: p.Delay.Seconds(),
		Shard: fence.Shard, Term: fence.Term, HostID: fence.HostID,
	})
	return s.guarded(ctx, fence, rows, err, "postpone message")
}
