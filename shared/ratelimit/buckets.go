package ratelimit

import (
	"sync"
	"time"
)

// maxBuckets bounds the memory of a process. Beyond it the full buckets go, which changes nothing, and if there are none
// all of them.
const maxBuckets = 50_000

// buckets are the buckets of this process alone. Like redis_rate's they are kept as one time each (GCRA): the time at which
// the bucket is full again.
type buckets struct {
	mu   sync.Mutex
	full map[string]time.Time // by company
}

func newBuckets() *buckets { return &buckets{full: make(map[string]time.Time)} }

func (b *buckets) take(companyID string, limit Limit) Result {
	interval := time.Minute / time.Duration(limit.PerMinute)
	capacity := interval * time.Duration(limit.Burst)

	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now()
	full := b.full[companyID]
	if full.Before(now) {
		full = now
	}
	next := full.Add(interval)
	if wait := next.Sub(now) - capacity; wait > 0 {
		return Result{Limit: limit, RetryAfter: wait, ResetAfter: full.Sub(now)}
	}
	if len(b.full) >= maxBuckets {
		b.prune(now)
	}
	b.full[companyID] = next
	reset := next.Sub(now)
	return Result{Limit: limit, Allowed: true, Remaining: int((capacity - reset) / interval), ResetAfter: reset}
}

func (b *buckets) prune(now time.Time) {
	for id, full := range b.full {
		if full.Before(now) {
			delete(b.full, id)
		}
	}
	if len(b.full) >= maxBuckets {
		clear(b.full)
	}
}
