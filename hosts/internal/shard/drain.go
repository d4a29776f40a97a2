package shard

import (
	"context"
	"fmt"
	"slices"
	"time"

	"wafleet/shared/lease"
)

// inFlight is how many shards of a draining host are on their way at a time: closed here and not online there. Their
// companies connect together, so it is the pace at which successors can.
const inFlight = 4

// Drain hands all shards over to the other hosts, one after the other, and takes none any more. The owner goes on getting
// events meanwhile: a Surplus for each shard that it is to close and to Release. Drain returns when nothing is left, or
// nobody is there to take it; with the context's error when there is still something. Shards with a company in the
// middle of pairing stay as long as they can. What is left the owner closes before Stop.
func (k *Keeper) Drain(ctx context.Context) error {
	k.mu.Lock()
	k.draining = true
	started := k.end != nil
	k.mu.Unlock()
	if !started {
		return nil
	}
	k.Hurry()
	select {
	case <-k.empty:
		return nil
	case <-k.ended:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("hand over shards: %w", ctx.Err())
	}
}

// handOver asks the owner for as many shards as may be on their way at once.
func (k *Keeper) handOver(ctx context.Context, survey lease.Survey, held, asked int) {
	next := k.successor(survey.Hosts)
	if held+survey.Moving+asked == 0 || next == nil {
		k.drained.Do(func() { close(k.empty) })
		return
	}
	free := inFlight - survey.Moving - asked
	if free <= 0 {
		return
	}
	candidates := k.movable()
	k.dueFirst(ctx, candidates)
	for _, h := range candidates[:min(free, len(candidates))] {
		if !k.aim(ctx, h, k.successor(survey.Hosts)) {
			return
		}
	}
}

// dueFirst sorts shards with messages to send before others: for them the gap counts.
func (k *Keeper) dueFirst(ctx context.Context, held []*holding) {
	if k.config.Companies == nil || len(held) < 2 {
		return
	}
	shards := make([]int, len(held))
	for i, h := range held {
		shards[i] = h.lease.Shard
	}
	attempt, cancel := context.WithTimeout(ctx, k.patience())
	defer cancel()
	due, err := k.config.Companies.Due(attempt, shards)
	if err != nil {
		k.logger.WarnContext(ctx, "shards are handed over in any order", "error", err)
		return
	}
	rank := func(h *holding) int {
		if slices.Contains(due, h.lease.Shard) {
			return 0
		}
		return 1
	}
	slices.SortStableFunc(held, func(a, b *holding) int { return rank(a) - rank(b) })
}

// Bury says that the process of another host has ended: its shards are taken at once, without waiting for their leases
// to end. Should that be wrong, its next renewal is denied, and the fences keep it from writing until then.
func (k *Keeper) Bury(hostID string) {
	k.mu.Lock()
	k.dead[hostID] = time.Now()
	k.mu.Unlock()
	k.Hurry()
}

// buried lists the hosts that ended lately. One that was not dead may count again after a few rounds; one that was is
// known by its silence from then on.
func (k *Keeper) buried() []string {
	k.mu.Lock()
	defer k.mu.Unlock()
	var dead []string
	for id, since := range k.dead {
		if time.Since(since) > k.leases.TTL() {
			delete(k.dead, id)
			continue
		}
		dead = append(dead, id)
	}
	return dead
}
