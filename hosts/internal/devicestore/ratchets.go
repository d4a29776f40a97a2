package devicestore

import (
	"context"
	"errors"
	"fmt"
	"sync"
)

// ErrStale says that a Signal session was stepped by somebody else since it was read. Storing it would use a chain key
// twice, which loses a message silently and gives away its key, or forget what a decryption has learned. A send that
// fails with it wrote no frame and may be tried again at once.
var ErrStale = errors.New("session was stepped in the meantime")

// maxSteps bounds how many sessions are told apart. Beyond it, all that was read before counts as stale, once.
const maxSteps = 4096

// ratchets orders the steps of a device's Signal sessions: a session is written only by whoever read its last state.
// libsignal reads, steps and writes without a lock, and whatsmeow's own lock covers sends alone: not decryptions, and
// not the answers to retry receipts.
//
// Of two writers the second gets an error. Who is about to read waits for those who are writing, unless it holds a
// connection to Postgres already: a transaction does not wait for anybody.
type ratchets struct {
	mu      sync.Mutex
	clock   uint64
	floor   uint64                   // everything was stepped at this time at the latest
	stepped map[string]uint64        // address -> time of its last step
	writing map[string]chan struct{} // addresses being written; closed when that is over
	loose   *work                    // of those who bring none: retry answers, peer messages
}

func newRatchets() *ratchets {
	return &ratchets{stepped: map[string]uint64{}, writing: map[string]chan struct{}{}, loose: newWork()}
}

// work is one sequence of reads and writes: a decryption or a send.
type work struct {
	mu     sync.Mutex
	readAt map[string]uint64 // address -> time of reading its session

	// transaction is set for a decryption, whose writes count only when it ends. The rest belongs to it, and is used
	// by its goroutine alone.
	transaction bool
	claimed     map[string]bool
	identities  map[string]bool // addresses whose identity it has written
}

func newWork() *work {
	return &work{readAt: map[string]uint64{}, claimed: map[string]bool{}, identities: map[string]bool{}}
}

type transactionKey struct{}

// transactionOf returns the decryption that a context belongs to, nil if none.
func transactionOf(ctx context.Context) *work {
	w, _ := ctx.Value(transactionKey{}).(*work)
	return w
}

func (r *ratchets) workOf(ctx context.Context) *work {
	if w := transactionOf(ctx); w != nil {
		return w
	}
	if s, ok := ctx.Value(sendKey{}).(*send); ok {
		return s.work
	}
	return r.loose
}

// read notes that the sessions are about to be read.
func (r *ratchets) read(ctx context.Context, addresses ...string) error {
	w := r.workOf(ctx)
	now, busy := r.now(addresses)
	for busy != nil && !w.transaction {
		if err := busy.settle(ctx); err != nil {
			return err
		}
		now, busy = r.now(addresses)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w == r.loose && len(w.readAt)+len(addresses) > maxSteps {
		clear(w.readAt)
	}
	for _, address := range addresses {
		w.readAt[address] = now
	}
	return nil
}

// now returns the time and, if one of the addresses is being written, the first of them.
func (r *ratchets) now(addresses []string) (time uint64, busy *staleError) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, address := range addresses {
		if settled, ok := r.writing[address]; ok {
			return r.clock, &staleError{address: address, settled: settled}
		}
	}
	return r.clock, nil
}

// write claims the sessions, runs put and releases them: at once, or when the transaction ends.
func (r *ratchets) write(ctx context.Context, addresses []string, put func() error) error {
	w := r.workOf(ctx)
	if err := r.claim(w, addresses); err != nil {
		return err
	}
	if !w.transaction {
		defer r.release(addresses)
	}
	return put()
}

// claim takes all of the addresses, or none and returns a *staleError.
func (r *ratchets) claim(w *work, addresses []string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, address := range addresses {
		if w.transaction && w.claimed[address] {
			continue
		}
		if settled, busy := r.writing[address]; busy {
			return &staleError{address: address, settled: settled}
		}
		if max(r.stepped[address], r.floor) > w.readAt[address] {
			return &staleError{address: address}
		}
	}
	for _, address := range addresses {
		if w.transaction && w.claimed[address] {
			continue
		}
		r.writing[address] = make(chan struct{})
		if w.transaction {
			w.claimed[address] = true
		}
	}
	return nil
}

// release ends the writing of addresses that were claimed. Whoever read them before now has read an old state.
func (r *ratchets) release(addresses []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.clock++
	for _, address := range addresses {
		close(r.writing[address])
		delete(r.writing, address)
		r.step(address)
	}
}

// forget is for a session that was deleted by this work, which may go on from there.
func (r *ratchets) forget(ctx context.Context, address string) {
	w := r.workOf(ctx)
	w.mu.Lock()
	defer w.mu.Unlock()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.clock++
	r.step(address)
	w.readAt[address] = r.clock
}

// forgetAll is for changes to sessions that are not named: all that was read before is stale.
func (r *ratchets) forgetAll() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.clock++
	r.floor = r.clock
	clear(r.stepped)
}

func (r *ratchets) step(address string) {
	if len(r.stepped) >= maxSteps {
		clear(r.stepped)
		r.floor = r.clock
	}
	r.stepped[address] = r.clock
}

// reserve claims a session before it is read, for a transaction that is about to begin.
func (r *ratchets) reserve(ctx context.Context, w *work, stale *staleError) error {
	if err := stale.settle(ctx); err != nil {
		return err
	}
	now, busy := r.now([]string{stale.address})
	if busy != nil {
		return busy
	}
	w.readAt[stale.address] = now
	return r.claim(w, []string{stale.address})
}

// staleError is ErrStale with the session and the end of the write that was in the way, nil if that is over.
type staleError struct {
	address string
	settled <-chan struct{}
}

func (e *staleError) Error() string        { return ErrStale.Error() }
func (e *staleError) Is(target error) bool { return target == ErrStale }

// settle waits for the end of that write.
func (e *staleError) settle(ctx context.Context) error {
	if e.settled == nil {
		return nil
	}
	select {
	case <-e.settled:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("wait for another step of the session: %w", context.Cause(ctx))
	}
}
