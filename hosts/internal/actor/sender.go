package actor

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/google/uuid"

	"wafleet/shared/message"
	"wafleet/shared/store"
	"wafleet/shared/store/db"
)

const (
	// pageSize is how many messages are looked at together. They are claimed one by one.
	pageSize = 16
	// sendTimeout bounds one attempt, encryption and ack included (architecture.md, "A send").
	sendTimeout = 30 * time.Second
	// maxAttempts is how often a message is tried that never gets as far as the wire.
	maxAttempts = 10
)

// sender drains a company's outbox while the session is online: one message after the other, in the order
// of lane and acceptance. Its goroutine exists only while there is something to send, so that ten thousand
// idle companies cost nothing.
type sender struct {
	actor  *Actor
	logger *slog.Logger

	mu       sync.Mutex
	conn     Conn      // nil while offline
	settled  time.Time // since when doubts may be resolved; zero: not yet
	stopping bool
	running  bool
	again    bool          // a kick came while running
	undone   bool          // the last look at the outbox left something that nobody else will kick for
	idle     chan struct{} // closed when the goroutine ended; nil if none runs
	inHand   string        // the message whose ack is awaited or being recorded
	recorded chan struct{} // closed when inHand's outcome is written

	// Of the goroutine alone.
	doubts map[string]doubt // unconfirmed messages that a resend has not settled
	unsure bool             // a write failed: a claim may be committed although nothing is in hand
	looked time.Time        // when the outbox was looked at last, which told the database's time
}

// doubt is how long an unconfirmed message has been one, in connected time.
type doubt struct {
	lasted time.Duration
	seen   time.Time
}

func newSender(a *Actor) *sender {
	return &sender{actor: a, logger: a.logger, doubts: make(map[string]doubt)}
}

// online lets the outbox flow through a connection.
func (s *sender) online(conn Conn) {
	s.mu.Lock()
	s.conn = conn
	s.mu.Unlock()
	s.kick()
}

// settle says that what piled up while offline has arrived: receipts among it have resolved what they could.
func (s *sender) settle() {
	s.mu.Lock()
	s.settled = time.Now()
	s.mu.Unlock()
	s.kick()
}

// offline holds the outbox. A message in hand runs into the closed socket and is decided by that.
func (s *sender) offline() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.conn, s.settled = nil, time.Time{}
}

// stop claims nothing more and waits until the message in hand is decided.
func (s *sender) stop() {
	s.mu.Lock()
	s.stopping = true
	idle := s.idle
	s.mu.Unlock()
	if idle != nil {
		<-idle
	}
}

// kick starts the goroutine, or makes the running one look again.
func (s *sender) kick() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.conn == nil || s.stopping {
		return
	}
	if s.running {
		s.again = true
		return
	}
	s.running, s.idle = true, make(chan struct{})
	s.actor.workers.Go(s.run)
}

func (s *sender) run() {
	// What is begun is finished even while the actor stops; every step has a deadline of its own.
	ctx := context.Background()
	for {
		err := s.drain(ctx)
		if errors.Is(err, store.ErrFenced) {
			s.actor.fenced(ctx, "send")
		} else if err != nil {
			s.unsure = true
			s.logger.WarnContext(ctx, "drain outbox", "error", err)
		}
		s.mu.Lock()
		s.undone = err != nil || len(s.doubts) > 0
		if !s.again || s.stopping || s.conn == nil {
			s.running = false
			close(s.idle)
			s.idle = nil
			s.mu.Unlock()
			return
		}
		s.again = false
		s.mu.Unlock()
	}
}

// current returns the connection to send through, or nil when the sender should end.
func (s *sender) current() (conn Conn, settled time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopping {
		return nil, time.Time{}
	}
	return s.conn, s.settled
}

// drain sends until nothing is due, the session goes offline, or the actor stops.
func (s *sender) drain(ctx context.Context) error {
	for {
		conn, settled := s.current()
		if conn == nil {
			return nil
		}
		if err := s.reclaim(ctx); err != nil {
			return err
		}
		if !settled.IsZero() {
			if progress, err := s.resolveDoubts(ctx, conn, settled); err != nil || !progress {
				return err
			}
		}
		page, err := s.actor.peek(ctx)
		if err != nil || len(page) == 0 {
			return err
		}
		progress, err := s.sendPage(ctx, page)
		if err != nil || !progress {
			return err
		}
	}
}

// reclaim puts in doubt what a failed write may have claimed. Nothing is in hand here, so that every row that says
// sending is such a one.
func (s *sender) reclaim(ctx context.Context) error {
	if !s.unsure {
		return nil
	}
	s.actor.incarnation = uuid.New()
	if err := s.actor.doubtStale(ctx); err != nil {
		return err
	}
	s.unsure = false
	return nil
}

// unfinished says that the outbox has to be looked at again although nothing new is in it.
func (s *sender) unfinished() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.undone && !s.running
}

// ending says that nothing more will be claimed.
func (s *sender) ending() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stopping
}

// sendPage sends what was peeked, in order. It ends early after anything but a plain success: a failure may
// hold a chat or have closed the socket, so the outbox has to be looked at again.
func (s *sender) sendPage(ctx context.Context, page []db.PeekOutboxRow) (progress bool, err error) {
	begun := false
	for i := range page {
		conn, _ := s.current()
		if conn == nil && !begun {
			return false, nil
		}
		row := &page[i]
		if !begun {
			if begun, err = s.begin(ctx, conn, row); err != nil {
				return false, err
			}
			if !begun {
				progress = true // canceled or expired in between
				continue
			}
		}
		progress = true
		release := s.take(row.MessageID)
		sendErr := s.transmit(ctx, conn, row)
		begun, err = s.conclude(ctx, row, sendErr, s.following(ctx, page[i+1:], sendErr))
		release()
		if err != nil || sendErr != nil {
			return !offline(sendErr), err
		}
	}
	return progress, nil
}

// following prepares the next message of the page, to be begun in the transaction that concludes this one.
func (s *sender) following(ctx context.Context, rest []db.PeekOutboxRow, sendErr error) *store.Attempt {
	if sendErr != nil || len(rest) == 0 {
		return nil
	}
	if conn, _ := s.current(); conn == nil {
		return nil
	}
	next := &rest[0]
	if next.Wire == nil && message.Kind(next.Kind).HasMedia() {
		return nil // this message's outcome must not wait for an upload
	}
	if err := s.actor.prepare(ctx, nil, next); err != nil {
		return nil // its own turn will tell
	}
	attempt := s.actor.attempt(next)
	return &attempt
}

// begin claims a message, or concludes it at once if it can never be sent.
func (s *sender) begin(ctx context.Context, conn Conn, row *db.PeekOutboxRow) (bool, error) {
	err := s.actor.prepare(ctx, conn, row)
	if errors.Is(err, errNoKeys) || offline(err) {
		return false, err
	}
	if err != nil {
		return false, s.unbuilt(ctx, row, err)
	}
	err = s.actor.claim(ctx, row)
	if errors.Is(err, store.ErrNotMoved) {
		return false, nil
	}
	return err == nil, err
}

// unbuilt lets a message wait whose file could not be uploaded, and ends one that can never be sent.
func (s *sender) unbuilt(ctx context.Context, row *db.PeekOutboxRow, err error) error {
	reason := "unreadable"
	if failed, ok := errors.AsType[*SendError](err); ok {
		s.logger.WarnContext(ctx, "outbound.postponed", "message_id", row.MessageID, "attempt", row.Attempt+1, "reason", failed.Reason, "error", err)
		if !failed.Final && row.Attempt+1 < maxAttempts {
			return s.actor.postpone(ctx, row, failed)
		}
		reason = failed.Reason
	}
	s.logger.ErrorContext(ctx, "message cannot be built", "message_id", row.MessageID, "error", err)
	return s.actor.move(ctx, store.Move{MessageID: row.MessageID, To: message.Failed, Reason: reason})
}

// take marks a message as in hand until release: receipts for it wait, so that the trace reads in order.
func (s *sender) take(messageID string) (release func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	recorded := make(chan struct{})
	s.inHand, s.recorded = messageID, recorded
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.inHand, s.recorded = "", nil
		close(recorded)
	}
}

// awaitRecorded returns when the outcome of a message is written, at once if it is not in hand.
func (s *sender) awaitRecorded(ctx context.Context, messageID string) {
	s.mu.Lock()
	recorded := s.recorded
	if s.inHand != messageID {
		recorded = nil
	}
	s.mu.Unlock()
	if recorded == nil {
		return
	}
	select {
	case <-recorded:
	case <-ctx.Done():
	}
}

// offline says that an attempt failed for want of a connection: the sender rests until there is one.
func offline(err error) bool {
	var failed *SendError
	return errors.As(err, &failed) && failed.Reason == reasonOffline
}
