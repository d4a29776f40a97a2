package store

import (
	"context"
	"fmt"
	"time"

	"wafleet/shared/store/db"
)

const (
	// cleanUpPeriod is how often the device store is cleaned.
	cleanUpPeriod = 24 * time.Hour
	// cleanUpTTL is the turn of the host that cleans; it is longer than the work may take. A clean-up that failed is tried
	// again, by any host, when it is over.
	cleanUpTTL = 40 * time.Minute
)

// CleanUp does the installation's daily clean-up of the device store, unless it was done within the last day or another
// host is at it: then due is false and nothing is done. It is the database's day.
func (s *Store) CleanUp(ctx context.Context, clean func(ctx context.Context) error) (due bool, err error) {
	rows, err := s.queries.ClaimCleanUp(ctx, s.pool, db.ClaimCleanUpParams{Ttl: cleanUpTTL.Seconds(), Period: cleanUpPeriod.Seconds()})
	if err != nil {
		return false, fmt.Errorf("claim clean-up: %w", err)
	}
	if rows == 0 {
		return false, nil
	}
	ctx, cancel := context.WithTimeout(ctx, cleanUpTTL)
	defer cancel()
	if err := clean(ctx); err != nil {
		return true, err
	}
	if err := s.queries.SaveCleanUp(ctx, s.pool); err != nil {
		return true, fmt.Errorf("save clean-up: %w", err)
	}
	return true, nil
}
