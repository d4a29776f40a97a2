package lease

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"wafleet/shared/store"
	"wafleet/shared/store/db"
)

// DefaultTTL is how long a lease lives after its last renewal.
const DefaultTTL = 6 * time.Second

// ErrHeld says that a shard cannot be taken: somebody holds it, or was faster.
var ErrHeld = errors.New("shard is held")

// Lease is a shard as its holder has it.
type Lease struct {
	store.Fence

	Epoch int64 // counts the tenures of the shard
}

// Survey is the state of all leases, as far as a host needs it to take its share.
type Survey struct {
	Shards  int   // how many there are
	Free    []int // held by nobody
	Expired []int // held by a host that has not renewed them in time
	Hosts   int   // alive and not draining, the asking one included
}

// Config says for whom leases are taken.
type Config struct {
	HostID  string        // new for every start of a process
	Version string        // of the program, shown to operators
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

// Survey looks at all leases and all hosts.
func (t *Table) Survey(ctx context.Context) (Survey, error) {
	row, err := t.queries.SurveyLeases(ctx, t.pool, t.config.TTL.Seconds())
	if err != nil {
		return Survey{}, fmt.Errorf("survey leases: %w", err)
	}
	return Survey{Shards: int(row.Shards), Free: row.Free, Expired: row.Expired, Hosts: int(row.Hosts)}, nil
}

// Take takes a shard that nobody holds, or returns ErrHeld.
func (t *Table) Take(ctx context.Context, shard int) (Lease, error) { return t.take(ctx, shard, false) }

// TakeExpired takes a shard that nobody holds or whose holder is late, or returns ErrHeld. It waits for transactions
// that hold the old term.
func (t *Table) TakeExpired(ctx context.Context, shard int) (Lease, error) {
	return t.take(ctx, shard, true)
}

func (t *Table) take(ctx context.Context, shard int, expired bool) (Lease, error) {
	row, err := t.queries.TakeLease(ctx, t.pool, db.TakeLeaseParams{
		HostID: t.config.HostID, Ttl: t.config.TTL.Seconds(), Shard: shard, Expired: expired,
	})
	if errors.Is(err, pgx.ErrNoRows) {
		return Lease{}, ErrHeld
	}
	if err != nil {
		return Lease{}, fmt.Errorf("take lease: %w", err)
	}
	return Lease{Fence: store.Fence{Shard: shard, Term: row.Term, HostID: t.config.HostID}, Epoch: row.Epoch}, nil
}

// Renew gives the host's sign of life and prolongs its leases, all in one statement. It returns those that are still
// held: what is missing is lost for good. An error says nothing about any of them.
func (t *Table) Renew(ctx context.Context, held []Lease, draining bool) ([]Lease, error) {
	shards, terms := columns(held)
	renewed, err := t.queries.RenewLeases(ctx, t.pool, db.RenewLeasesParams{
		HostID: t.config.HostID, Version: t.config.Version, Draining: draining,
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

// Release gives leases back, so that another host can take them at once. Those that are lost are passed over.
func (t *Table) Release(ctx context.Context, held ...Lease) error {
	shards, terms := columns(held)
	if _, err := t.queries.ReleaseLeases(ctx, t.pool, db.ReleaseLeasesParams{Shards: shards, Terms: terms}); err != nil {
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
