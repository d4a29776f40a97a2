package shard

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"wafleet/shared/lease"
	"wafleet/shared/store"
)

const (
	defaultInterval = time.Second
	// maxShards bounds the events that can be waiting: the schema allows no more shards.
	maxShards = 1024
)

// Leases is the row protocol, for this host.
type Leases interface {
	TTL() time.Duration
	Survey(ctx context.Context) (lease.Survey, error)
	Take(ctx context.Context, claim lease.Claim) ([]lease.Lease, error)
	Renew(ctx context.Context, held []lease.Lease, draining bool) ([]lease.Lease, error)
	Aim(ctx context.Context, held lease.Lease, hostID string) error
	Settle(ctx context.Context, held lease.Lease) error
	Release(ctx context.Context, held ...lease.Lease) error
	Leave(ctx context.Context) error
}

var _ Leases = (*lease.Table)(nil)

// Companies is what a Keeper has to know of those whose shards it gives away.
type Companies interface {
	// Pairing says whether a company of the shard is in the middle of pairing. Such a shard is not moved.
	Pairing(shard int) bool
	// Due returns those of the shards that have a company with messages to send. They are handed over first.
	Due(ctx context.Context, shards []int) ([]int, error)
}

// Config is how a Keeper works.
type Config struct {
	HostID   string
	Interval time.Duration // between renewals; 1 s if zero
	Margin   time.Duration // by which trust ends before the lease does; a sixth of the TTL if zero
	Grace    time.Duration // for which a new host that sees no other takes nothing: others may be starting, too
	// Companies is asked before a shard is given away; nil: any shard will do.
	Companies Companies
	// Peers is told the other hosts that are alive, after every look at them; nil: nobody wants to know.
	Peers func(others []lease.Host)
}

// Keeper keeps the leases of one host. It is safe for concurrent use.
type Keeper struct {
	leases Leases
	config Config
	logger *slog.Logger
	events chan Event
	wake   chan struct{} // ends the wait for the next round

	started  time.Time // the loop's own, as what follows
	renewals row
	failing  bool // the last renewal failed
	shed     time.Time
	drained  sync.Once

	mu       sync.Mutex // guards what follows
	held     map[int]*holding
	dead     map[string]time.Time // hosts whose process has ended, and since when that is known
	draining bool
	leaving  int                // shards that are being released
	end      context.CancelFunc // nil until started
	ended    chan struct{}      // closed when the loop has ended
	empty    chan struct{}      // closed when a drain has nothing left to do
}

// holding is a shard of this host.
type holding struct {
	lease lease.Lease
	gate  *Gate
	asked bool // the owner was asked to close it
}

// New returns a Keeper that does nothing yet. It returns an error for times that make no sense together.
func New(leases Leases, config Config, logger *slog.Logger) (*Keeper, error) {
	ttl := leases.TTL()
	config.Interval = cmp.Or(config.Interval, defaultInterval)
	config.Margin = cmp.Or(config.Margin, ttl/6)
	if config.Interval <= 0 || config.Margin < 0 || 2*config.Interval > ttl-config.Margin {
		return nil, fmt.Errorf("shard: leases of %s, trusted until %s before their end, cannot be kept by renewing every %s",
			ttl, config.Margin, config.Interval)
	}
	return &Keeper{
		leases: leases, config: config, logger: logger,
		events: make(chan Event, 2*maxShards+1), wake: make(chan struct{}, 1),
		held: make(map[int]*holding), dead: make(map[string]time.Time),
		ended: make(chan struct{}), empty: make(chan struct{}),
	}, nil
}

// Events is what happens to the host's shards, in order. It is closed when the Keeper has ended.
func (k *Keeper) Events() <-chan Event { return k.events }

// Start gives the host's first sign of life, or fails, and goes on by itself. When the context ends, the Keeper ends
// without releasing anything, as if the process had been killed.
func (k *Keeper) Start(ctx context.Context) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.end != nil {
		return errors.New("shard: keeper was started before")
	}
	first, cancel := context.WithTimeout(ctx, k.patience())
	defer cancel()
	if _, err := k.leases.Renew(first, nil, k.draining); err != nil {
		return fmt.Errorf("start keeper: %w", err)
	}
	ctx, k.end = context.WithCancel(ctx)
	go k.run(ctx)
	return nil
}

// Release gives one shard back after its owner has closed it. A shard that is lost already is passed over. If the
// database cannot be reached, the lease runs out by itself.
func (k *Keeper) Release(ctx context.Context, fence store.Fence) error {
	h := k.drop(fence)
	if h == nil {
		return nil
	}
	h.gate.deny()
	defer k.left()
	if err := k.leases.Release(ctx, h.lease); err != nil {
		return fmt.Errorf("release shard %d: %w", fence.Shard, err)
	}
	k.logger.InfoContext(ctx, "shard released", "shard", fence.Shard, "epoch", h.lease.Epoch)
	return nil
}

// drop takes a shard off what is held and returns it; nil if it is not there.
func (k *Keeper) drop(fence store.Fence) *holding {
	k.mu.Lock()
	defer k.mu.Unlock()
	h := k.holding(fence)
	if h != nil {
		delete(k.held, fence.Shard)
		k.leaving++
	}
	return h
}

// left ends what drop began, and hurries to the next one that has to go.
func (k *Keeper) left() {
	k.mu.Lock()
	k.leaving--
	k.mu.Unlock()
	k.Hurry()
}

// Settle tells whoever handed a shard over to this host that its sessions are online. It matters to the pace of the
// hand-over only.
func (k *Keeper) Settle(ctx context.Context, fence store.Fence) error {
	if err := k.leases.Settle(ctx, lease.Lease{Fence: fence}); err != nil {
		return fmt.Errorf("settle shard %d: %w", fence.Shard, err)
	}
	return nil
}

// Stop ends the Keeper, gives back every shard that is left and takes the host off the list. The owner must have closed
// its shards before, because other hosts take them at once. Stop may be called at any time, and more than once.
func (k *Keeper) Stop(ctx context.Context) error {
	k.mu.Lock()
	end := k.end
	k.mu.Unlock()
	if end == nil {
		return nil
	}
	end()
	select {
	case <-k.ended:
	case <-ctx.Done():
		return fmt.Errorf("stop keeper: %w", ctx.Err())
	}
	left := k.takeAll()
	if left == nil {
		return nil
	}
	if err := errors.Join(k.leases.Release(ctx, left...), k.leases.Leave(ctx)); err != nil {
		return fmt.Errorf("stop keeper: %w", err)
	}
	k.logger.InfoContext(ctx, "shards released", "shards", len(left))
	return nil
}

// takeAll empties what is held, once: the second time it returns nil.
func (k *Keeper) takeAll() []lease.Lease {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.held == nil {
		return nil
	}
	left := k.leasesHeld()
	for _, h := range k.held {
		h.gate.deny()
	}
	k.held = nil
	return left
}

// Trusted says whether the host may act for a shard without asking the database: it holds this term, and renewed it
// recently enough that no other host can have taken it over. Time is measured by the clock that never jumps.
func (k *Keeper) Trusted(fence store.Fence) bool { return k.Gate(fence).open() }

// trustedUntil is when the trust ends that a renewal or a take gives which started then.
func (k *Keeper) trustedUntil(start time.Time) time.Time {
	return start.Add(k.leases.TTL() - k.config.Margin)
}

// holding is the shard as it is held under this very term, or nil. The caller has locked mu.
func (k *Keeper) holding(fence store.Fence) *holding {
	h := k.held[fence.Shard]
	if h == nil || h.lease.Term != fence.Term {
		return nil
	}
	return h
}

// leasesHeld lists all of them. The caller has locked mu.
func (k *Keeper) leasesHeld() []lease.Lease {
	held := make([]lease.Lease, 0, len(k.held))
	for _, h := range k.held {
		held = append(held, h.lease)
	}
	return held
}

// Hurry starts the next round without waiting: something may have changed.
func (k *Keeper) Hurry() {
	select {
	case k.wake <- struct{}{}:
	default: // it will start already
	}
}
