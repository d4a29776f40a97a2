package actor

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"wafleet/shared/message"
	"wafleet/shared/store"
	"wafleet/shared/store/db"
	"wafleet/shared/vault"
)

const (
	// doubtWindow is Config.DoubtWindow where none is given.
	doubtWindow = 2 * time.Minute
	// promptAttempts are repeated at once, so that the message keeps its place; later ones wait and may be overtaken.
	promptAttempts = 2
	// reasonOffline is the reason of an attempt that found no connection.
	reasonOffline = "connection_lost"
)

// peek returns what is due next.
func (a *Actor) peek(ctx context.Context) ([]db.PeekOutboxRow, error) {
	a.sender.looked = time.Now()
	page, err := a.store.Queries().PeekOutbox(ctx, a.store.Pool(), db.PeekOutboxParams{CompanyID: a.companyID, PageSize: pageSize})
	if err != nil {
		return nil, fmt.Errorf("peek outbox: %w", err)
	}
	return page, nil
}

// prepare makes sure that the row holds what goes on the wire. It is built once, before the first attempt,
// and stored with the claim: every later attempt sends the same.
func (a *Actor) prepare(ctx context.Context, conn Conn, row *db.PeekOutboxRow) error {
	if row.Wire != nil {
		return nil
	}
	body, err := a.open(ctx, message.BodyContext(row.MessageID), row.Body)
	if err != nil {
		return fmt.Errorf("open body: %w", err)
	}
	content, err := message.DecodeContent(body)
	if err != nil {
		return err
	}
	upload, err := a.upload(ctx, conn, content)
	if err != nil {
		return fmt.Errorf("upload file: %w", err)
	}
	wire, err := a.dialer.Build(content, upload)
	if err != nil {
		return fmt.Errorf("build message: %w", err)
	}
	row.Wire, err = a.vault.Seal(ctx, a.companyID, message.WireContext(row.MessageID), wire)
	if err != nil {
		return fmt.Errorf("seal message: %w", err)
	}
	return nil
}

// errNoKeys says that a company's key could not be had. It is no fault of the message's, and may work later.
var errNoKeys = errors.New("keys cannot be had")

// open opens what is sealed. An error is errNoKeys if it was not even tried.
func (a *Actor) open(ctx context.Context, place string, sealed []byte) ([]byte, error) {
	text, err := a.vault.Open(ctx, a.companyID, place, sealed)
	if err != nil && !errors.Is(err, vault.ErrCannotOpen) && !errors.Is(err, vault.ErrNoKey) {
		return nil, fmt.Errorf("%w: %w", errNoKeys, err)
	}
	return text, err
}

func (a *Actor) attempt(row *db.PeekOutboxRow) store.Attempt {
	return store.Attempt{CompanyID: a.companyID, MessageID: row.MessageID, Incarnation: a.incarnation, Wire: row.Wire}
}

// claim is step 4 of a send: from here on the row says that a frame may leave.
func (a *Actor) claim(ctx context.Context, row *db.PeekOutboxRow) error {
	return a.store.Begin(ctx, a.fence, a.attempt(row))
}

// transmit puts a claimed message on the wire.
func (s *sender) transmit(ctx context.Context, conn Conn, row *db.PeekOutboxRow) error {
	a := s.actor
	wire, err := a.open(ctx, message.WireContext(row.MessageID), row.Wire)
	if errors.Is(err, errNoKeys) {
		return &SendError{Outcome: NotWritten, Reason: "keys_unavailable", Err: err}
	}
	if err != nil {
		return &SendError{Outcome: NotWritten, Reason: "unreadable", Final: true, Err: err}
	}
	if conn == nil {
		return &SendError{Outcome: NotWritten, Reason: reasonOffline, Err: errors.New("session is offline")}
	}
	ctx, cancel := context.WithTimeout(ctx, sendTimeout)
	defer cancel()
	start := time.Now()
	err = conn.Send(ctx, Outgoing{ID: row.MessageID, Phone: row.Phone, Wire: wire})
	a.metrics.sent(err, time.Since(start))
	return err
}

// conclude writes how an attempt ended, repeating until it is written: the message must not stay in hand. A sender
// that is to stop gives up after a while.
func (s *sender) conclude(ctx context.Context, row *db.PeekOutboxRow, sendErr error, next *store.Attempt) (begun bool, err error) {
	a, m := s.actor, verdict(row.MessageID, row.Attempt+1, sendErr)
	m.CompanyID = a.companyID
	if sendErr != nil {
		s.logger.WarnContext(ctx, "outbound.attempt", "message_id", row.MessageID, "attempt", row.Attempt+1, "status", m.To, "reason", m.Reason, "error", sendErr)
	} else {
		s.logger.DebugContext(ctx, "outbound.sent", "message_id", row.MessageID, "attempt", row.Attempt+1)
	}
	for try := 1; ; try++ {
		var deliveries []store.Delivery
		begun, deliveries, err = a.store.Advance(ctx, a.fence, m, store.Subject{
			Phone: row.Phone, Kind: row.Kind, ClientRef: row.ClientRef, At: row.At.Add(time.Since(s.looked)),
		}, next)
		switch {
		case err == nil:
			a.announce(ctx, deliveries)
			return begun, nil
		case errors.Is(err, store.ErrNotMoved):
			return begun, nil // a receipt was faster
		case errors.Is(err, store.ErrFenced) || try >= maxAttempts && s.ending():
			// The row stays sending; the next owner finds it in doubt and resolves it.
			return false, fmt.Errorf("conclude send: %w", err)
		}
		s.logger.WarnContext(ctx, "outcome not written, trying again", "message_id", row.MessageID, "try", try, "error", err)
		sleep(ctx, min(backoff(retryWrite, try), maxWriteDelay))
	}
}

// verdict turns the outcome of an attempt into the step of the ladder.
func verdict(messageID string, attempt int, err error) store.Move {
	if err == nil {
		return store.Move{MessageID: messageID, To: message.Sent, From: []message.Status{message.Sending}}
	}
	m := store.Move{MessageID: messageID, To: message.Unconfirmed, Reason: "no_ack", From: []message.Status{message.Sending}}
	var failed *SendError
	if !errors.As(err, &failed) {
		return m
	}
	m.Reason = failed.Reason
	switch failed.Outcome {
	case Unknown:
	case Refused:
		m.To = message.Failed
	case NotWritten:
		m.To = message.Queued
		if failed.Final || attempt >= maxAttempts {
			m.To = message.Failed
		} else if failed.Reason != reasonOffline && attempt > promptAttempts {
			m.Delay = backoff(time.Second, attempt)
		}
	}
	return m
}

// resolveDoubts resends what may or may not have gone out, under the same id: server and phones fold the
// copies. A receipt among what piled up while offline has lifted some already. It returns false when the
// sender should rest.
func (s *sender) resolveDoubts(ctx context.Context, conn Conn, settled time.Time) (bool, error) {
	a := s.actor
	s.looked = time.Now()
	rows, err := a.store.Queries().ListUnconfirmed(ctx, a.store.Pool(), a.companyID)
	if err != nil {
		return false, fmt.Errorf("list unconfirmed: %w", err)
	}
	maps.DeleteFunc(s.doubts, func(id string, _ doubt) bool { // settled by a receipt
		return !slices.ContainsFunc(rows, func(row db.ListUnconfirmedRow) bool { return row.MessageID == id })
	})
	for i := range rows {
		if current, _ := s.current(); current != conn {
			return false, nil
		}
		id := rows[i].MessageID
		if s.doubtFor(id, settled) >= a.cfg.DoubtWindow {
			if err := a.move(ctx, store.Move{MessageID: id, To: message.Failed, Reason: "unconfirmed"}); err != nil {
				return false, err
			}
			delete(s.doubts, id)
			continue
		}
		row := db.PeekOutboxRow{
			MessageID: id, Phone: rows[i].Phone, Wire: rows[i].Wire, Attempt: rows[i].Attempt,
			Kind: rows[i].Kind, ClientRef: rows[i].ClientRef, At: rows[i].At,
		}
		err := a.store.Resume(ctx, a.fence, a.attempt(&row))
		if errors.Is(err, store.ErrNotMoved) {
			continue
		}
		if err != nil {
			return false, err
		}
		if sendErr, err := s.resend(ctx, conn, &row); err != nil || offline(sendErr) {
			return false, err
		}
	}
	return true, nil
}

// doubtFor is how long a message has been in doubt, counted from its first resend. Only connected time counts.
func (s *sender) doubtFor(id string, settled time.Time) time.Duration {
	now, d := time.Now(), s.doubts[id]
	if !d.seen.IsZero() {
		since := d.seen
		if since.Before(settled) {
			since = settled
		}
		d.lasted += now.Sub(since)
	}
	d.seen = now
	s.doubts[id] = d
	return d.lasted
}

// resend is one more attempt of a message that may have gone out before. Without an ack it stays in doubt,
// whatever the reason: the earlier copy may be on its way.
func (s *sender) resend(ctx context.Context, conn Conn, row *db.PeekOutboxRow) (sendErr, err error) {
	s.actor.metrics.resends.Inc()
	release := s.take(row.MessageID)
	defer release()
	sendErr = s.transmit(ctx, conn, row)
	var failed *SendError
	if errors.As(sendErr, &failed) && failed.Outcome != Refused {
		failed.Outcome = Unknown
	}
	if sendErr == nil {
		delete(s.doubts, row.MessageID)
	}
	_, err = s.conclude(ctx, row, sendErr, nil)
	return sendErr, err
}

// move makes one step of the ladder for a message of this company; one that was moved meanwhile is left alone.
func (a *Actor) move(ctx context.Context, m store.Move) error {
	m.CompanyID = a.companyID
	deliveries, err := a.store.Move(ctx, a.fence, m)
	if errors.Is(err, store.ErrNotMoved) {
		return nil
	}
	if err != nil {
		return err
	}
	a.announce(ctx, deliveries)
	return nil
}
