package actor

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"wafleet/shared/session"
	"wafleet/shared/store"
	"wafleet/shared/store/db"
	"wafleet/shared/vault"
)

// mailboxSize bounds what waits for an actor. A full mailbox makes the sender wait: signals are rare, and
// none may be lost.
const mailboxSize = 32

// link is what the actor knows of its socket.
type link int

const (
	down    link = iota // no socket, perhaps a retry timer
	dialing             // a dial is under way
	up                  // the handshake is done; pairing or online
)

// Actor owns the session of one company. Its fields below socket belong to its goroutine alone.
type Actor struct {
	*deps
	companyID   string
	fence       store.Fence
	incarnation uuid.UUID                   // of this ownership: what another one was sending is in doubt; the sender's once it runs
	predecessor *Actor                      // that had the company on this host before, and may not have ended yet
	found       *db.ListCompaniesOfShardRow // with the shard, until it was used; nil: unknown
	logger      *slog.Logger
	sender      *sender
	files       *downloads

	mailbox chan any
	cancel  context.CancelFunc
	workers sync.WaitGroup // the goroutine itself, dials, the sender
	lost    chan struct{}  // closed when a write was fenced
	lose    sync.Once
	online  atomic.Bool // logged in, as the pacer was told
	due     atomic.Bool // something may wait to be sent: the session is dialled before others
	linking atomic.Bool // somebody is looking at a code
	held    atomic.Bool // the breaker keeps it from dialling; written by the actor's goroutine alone
	refused atomic.Pointer[refused]
	// arriving counts the session until it has heard from WhatsApp; nil: it does, or is not to.
	arriving atomic.Pointer[arrivals]
	asked    atomic.Pointer[string] // the number that a pairing code was asked for: nobody else may use it
	socket   atomic.Int64           // counts the sockets, from their dial to their end and from there to the next dial

	state      session.State
	desired    session.Desired
	jid        string
	conn       Conn
	link       link
	hangUp     context.CancelFunc // ends the socket's life
	greeted    bool               // the server has answered the handshake, with a login or a QR code
	failures   int                // dials in a row that led to nothing: what the delays grow with
	attempts   int                // those of them that count towards the limit
	replaced   []time.Time        // when others logged in with our keys, lately
	outdated   string             // the version without a successor that the session was refused with
	trial      bool               // held, but it may dial
	unreadable string             // the device whose keys are of no use, until something is asked for
	retry      *time.Timer
	pairing    pairing
}

// What arrives in the mailbox.
type (
	said struct {
		Signal
		socket int64 // that was the latest when it was said
	}
	reconcile struct{}
	dialed    struct {
		err    error
		socket int64
	}
	renewed struct {
		ok      bool
		version string // that was refused
		socket  int64
	}
	revive    struct{}
	try       struct{}
	codeReady struct {
		code   string
		err    error
		socket int64
	}
)

func newActor(d *deps, companyID string, fence store.Fence, predecessor *Actor) *Actor {
	a := &Actor{
		deps: d, companyID: companyID, fence: fence, incarnation: uuid.New(), predecessor: predecessor,
		logger:  d.logger.With("company_id", companyID, "shard", fence.Shard),
		mailbox: make(chan any, mailboxSize),
		lost:    make(chan struct{}),
		retry:   stoppedTimer(),
		pairing: pairing{next: stoppedTimer(), board: notice{again: stoppedTimer()}},
	}
	a.sender, a.files = newSender(a), &downloads{actor: a}
	return a
}

// start begins to own the session. The context is the ownership's: it ends when the shard is let go.
func (a *Actor) start(ctx context.Context) {
	ctx, a.cancel = context.WithCancel(ctx)
	a.workers.Go(func() {
		if a.predecessor != nil {
			a.predecessor.stop() // two sockets with the same keys would lose messages
			a.predecessor = nil
		}
		a.run(ctx)
	})
}

// ended says that the actor has given up its company by itself.
func (a *Actor) ended() bool {
	select {
	case <-a.lost:
		return true
	default:
		return false
	}
}

// stop finishes the message in hand, closes the socket, and waits for everything the actor started.
func (a *Actor) stop() {
	a.files.stop()
	a.sender.stop()
	a.cancel()
	a.workers.Wait()
}

// Reconcile asks the actor to look at the desired state. It never blocks: a full mailbox means that the
// actor is busy, and the fleet's poll asks again.
func (a *Actor) Reconcile() { a.offer(reconcile{}) }

// offer posts what will be offered again.
func (a *Actor) offer(msg any) {
	select {
	case a.mailbox <- msg:
	default:
	}
}

// Kick tells the actor that its outbox may have something to send.
func (a *Actor) Kick() {
	if !a.online.Load() {
		a.due.Store(true)
	}
	a.sender.kick()
}

func (a *Actor) run(ctx context.Context) {
	defer a.shut()
	if !a.takeOver(ctx) {
		return
	}
	for {
		select {
		case <-ctx.Done():
			return
		case <-a.lost:
			return
		case msg := <-a.mailbox:
			a.handle(ctx, msg)
		case <-a.retry.C:
			a.redial(ctx)
		case <-a.pairing.next.C:
			a.showNext(ctx)
		case <-a.pairing.board.again.C:
			a.publish(ctx)
		}
	}
}

func (a *Actor) handle(ctx context.Context, msg any) {
	switch m := msg.(type) {
	case reconcile:
		a.reconcile(ctx, false)
	case said:
		a.hear(ctx, m)
	case dialed:
		if m.socket == a.socket.Load() { // not hung up meanwhile
			a.dialed(ctx, m.err)
		}
	case renewed:
		if m.socket == a.socket.Load() {
			a.renewed(ctx, m)
		}
	case revive:
		a.revive(ctx)
	case try:
		a.try(ctx)
	case codeReady:
		if m.socket == a.socket.Load() {
			a.codeReady(ctx, m.code, m.err)
		}
	}
}

// post hands something to the actor's goroutine, unless the actor ends first.
func (a *Actor) post(ctx context.Context, msg any) {
	select {
	case a.mailbox <- msg:
	case <-ctx.Done():
	case <-a.lost:
	}
}

// takeOver makes the session this incarnation's: what its predecessor was sending is in doubt from now on.
func (a *Actor) takeOver(ctx context.Context) bool {
	if a.found == nil || a.found.Sending {
		if !a.durably(ctx, "take over", a.doubtStale) {
			return false
		}
	}
	return a.reconcile(ctx, true)
}

// doubtStale puts what other incarnations were sending in doubt.
func (a *Actor) doubtStale(ctx context.Context) error {
	doubtful, err := a.store.DoubtStale(ctx, a.fence, a.companyID, a.incarnation)
	if err != nil {
		return fmt.Errorf("doubt stale sends: %w", err)
	}
	if len(doubtful) > 0 {
		a.logger.WarnContext(ctx, "sends of an earlier owner are in doubt", "messages", len(doubtful))
	}
	return nil
}

// durably repeats a write until it holds. It gives up only with the actor itself, when the lease is lost, the
// company is deleted or the context ends; and on what no repetition can mend. Nothing useful can be done without
// Postgres, so waiting here is right.
func (a *Actor) durably(ctx context.Context, what string, write func(ctx context.Context) error) bool {
	for attempt := 1; ; attempt++ {
		err := write(ctx)
		switch {
		case err == nil:
			return true
		case errors.Is(err, store.ErrFenced):
			a.fenced(ctx, what)
			return false
		case gone(err):
			a.vault.Forget(a.companyID) // whoever comes back under this name has another key
			a.fenced(ctx, what)
			return false
		case errors.Is(err, store.ErrNumberTaken):
			a.logger.ErrorContext(ctx, "the number belongs to another company", "what", what)
			return false
		case ctx.Err() != nil:
			return false
		}
		a.logger.WarnContext(ctx, "write failed, trying again", "what", what, "attempt", attempt, "error", err)
		if !sleep(ctx, min(backoff(retryWrite, attempt), maxWriteDelay)) {
			return false
		}
	}
}

// gone says that the company was deleted: its row, its session or its key is not there any more.
func gone(err error) bool {
	return errors.Is(err, store.ErrNoCompany) || errors.Is(err, pgx.ErrNoRows) || errors.Is(err, vault.ErrNoKey)
}

const (
	retryWrite    = 50 * time.Millisecond
	maxWriteDelay = 2 * time.Second
)

// fenced ends the actor: its shard belongs to somebody else, or its company is gone.
func (a *Actor) fenced(ctx context.Context, what string) {
	a.lose.Do(func() {
		a.logger.WarnContext(ctx, "lease or company gone, letting go", "what", what)
		close(a.lost)
	})
}

// shut closes the socket and stops the timers when the actor ends.
func (a *Actor) shut() {
	a.retry.Stop()
	a.hang()
	a.pacer.Forget(a.companyID)
	a.become("")
	a.arrive()
}

// sleep waits, or returns false when the context ends first.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

func stoppedTimer() *time.Timer {
	t := time.NewTimer(time.Hour)
	t.Stop()
	return t
}
