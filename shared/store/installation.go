package store

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5/pgxpool"

	"wafleet/shared/store/db"
)

// Installation is what is decided once, when the database is made.
type Installation struct {
	Shards   int
	IDSecret []byte // keys message ids (message.IDs)
}

// ShardsError says that an installation was made with another number of shards. It cannot be changed:
// companies and their waiting messages are spread by it.
type ShardsError struct{ Have, Asked int }

// Error states both numbers.
func (e *ShardsError) Error() string {
	return fmt.Sprintf("this installation has %d shards and cannot have %d", e.Have, e.Asked)
}

// EnsureInstallation records the number of shards at the first start, and returns *ShardsError when a
// later start asks for another. Zero asks for whatever the installation has.
func EnsureInstallation(ctx context.Context, pool *pgxpool.Pool, shards int) (Installation, error) {
	const defaultShards = 64
	q, wanted := db.New(), shards
	if wanted == 0 {
		wanted = defaultShards
	}
	if err := q.CreateInstallation(ctx, pool, wanted); err != nil {
		return Installation{}, fmt.Errorf("record installation: %w", err)
	}
	if err := q.CreateLeases(ctx, pool); err != nil {
		return Installation{}, fmt.Errorf("create leases: %w", err)
	}
	row, err := q.GetInstallation(ctx, pool)
	if err != nil {
		return Installation{}, fmt.Errorf("read installation: %w", err)
	}
	if shards != 0 && row.Shards != shards {
		return Installation{}, &ShardsError{Have: row.Shards, Asked: shards}
	}
	return Installation{Shards: row.Shards, IDSecret: row.IDSecret}, nil
}
