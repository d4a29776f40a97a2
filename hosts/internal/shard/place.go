package shard

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"wafleet/shared/lease"
)

// place brings the number of shards closer to the host's share: takes what is missing, or asks for one that is too
// many. It gives up when the next renewal is due, and on the first error, which the next renewal will meet as well.
func (k *Keeper) place(ctx context.Context, start time.Time) {
	attempt, cancel := context.WithTimeout(ctx, k.patience())
	defer cancel()
	survey, err := k.leases.Survey(attempt)
	if err != nil {
		k.logger.WarnContext(ctx, "leases cannot be surveyed", "error", err)
		return
	}
	count, draining := k.count()
	share := share(survey.Shards, survey.Hosts)
	switch {
	case draining:
	case count > share:
		k.shed(ctx, count-share)
	case count < share:
		k.fill(ctx, start.Add(k.config.Interval), share-count, survey)
	}
}

// share is ⌈shards / hosts⌉.
func share(shards, hosts int) int {
	hosts = max(hosts, 1)
	return (shards + hosts - 1) / hosts
}

func (k *Keeper) count() (held int, draining bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return len(k.held), k.draining
}

// fill takes up to that many shards: free ones, then late ones if this host's own row of renewals is long enough to
// rule out that everybody is late. The order is random, so that hosts rarely want the same shard.
func (k *Keeper) fill(ctx context.Context, until time.Time, missing int, survey lease.Survey) {
	missing -= k.takeFrom(ctx, until, missing, survey.Free, k.leases.Take)
	if k.renewals.length() >= k.leases.TTL() {
		k.takeFrom(ctx, until, missing, survey.Expired, k.leases.TakeExpired)
	}
}

func (k *Keeper) takeFrom(ctx context.Context, until time.Time, missing int, shards []int,
	take func(context.Context, int) (lease.Lease, error),
) (taken int) {
	rand.Shuffle(len(shards), func(i, j int) { shards[i], shards[j] = shards[j], shards[i] }) //nolint:gosec // no secret
	for _, shard := range shards {
		if taken >= missing || !time.Now().Before(until) || !k.hasRoom(2) { // for its Gained and its Lost
			return taken
		}
		switch err := k.gain(ctx, shard, take); {
		case err == nil:
			taken++
		case errors.Is(err, lease.ErrHeld): // somebody else was faster
		default:
			k.logger.WarnContext(ctx, "shard cannot be taken", "shard", shard, "error", err)
			return taken
		}
	}
	return taken
}

// hasRoom says whether so many more events fit, with a Lost of everything that is held. Only the loop adds events, so
// that there is room from here on.
func (k *Keeper) hasRoom(events int) bool {
	held, _ := k.count()
	return len(k.events)+held+events <= cap(k.events)
}

func (k *Keeper) gain(ctx context.Context, shard int, take func(context.Context, int) (lease.Lease, error)) error {
	attempt, cancel := context.WithTimeout(ctx, k.patience())
	defer cancel()
	start := time.Now()
	l, err := take(attempt, shard)
	if err != nil {
		return err
	}
	k.mu.Lock()
	k.held[shard] = &holding{lease: l, renewed: start}
	k.mu.Unlock()
	k.logger.DebugContext(ctx, "shard gained", "shard", shard, "epoch", l.Epoch)
	k.events <- Gained{Fence: l.Fence}
	return nil
}

// shed asks the owner for one shard, unless it has yet to close the last one that was asked for.
func (k *Keeper) shed(ctx context.Context, surplus int) {
	h := k.chooseSurplus()
	if h == nil || !k.hasRoom(1) {
		return
	}
	h.asked = true
	k.logger.InfoContext(ctx, "shard is more than the host's share", "shard", h.lease.Shard, "surplus", surplus)
	k.events <- Surplus{Fence: h.lease.Fence}
}

// chooseSurplus picks any shard, or nil while one is asked for.
func (k *Keeper) chooseSurplus() (chosen *holding) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, h := range k.held {
		if h.asked {
			return nil
		}
		chosen = h
	}
	return chosen
}
