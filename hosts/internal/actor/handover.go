package actor

import (
	"context"
	"fmt"
	"sync"
)

// arrivals counts the sessions of a shard that was just taken over and that have yet to hear from WhatsApp. Whoever
// handed the shard over waits for them before it hands over more.
type arrivals struct {
	mu      sync.Mutex
	missing int
	all     chan struct{} // closed when none is missing; nil while nobody waits
}

// expect counts one more.
func (w *arrivals) expect() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.missing++
}

// one takes one off.
func (w *arrivals) one() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.missing--; w.missing == 0 && w.all != nil {
		close(w.all)
		w.all = nil
	}
}

// done is closed when none is missing.
func (w *arrivals) done() <-chan struct{} {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.missing == 0 {
		all := make(chan struct{})
		close(all)
		return all
	}
	if w.all == nil {
		w.all = make(chan struct{})
	}
	return w.all
}

// arrive notes that the session's first connect under this owner had an outcome, whichever.
func (a *Actor) arrive() {
	if arrivals := a.arriving.Swap(nil); arrivals != nil {
		arrivals.one()
	}
}

// AwaitArrival returns when every session of a shard that was to be online has tried to be, or with the context.
func (f *Fleet) AwaitArrival(ctx context.Context, n int) {
	f.mu.RLock()
	owned := f.shards[n]
	f.mu.RUnlock()
	if owned == nil {
		return
	}
	select {
	case <-owned.arrivals.done():
	case <-owned.ctx.Done():
	case <-ctx.Done():
	}
}

// Pairing says whether a company of the shard is in the middle of pairing: somebody is looking at a code.
func (f *Fleet) Pairing(n int) bool {
	f.mu.RLock()
	defer f.mu.RUnlock()
	for _, a := range f.actors {
		if a.fence.Shard == n && a.linking.Load() {
			return true
		}
	}
	return false
}

// Due returns those of the shards that have a company with messages to send.
func (f *Fleet) Due(ctx context.Context, shards []int) ([]int, error) {
	companies, err := f.deps.store.Queries().ListDueCompanies(ctx, f.deps.store.Pool(), shards)
	if err != nil {
		return nil, fmt.Errorf("list companies with due messages: %w", err)
	}
	f.mu.RLock()
	defer f.mu.RUnlock()
	var due []int
	for _, id := range companies {
		if a := f.actors[id]; a != nil {
			due = append(due, a.fence.Shard)
		}
	}
	return due, nil
}
