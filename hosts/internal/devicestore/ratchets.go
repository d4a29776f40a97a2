package devicestore

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// ErrStale says that a Signal session was stepped by somebody else since it was read. Storing it would use a chain key
// twice, which loses a message silently and gives away its key, or forget what a decryption has learned. A send that
// fails with it wrote no frame and may be tried again at once.
var ErrStale = errors.New("session was stepped in the meantime")

const (
	// maxSteps bounds how many sessions are told apart. Beyond it, all that was read before counts as stale, once.
	maxSteps = 256
	// leaseTime is how long loose work may take from reading a session to storing it, which are milliseconds; others
	// wait that long if it failed in between.
	leaseTime = time.Second
)

// ratchets orders the steps of a device's Signal sessions: a session is stored only by whoever read its last state.
// libsignal reads, steps and stores without a lock, and whatsmeow's own lock covers sends alone: not decryptions, and
// not the answers to retry receipts.
//
// Who is to read waits while another is storing. Who is to store and finds that another did so in the meantime gets an
// error, because waiting does not help; so a send, which may wait for the network in between, holds up nobody. It may be
// tried again, and a decryption starts over. Loose work cannot be tried again: it holds its session from the read on.
//
// A decryption does not wait before it reads: it starts over anyhow, and waits then.
type ratchets struct {
	loose *work // of those whose context says nothing: answers to retry receipts, whatsmeow's own sends

	mu      sync.Mutex
	clock   uint64
	floor   uint64                   // everything was stepped at this time at the latest
	stepped map[string]uint64        // address -> time of its last step
	writing map[string]chan struct{} // address that is claimed -> closed when that is over
	leases  map[string]*lease        // addresses that loose work has claimed
}

func newRatchets() *ratchets {
	return &ratchets{
		loose:   newWork(),
		stepped: map[string]uint64{}, writing: map[string]chan struct{}{}, leases: map[string]*lease{},
	}
}

// read is called before sessions are read, to be stored all together.
func (r *ratchets) read(ctx context.Context, addresses ...string) error {
	w := workOf(ctx, r.loose)
	for {
		now, busy := r.now(addresses)
		if busy == nil || w.transaction {
			w.note(now, addresses...)
			return nil
		}
		if err := busy.settle(ctx); err != nil {
			return err
		}
	}
}

// readOne is read for a session that is stored alone. Loose work gets a lease of it.
func (r *ratchets) readOne(ctx context.Context, address string) error {
	if workOf(ctx, r.loose) != r.loose {
		return r.read(ctx, address)
	}
	if err := r.reserve(ctx, r.loose, &staleError{address: address}); err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	l := &lease{}
	l.end = time.AfterFunc(leaseTime, func() { r.endLease(address, l) })
	r.leases[address] = l
	return nil
}

// lease is a claim that ends by itself.
type lease struct{ end *time.Timer }

// reserve claims a session before it is read. It waits for whoever is storing it.
func (r *ratchets) reserve(ctx context.Context, w *work, stale *staleError) error {
	for {
		if err := stale.settle(ctx); err != nil {
			return err
		}
		now, _ := r.now(nil)
		w.note(now, stale.address)
		if err := r.claim(w, []string{stale.address}); !errors.As(err, &stale) {
			return err
		}
	}
}

// write claims the sessions, runs put and releases them: at once, or when the transaction ends.
func (r *ratchets) write(ctx context.Context, addresses []string, put func() error) error {
	w := workOf(ctx, r.loose)
	if w != r.loose || len(addresses) != 1 || !r.takeLease(addresses[0]) {
		if err := r.claim(w, addresses); err != nil {
			return err
		}
	}
	if !w.transaction {
		defer r.release(addresses)
	}
	return put()
}

// writeAs is write for work that no context carries.
func (r *ratchets) writeAs(w *work, addresses []string, put func() error) error {
	if err := r.claim(w, addresses); err != nil {
		return err
	}
	defer r.release(addresses)
	return put()
}

// forget is for a session that was deleted by this work, which may go on from there.
func (r *ratchets) forget(ctx context.Context, address string) {
	r.mu.Lock()
	r.clock++
	now := r.clock
	r.step(address)
	r.mu.Unlock()
	workOf(ctx, r.loose).note(now, address)
}

// forgetAll is for changes to sessions that are not named: all that was read before is stale.
func (r *ratchets) forgetAll() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.clock++
	r.floor = r.clock
	clear(r.stepped)
}

// now returns the time and, if one of the addresses is claimed, the first of them.
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

// claim takes all of the addresses, or none and returns a *staleError.
func (r *ratchets) claim(w *work, addresses []string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, address := range addresses {
		if w.claimed[address] {
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
		if w.claimed[address] {
			continue
		}
		r.writing[address] = make(chan struct{})
		if w.transaction {
			w.claimed[address] = true
		}
	}
	return nil
}

// release ends the claim of addresses. Whoever read them before now has read an old state.
func (r *ratchets) release(addresses []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.clock++
	for _, address := range addresses {
		r.settle(address)
	}
}

// takeLease tells whether loose work still has the lease of an address, whose claim is the caller's then.
func (r *ratchets) takeLease(address string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	l, ok := r.leases[address]
	if !ok {
		return false
	}
	l.end.Stop()
	delete(r.leases, address)
	return true
}

// endLease takes back a lease that was not used in time.
func (r *ratchets) endLease(address string, l *lease) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.leases[address] != l {
		return
	}
	delete(r.leases, address)
	r.clock++
	r.settle(address)
}

func (r *ratchets) settle(address string) {
	close(r.writing[address])
	delete(r.writing, address)
	r.step(address)
}

func (r *ratchets) step(address string) {
	if len(r.stepped) >= maxSteps {
		clear(r.stepped)
		r.floor = r.clock
	}
	r.stepped[address] = r.clock
}

// staleError is ErrStale with the session and the end of the claim that was in the way, nil if that is over.
type staleError struct {
	address string
	settled <-chan struct{}
}

func (e *staleError) Error() string        { return ErrStale.Error() }
func (e *staleError) Is(target error) bool { return target == ErrStale }

// settle waits for the end of that claim.
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
