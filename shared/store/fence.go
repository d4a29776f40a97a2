package store

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"wafleet/shared/store/db"
)

// ErrFenced says that a write was made under a lease that is no longer held: nothing was written, and
// whoever wrote must let go of the shard.
var ErrFenced = errors.New("lease of the shard is lost")

// Fence is the right to write for a shard: the random term of its lease. It is checked in every
// statement made under it, with a row lock that a take-over has to wait for and a renewal has not (KEY
// SHARE: the term is a key column). A check without the lock lets stale writes through.
type Fence struct {
	Shard  int
	Term   uuid.UUID
	HostID string
}

// hold locks the lease row for the rest of the transaction, or returns ErrFenced.
func (f Fence) hold(ctx context.Context, q *db.Queries, tx pgx.Tx) error {
	_, err := q.HoldFence(ctx, tx, db.HoldFenceParams{Shard: f.Shard, Term: f.Term})
	if errors.Is(err, pgx.ErrNoRows) {
		return ErrFenced
	}
	if err != nil {
		return fmt.Errorf("hold fence: %w", err)
	}
	return nil
}

// FencedTx runs do in a transaction that holds the fence, or returns ErrFenced without running it.
func (s *Store) FencedTx(ctx context.Context, fence Fence, do func(tx pgx.Tx) error) error {
	return s.InTx(ctx, func(tx pgx.Tx) error {
		if err := fence.hold(ctx, s.queries, tx); err != nil {
			return err
		}
		return do(tx)
	})
}

// CheckFence returns ErrFenced if the lease is lost. It is a question, not a protection: writes check for themselves.
func (s *Store) CheckFence(ctx context.Context, fence Fence) error {
	return s.FencedTx(ctx, fence, func(pgx.Tx) error { return nil })
}
