package sweep

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"wafleet/shared/message"
	"wafleet/shared/store"
	"wafleet/shared/store/db"
	"wafleet/shared/webhook"
)

// reasonExpired is the reason of a message whose time to live ended before it was sent.
const reasonExpired = "ttl"

// stale is a message to be moved, and its place in the order in which pages are read.
type stale struct {
	companyID, messageID string
	id                   int64
	at                   time.Time
}

// kind is one way for a message to fall behind.
type kind struct {
	label string
	move  store.Move // without the message
	list  func(ctx context.Context, after stale) ([]stale, error)
	// lock holds the row if it is still as it was listed, else returns pgx.ErrNoRows; nil where the move itself checks
	// all there is to check.
	lock func(ctx context.Context, tx pgx.Tx, m stale) error
}

// failNotEnqueued tells of messages that were accepted and of which nobody knows that a queue has them. A late delivery
// from the queue or a retried call may still lift that.
func (s *Sweeper) failNotEnqueued(ctx context.Context) error {
	moved, err := s.moveAll(ctx, kind{
		label: labelNotEnqueued,
		move:  store.Move{To: message.Failed, From: []message.Status{message.Accepted}, Reason: message.ReasonNotEnqueued},
		list:  s.listNotEnqueued,
		lock: func(ctx context.Context, tx pgx.Tx, m stale) error {
			_, err := s.queries.LockNotEnqueued(ctx, tx, db.LockNotEnqueuedParams{CompanyID: m.companyID, ID: m.id})
			return err
		},
	})
	if moved > 0 {
		s.log.ErrorContext(ctx, "messages.not_enqueued", "messages", moved)
	}
	return err
}

// expire ends messages that still wait when their time to live is over.
func (s *Sweeper) expire(ctx context.Context) error {
	moved, err := s.moveAll(ctx, kind{
		label: labelExpired,
		move: store.Move{
			To: message.Expired, From: []message.Status{message.Accepted, message.Queued}, Reason: reasonExpired,
		},
		list: s.listExpired,
	})
	if moved > 0 {
		s.log.InfoContext(ctx, "messages.expired", "messages", moved)
	}
	return err
}

// moveAll moves page after page. A message that cannot be moved is passed by; the error joins the first of each page.
func (s *Sweeper) moveAll(ctx context.Context, k kind) (moved int, err error) {
	var after stale
	for {
		page, listErr := k.list(ctx, after)
		if listErr != nil {
			return moved, errors.Join(err, listErr)
		}
		var failed error
		var deliveries []store.Delivery
		for _, m := range page {
			if ctx.Err() != nil {
				break
			}
			told, done, moveErr := s.moveOne(ctx, k, m)
			if moveErr != nil && failed == nil {
				failed = fmt.Errorf("message %s of %s: %w", m.messageID, m.companyID, moveErr)
			}
			if done {
				moved++
				s.swept.WithLabelValues(k.label).Inc()
				deliveries = append(deliveries, told...)
			}
		}
		err = errors.Join(err, failed)
		if enqueueErr := webhook.EnqueueDeliveries(ctx, s.queue, deliveries); enqueueErr != nil {
			s.log.WarnContext(ctx, "webhook.left_to_sweep", "deliveries", len(deliveries), "error", enqueueErr)
		}
		if len(page) < s.page || ctx.Err() != nil {
			return moved, err
		}
		after = page[len(page)-1]
	}
}

// moveOne moves a message and writes the event in one transaction. done is false where somebody else was faster.
func (s *Sweeper) moveOne(ctx context.Context, k kind, m stale) (deliveries []store.Delivery, done bool, err error) {
	err = s.store.InTx(ctx, func(tx pgx.Tx) error {
		if k.lock != nil {
			if err := k.lock(ctx, tx, m); err != nil {
				return fmt.Errorf("lock: %w", err)
			}
		}
		move := k.move
		move.CompanyID, move.MessageID = m.companyID, m.messageID
		deliveries, err = s.store.MoveInTx(ctx, tx, "", move)
		return err
	})
	if errors.Is(err, pgx.ErrNoRows) || errors.Is(err, store.ErrNotMoved) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, fmt.Errorf("move: %w", err)
	}
	return deliveries, true, nil
}

func (s *Sweeper) listNotEnqueued(ctx context.Context, after stale) ([]stale, error) {
	rows, err := s.queries.ListNotEnqueued(ctx, s.store.Pool(), db.ListNotEnqueuedParams{
		Age: notEnqueuedAge.Seconds(), AfterTime: after.at, AfterID: after.id, PageSize: s.page,
	})
	if err != nil {
		return nil, fmt.Errorf("list messages that were not enqueued: %w", err)
	}
	page := make([]stale, len(rows))
	for i, row := range rows {
		page[i] = stale{companyID: row.CompanyID, messageID: row.MessageID, id: row.ID, at: row.CreatedAt}
	}
	return page, nil
}

func (s *Sweeper) listExpired(ctx context.Context, after stale) ([]stale, error) {
	rows, err := s.queries.ListExpired(ctx, s.store.Pool(), db.ListExpiredParams{
		AfterTime: after.at, AfterID: after.id, PageSize: s.page,
	})
	if err != nil {
		return nil, fmt.Errorf("list expired messages: %w", err)
	}
	page := make([]stale, len(rows))
	for i, row := range rows {
		page[i] = stale{companyID: row.CompanyID, messageID: row.MessageID, id: row.ID, at: row.ExpiredAt}
	}
	return page, nil
}
