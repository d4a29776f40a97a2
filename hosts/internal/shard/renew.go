package shard

import (
	"context"
	"math/rand/v2"
	"time"

	"wafleet/shared/lease"
)

// patience bounds one statement: three of them must fit into a lease.
func (k *Keeper) patience() time.Duration { return k.leases.TTL() / 3 }

// run is the Keeper's loop: the only writer of events, and the only one that takes shards.
func (k *Keeper) run(ctx context.Context) {
	defer close(k.ended)
	defer close(k.events)
	k.started = time.Now()
	for {
		start, pause := time.Now(), k.config.Interval
		if k.renew(ctx, start) {
			k.place(ctx, start)
		} else {
			pause /= 4
		}
		if !k.wait(ctx, jitter(pause)-time.Since(start)) {
			return
		}
	}
}

// jitter spreads hosts that were started together: 90 to 110 %.
func jitter(d time.Duration) time.Duration {
	return time.Duration(float64(d) * (0.9 + 0.2*rand.Float64())) //nolint:gosec // no secret
}

// wait sleeps, at least for a moment, and returns false when the Keeper is to end.
func (k *Keeper) wait(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(max(d, k.config.Interval/20))
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
	case <-k.wake:
	}
	return ctx.Err() == nil
}

// renew prolongs everything that is held, and reports whether the database answered.
func (k *Keeper) renew(ctx context.Context, start time.Time) bool {
	k.mu.Lock()
	asked, draining := k.leasesHeld(), k.draining
	k.mu.Unlock()

	attempt, cancel := context.WithTimeout(ctx, k.patience())
	defer cancel()
	still, err := k.leases.Renew(attempt, asked, draining)
	if err != nil {
		k.doubt(ctx, err)
		return false
	}
	if k.failing {
		k.failing = false
		k.logger.InfoContext(ctx, "leases are renewed again", "shards", len(still), "lost", len(asked)-len(still))
	}
	k.renewals.succeeded(start, k.leases.TTL()/2)
	for _, lost := range k.settle(asked, still, start) {
		k.logger.WarnContext(ctx, "shard lost", "shard", lost.Shard, "epoch", lost.Epoch)
		k.events <- Lost{Shard: lost.Shard, Term: lost.Term} // there is room, see place
	}
	return true
}

// doubt notes that a renewal failed. Only the first of a row is worth a line.
func (k *Keeper) doubt(ctx context.Context, err error) {
	k.renewals = row{}
	if k.failing || ctx.Err() != nil {
		return
	}
	k.failing = true
	k.logger.WarnContext(ctx, "leases cannot be renewed, shards are in doubt", "error", err)
}

// settle books the answer to a renewal that started then, and returns what was denied. What its owner released
// meanwhile is neither.
func (k *Keeper) settle(asked, still []lease.Lease, start time.Time) (lost []lease.Lease) {
	k.mu.Lock()
	defer k.mu.Unlock()
	renewed := make(map[int]bool, len(still))
	for _, l := range still {
		renewed[l.Shard] = true
	}
	for _, l := range asked {
		h := k.holding(l.Fence)
		switch {
		case h == nil:
		case renewed[l.Shard]:
			h.gate.trust(k.trustedUntil(start))
		default:
			h.gate.deny() // sockets close now, whenever the owner comes to it
			delete(k.held, l.Shard)
			lost = append(lost, l)
		}
	}
	return lost
}

// row is a row of successful renewals without a gap.
type row struct{ first, last time.Time }

// succeeded adds a renewal that started then. A pause longer than gap starts a new row.
func (r *row) succeeded(start time.Time, gap time.Duration) {
	if r.first.IsZero() || start.Sub(r.last) > gap {
		r.first = start
	}
	r.last = start
}

// length is the time that the row covers.
func (r row) length() time.Duration { return r.last.Sub(r.first) }
