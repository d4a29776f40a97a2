package hostpool

import (
	"cmp"
	"math/rand/v2"
	"sync"
	"time"
)

// Backoff makes the pauses before hosts are started again. The first after a quiet time is short, so that a host that
// was killed is back at once; each further one may be twice as long, up to a limit. All hosts of a pool share it: when
// they all die for the same reason, they come back one by one.
type Backoff struct {
	// Base is the longest first pause, 200 ms if zero.
	Base time.Duration
	// Limit is the longest pause, 10 s if zero.
	Limit time.Duration
	// Quiet is how long nothing has to die for the pauses to be short again, 30 s if zero.
	Quiet time.Duration

	mu     sync.Mutex // guards what follows
	longer time.Duration
	last   time.Time
}

// next returns how long to wait now: half the current bound, and up to the other half by chance.
func (b *Backoff) next() time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	base, limit := cmp.Or(b.Base, 200*time.Millisecond), cmp.Or(b.Limit, 10*time.Second)
	if time.Since(b.last) > cmp.Or(b.Quiet, 30*time.Second) {
		b.longer = 0
	}
	bound := max(b.longer, base)
	b.longer, b.last = min(2*bound, limit), time.Now()
	return bound/2 + rand.N(bound/2) //nolint:gosec // spreads restarts, guards nothing
}
