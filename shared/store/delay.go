package store

import (
	"context"
	"fmt"
	"time"

	"wafleet/shared/store/db"
)

// delayPage is how many rows one statement puts off: a batch has up to ten thousand.
const delayPage = 1000

// DelayBatches puts off everything that batches of a company have due now, to a time and for a reason that the messages
// tell. What people wait for stays due.
func (s *Store) DelayBatches(ctx context.Context, fence Fence, companyID string, until time.Time, reason string) (delayed int64, err error) {
	for {
		row, err := s.queries.DelayBatchRows(ctx, s.pool, db.DelayBatchRowsParams{
			Shard: fence.Shard, Term: fence.Term, HostID: fence.HostID, CompanyID: companyID, Until: until, Reason: reason, Most: delayPage,
		})
		if err != nil {
			return delayed, fmt.Errorf("delay batches: %w", err)
		}
		if !row.Held {
			return delayed, fmt.Errorf("delay batches: %w", ErrFenced)
		}
		if delayed += row.Delayed; row.Delayed < delayPage {
			return delayed, nil
		}
	}
}
