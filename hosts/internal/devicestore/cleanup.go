package devicestore

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"wafleet/hosts/internal/devicestore/db"
)

const (
	// tombstonePeriod is how long the keys of a device outlive its deletion by whatsmeow.
	tombstonePeriod = 30 * 24 * time.Hour
	// eventPeriod is how long WhatsApp keeps what was not acked: after it, nothing comes again.
	eventPeriod = 14 * 24 * time.Hour
)

// sweepTimeout is how long one of the deletes may take.
const sweepTimeout = 15 * time.Minute

// CleanUp deletes, for all devices, the buffer of messages of more than 14 days ago, and the devices with tombstones of
// more than 30. It reads whole tables, for up to 15 minutes each: once a day, by one process of the fleet, is enough
// (shared/store.CleanUp sees to it); more do no harm.
func (s *Store) CleanUp(ctx context.Context) error {
	for _, sweep := range []struct {
		what  string
		clean func(ctx context.Context, tx db.DBTX, age float64) (int64, error)
		age   time.Duration
	}{
		{"buffered events", s.queries.CleanUpEvents, eventPeriod},
		{"devices", s.queries.CleanUpDevices, tombstonePeriod},
	} {
		deleted, err := s.sweep(ctx, sweep.clean, sweep.age)
		if err != nil {
			return fmt.Errorf("clean up %s: %w", sweep.what, err)
		}
		if deleted > 0 {
			s.logger.InfoContext(ctx, "device_store.cleaned", "what", sweep.what, "rows", deleted)
		}
	}
	return nil
}

// sweep runs a statement that may take longer than the pool's others.
func (s *Store) sweep(ctx context.Context, clean func(ctx context.Context, tx db.DBTX, age float64) (int64, error), age time.Duration) (deleted int64, err error) {
	ctx, done := context.WithTimeout(ctx, sweepTimeout)
	defer done()
	err = pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, "SET LOCAL statement_timeout = 0"); err != nil { // the context bounds it
			return fmt.Errorf("set timeout: %w", err)
		}
		deleted, err = clean(ctx, tx, age.Seconds())
		return err
	})
	return deleted, err
}
