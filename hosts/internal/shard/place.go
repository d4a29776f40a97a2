package shard

import (
	"context"
	"slices"
	"time"

	"wafleet/shared/lease"
)

// place brings the number of shards closer to the host's share: takes what is missing, or asks for one that is too
// many. On an error it gives up; the next renewal will meet it as well.
func (k *Keeper) place(ctx context.Context) {
	attempt, cancel := context.WithTimeout(ctx, k.patience())
	defer cancel()
	count, asked, draining := k.count() // before the survey, which then has whatever is not among them any more
	survey, err := k.leases.Survey(attempt)
	if err != nil {
		k.logger.WarnContext(ctx, "leases cannot be surveyed", "error", err)
		return
	}
	dead := k.buried()
	survey.Hosts = slices.DeleteFunc(survey.Hosts, func(h lease.Host) bool { return slices.Contains(dead, h.ID) })
	k.tellPeers(survey.Hosts)

	share := share(survey.Shards, serving(survey.Hosts))
	switch {
	case draining:
		k.handOver(ctx, survey, count, asked)
	case count > share:
		k.shedOne(ctx, survey, share, asked)
	case k.patient(survey.Hosts): // others may be about to start
	default:
		k.fill(ctx, max(share-count, survey.Handed), dead, survey)
	}
}

// share is ⌈shards / hosts⌉.
func share(shards, hosts int) int {
	hosts = max(hosts, 1)
	return (shards + hosts - 1) / hosts
}

// serving counts the hosts that take shards.
func serving(hosts []lease.Host) (n int) {
	for _, h := range hosts {
		if !h.Draining {
			n++
		}
	}
	return n
}

func (k *Keeper) tellPeers(hosts []lease.Host) {
	if k.config.Peers == nil {
		return
	}
	k.config.Peers(slices.DeleteFunc(slices.Clone(hosts), func(h lease.Host) bool { return h.ID == k.config.HostID }))
}

// patient says that this host is new and alone.
func (k *Keeper) patient(hosts []lease.Host) bool {
	return len(hosts) <= 1 && time.Since(k.started) < k.config.Grace
}

// count is how many shards are held, and how many the owner is closing or just releasing: all at one moment, so that one
// that goes is among either.
func (k *Keeper) count() (held, asked int, draining bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, h := range k.held {
		if h.asked {
			asked++
		}
	}
	return len(k.held), asked + k.leaving, k.draining
}

// fill takes up to that many shards in one statement: late ones only if this host's own row of renewals is long enough
// to rule out that everybody is late.
func (k *Keeper) fill(ctx context.Context, missing int, dead []string, survey lease.Survey) {
	late := survey.Late > 0 && k.renewals.length() >= k.leases.TTL()
	room := (cap(k.events) - len(k.events) - k.losable()) / 2 // for its Gained and its Lost
	missing = min(missing, room)
	if missing <= 0 || survey.Free == 0 && !late && len(dead) == 0 {
		return
	}
	attempt, cancel := context.WithTimeout(ctx, k.patience())
	defer cancel()
	start := time.Now()
	taken, err := k.leases.Take(attempt, lease.Claim{Most: missing, Late: late, Dead: dead})
	if err != nil {
		k.logger.WarnContext(ctx, "shards cannot be taken", "error", err)
		return
	}
	for _, l := range taken {
		k.gain(ctx, l, start)
	}
}

// losable is how many Losts may still have to be told. Only the loop adds events, so that there is room from here on.
func (k *Keeper) losable() int {
	held, _, _ := k.count()
	return held
}

// gain books a shard that was taken by a statement that started then.
func (k *Keeper) gain(ctx context.Context, l lease.Lease, start time.Time) {
	h := &holding{lease: l, gate: newGate()}
	h.gate.trust(k.trustedUntil(start))
	k.mu.Lock()
	k.held[l.Shard] = h
	k.mu.Unlock()
	k.logger.DebugContext(ctx, "shard gained", "shard", l.Shard, "epoch", l.Epoch)
	k.events <- Gained{Fence: l.Fence, Handed: l.Handed}
}

// shedOne asks the owner for one shard, unless it has yet to close the last one that was asked for, or any is still on
// its way: a move is a short gap for its companies, and nothing is in a hurry.
func (k *Keeper) shedOne(ctx context.Context, survey lease.Survey, share, asked int) {
	if survey.Moving > 0 || asked > 0 {
		return
	}
	next := k.successor(survey.Hosts)
	if next == nil || next.Shards >= share {
		return
	}
	if candidates := k.movable(); len(candidates) > 0 && k.aim(ctx, candidates[0], next) {
		k.logger.InfoContext(ctx, "shard is more than the host's share", "shard", candidates[0].lease.Shard, "to", next.ID)
	}
}

// aim says to whom a shard goes, and asks the owner to close it.
func (k *Keeper) aim(ctx context.Context, h *holding, next *lease.Host) bool {
	if len(k.events)+k.losable()+1 > cap(k.events) {
		return false
	}
	attempt, cancel := context.WithTimeout(ctx, k.patience())
	defer cancel()
	if err := k.leases.Aim(attempt, h.lease, next.ID); err != nil {
		k.logger.WarnContext(ctx, "shard cannot be handed over", "shard", h.lease.Shard, "error", err)
		return false
	}
	next.Shards++
	k.mu.Lock()
	h.asked = true
	k.mu.Unlock()
	k.events <- Surplus{Fence: h.lease.Fence}
	return true
}

// successor is the other host that serves the fewest shards; nil if there is none.
func (k *Keeper) successor(hosts []lease.Host) (fewest *lease.Host) {
	for i := range hosts {
		h := &hosts[i]
		if h.ID == k.config.HostID || h.Draining {
			continue
		}
		if fewest == nil || h.Shards < fewest.Shards {
			fewest = h
		}
	}
	return fewest
}

// movable lists the shards that the owner was not asked for and that have nobody in the middle of pairing, by chance in
// any order.
func (k *Keeper) movable() (held []*holding) {
	k.mu.Lock()
	for _, h := range k.held {
		if !h.asked {
			held = append(held, h)
		}
	}
	k.mu.Unlock()
	if k.config.Companies == nil {
		return held
	}
	return slices.DeleteFunc(held, func(h *holding) bool { return k.config.Companies.Pairing(h.lease.Shard) })
}
