package lease

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"

	"wafleet/shared/store"
	"wafleet/shared/store/db"
)

// DefaultTTL is how long a lease lives after its last renewal.
const DefaultTTL = 6 * time.Second

// Lease is a shard as its holder has it.
type Lease struct {
	store.Fence

	Epoch  int64 // counts the tenures of the shard
	Handed bool  // over by its former holder, which waits for Settle
}

// keepFor is how long a shard is kept for the host it was handed to. One that is alive takes it within milliseconds.
const keepFor = 2 * time.Second

// Claim is which shards a host would like to take. Those that are free are always meant.
type Claim struct {
	Most int      // so many
	Late bool     // also those whose holder is late
	Dead []string // also those of hosts whose process is known to have ended
}

// Config says for whom leases are taken.
type Config struct {
	HostID  string        // new for every start of a process
	Version string        // of the program, shown to operators
	Peer    string        // host:port where other hosts notice the death of this one; empty: nowhere
	TTL     time.Duration // DefaultTTL if zero; the same for every host of an installation
}

// Table takes, renews and releases leases for one host. It is safe for concurrent use.
type Table struct {
	pool    *pgxpool.Pool
	queries *db.Queries
	config  Config
}

// New returns the table of leases in a database. It returns an error if the configuration makes no sense.
func New(pool *pgxpool.Pool, config Config) (*Table, error) {
	config.TTL = cmp.Or(config.TTL, DefaultTTL)
	if config.HostID == "" {
		return nil, errors.New("lease: host id is missing")
	}
	if config.TTL < 0 {
		return nil, fmt.Errorf("lease: time to live is %s", config.TTL)
	}
	return &Table{pool: pool, queries: db.New(), config: config}, nil
}

// TTL is how long a lease lives after its last renewal.
func (t *Table) TTL() time.Duration { return t.config.TTL }

// Take takes up to so many shards, first those that were handed to this host, and returns what it got. It waits for
// nobody: a shard that another host is just taking, or that a transaction under the old term holds, it leaves.
func (t *Table) Take(ctx context.Context, claim Claim) ([]Lease, error) {
	rows, err := t.queries.TakeLeases(ctx, t.pool, db.TakeLeasesParams{
		HostID: t.config.HostID, Ttl: t.config.TTL.Seconds(), Most: int32(min(claim.Most, math.MaxInt32)), //nolint:gosec // bounded
		Late: claim.Late, Dead: claim.Dead,
	})
	if err != nil {
		return nil, fmt.Errorf("take leases: %w", err)
	}
	taken := make([]Lease, len(rows))
	for i, row := range rows {
		fence := store.Fence{Shard: row.Shard, Term: row.Term, HostID: t.config.HostID}
		taken[i] = Lease{Fence: fence, Epoch: row.Epoch, Handed: row.Handed}
	}
	return taken, nil
}

// Renew gives the host's sign of life and prolongs its leases, all in one statement. It returns those that are still
// held: what is missing is lost for good. An error says nothing about any of them.
func (t *Table) Renew(ctx context.Context, held []Lease, draining bool) ([]Lease, error) {
	shards, terms := columns(held)
	renewed, err := t.queries.RenewLeases(ctx, t.pool, db.RenewLeasesParams{
		HostID: t.config.HostID, Version: t.config.Version, Draining: draining, Peer: t.config.Peer,
		Ttl: t.config.TTL.Seconds(), Shards: shards, Terms: terms,
	})
	if err != nil {
		return nil, fmt.Errorf("renew leases: %w", err)
	}
	prolonged := make(map[int]bool, len(renewed))
	for _, shard := range renewed {
		prolonged[shard] = true
	}
	still := make([]Lease, 0, len(renewed))
	for _, lease := range held {
		if prolonged[lease.Shard] {
			still = append(still, lease)
		}
	}
	return still, nil
}

// Aim says which host is to have a shard after it is released. A lease that is lost is passed over.
func (t *Table) Aim(ctx context.Context, held Lease, hostID string) error {
	_, err := t.queries.AimLease(ctx, t.pool, db.AimLeaseParams{Shard: held.Shard, Term: held.Term, Target: hostID})
	if err != nil {
		return fmt.Errorf("aim lease: %w", err)
	}
	return nil
}

// Settle tells the former holder of a shard that was handed over that its sessions are online again.
func (t *Table) Settle(ctx context.Context, held Lease) error {
	if _, err := t.queries.SettleLease(ctx, t.pool, db.SettleLeaseParams{Shard: held.Shard, Term: held.Term}); err != nil {
		return fmt.Errorf("settle lease: %w", err)
	}
	return nil
}

// Release gives leases back, so that another host can take them at once; one that is aimed at a host, only that host for
// two seconds. Whoever may take them is told (Listen). Those that are lost are passed over.
func (t *Table) Release(ctx context.Context, held ...Lease) error {
	shards, terms := columns(held)
	err := t.queries.ReleaseLeases(ctx, t.pool, db.ReleaseLeasesParams{Shards: shards, Terms: terms, Keep: keepFor.Seconds()})
	if err != nil {
		return fmt.Errorf("release leases: %w", err)
	}
	return nil
}

// Leave takes the host off the list of hosts.
func (t *Table) Leave(ctx context.Context) error {
	if err := t.queries.RemoveHost(ctx, t.pool, t.config.HostID); err != nil {
		return fmt.Errorf("remove host: %w", err)
	}
	return nil
}

// ReleaseAll frees every shard and forgets every host, so that a fresh start need not wait for leases to expire. Only
// for an installation on one machine that has just started its own database: no host can be alive then. It returns how
// many shards were held.
func ReleaseAll(ctx context.Context, pool *pgxpool.Pool) (int, error) {
	n, err := db.New().ReleaseAllLeases(ctx, pool)
	if err != nil {
		return 0, fmt.Errorf("release all leases: %w", err)
	}
	return int(n), nil
}

func columns(held []Lease) (shards []int, terms []uuid.UUID) {
	shards, terms = make([]int, len(held)), make([]uuid.UUID, len(held))
	for i, lease := range held {
		shards[i], terms[i] = lease.Shard, lease.Term
	}
	return shards, terms
}
