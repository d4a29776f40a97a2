package shard

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"wafleet/shared/store"
)

// maxDoubt is how long a Gate makes a write wait. A server that has heard nothing for so long is about to hang up anyway.
const maxDoubt = 90 * time.Second

var (
	// ErrDenied says that the lease is gone: nothing may be written for the shard any more.
	ErrDenied = errors.New("lease of the shard is lost")
	// ErrDoubt says that nobody could say for too long whether the lease still holds.
	ErrDoubt = errors.New("lease of the shard is in doubt")
	// errStopped says that whoever waited has given up.
	errStopped = errors.New("wait for the lease was broken off")
)

// Gate stands before everything that a host writes outside of the database for a shard: it is open while the host may
// trust its lease, makes writes wait while that is in doubt, and is closed for ever once the lease is gone. One Gate
// belongs to one term. It is safe for concurrent use, and passing it costs one atomic load and a look at the clock that
// never jumps.
type Gate struct {
	born  time.Time
	until atomic.Int64 // when trust ends, in nanoseconds since born

	denied context.Context //nolint:containedctx // the term's life, to hook on
	deny   context.CancelFunc

	mu        sync.Mutex
	confirmed chan struct{} // closed by the next renewal; nil while nobody waits
}

// newGate returns one that is not open yet.
func newGate() *Gate {
	g := &Gate{born: time.Now()}
	g.until.Store(math.MinInt64)
	g.denied, g.deny = context.WithCancel(context.Background())
	return g
}

// closedGate is for terms that this host does not hold.
func closedGate() *Gate {
	g := newGate()
	g.deny()
	return g
}

// trust opens the gate until then, and lets everybody pass who waits.
func (g *Gate) trust(until time.Time) {
	g.until.Store(int64(until.Sub(g.born)))
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.confirmed != nil {
		close(g.confirmed)
		g.confirmed = nil
	}
}

// open says whether the lease may be trusted now.
func (g *Gate) open() bool {
	return int64(time.Since(g.born)) < g.until.Load() && g.denied.Err() == nil
}

// Pass returns nil when a write may be made. While the lease is in doubt it waits: until it is confirmed, until stop is
// closed, or for a minute and a half at most. It returns ErrDenied when the lease is gone.
func (g *Gate) Pass(stop <-chan struct{}) error {
	if g.open() {
		return nil
	}
	deadline := time.NewTimer(maxDoubt)
	defer deadline.Stop()
	for {
		confirmed := g.next()
		switch { // after the channel was made, so that no confirmation is missed
		case g.denied.Err() != nil:
			return ErrDenied
		case g.open():
			return nil
		}
		select {
		case <-confirmed:
		case <-g.denied.Done():
		case <-stop:
			return errStopped
		case <-deadline.C:
			return fmt.Errorf("%w for %s", ErrDoubt, maxDoubt)
		}
	}
}

// next is closed by the next renewal.
func (g *Gate) next() <-chan struct{} {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.confirmed == nil {
		g.confirmed = make(chan struct{})
	}
	return g.confirmed
}

// OnDenied calls do in a goroutine of its own when the lease is gone, at once if it is already. The function it returns
// takes that back, and says whether it came in time.
func (g *Gate) OnDenied(do func()) (cancel func() bool) { return context.AfterFunc(g.denied, do) }

// Gate is the gate of a term. For one that this host does not hold it is closed.
func (k *Keeper) Gate(fence store.Fence) *Gate {
	k.mu.Lock()
	defer k.mu.Unlock()
	if h := k.holding(fence); h != nil {
		return h.gate
	}
	return closedGate()
}
