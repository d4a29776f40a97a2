package sweep

import (
	"context"
	"errors"
	"fmt"

	"wafleet/functions/internal/batch"
	"wafleet/shared/store"
	"wafleet/shared/store/db"
	"wafleet/shared/webhook"
)

// resumeBatches sends jobs for batches whose own were lost, or did not get to the end.
func (s *Sweeper) resumeBatches(ctx context.Context) error {
	for ctx.Err() == nil {
		rows, err := s.queries.ClaimIdleBatches(ctx, s.store.Pool(), db.ClaimIdleBatchesParams{
			JobPatience: store.BatchJobPatience.Seconds(), PageSize: s.page,
		})
		if err != nil {
			return fmt.Errorf("claim: %w", err)
		}
		jobs := make([]batch.Job, len(rows))
		for i, row := range rows {
			jobs[i] = batch.Job(row)
		}
		if err := batch.EnqueueAll(ctx, s.queue, jobs); err != nil {
			return fmt.Errorf("send: %w", err)
		}
		s.swept.WithLabelValues(labelBatches).Add(float64(len(rows)))
		if len(rows) < s.page {
			break
		}
	}
	return nil
}

// endBatches tells of batches of which nothing can be sent any more. One that fails is passed by.
func (s *Sweeper) endBatches(ctx context.Context) error {
	var errs []error
	for after := int64(0); ctx.Err() == nil; {
		page, err := s.queries.ListEndedBatches(ctx, s.store.Pool(), db.ListEndedBatchesParams{After: after, PageSize: s.page})
		if err != nil {
			return errors.Join(append(errs, fmt.Errorf("list: %w", err))...)
		}
		for _, b := range page {
			after = b.ID
			if err := s.endBatch(ctx, b); err != nil {
				errs = append(errs, fmt.Errorf("batch %d of %s: %w", b.ID, b.CompanyID, err))
			}
		}
		if len(page) < s.page {
			break
		}
	}
	return errors.Join(errs...)
}

func (s *Sweeper) endBatch(ctx context.Context, b db.ListEndedBatchesRow) error {
	deliveries, err := s.store.EndBatch(ctx, b.CompanyID, b.ID)
	if errors.Is(err, store.ErrNotMoved) || errors.Is(err, store.ErrNoCompany) {
		return nil // another sweep was faster, or the company is gone
	}
	if err != nil {
		return fmt.Errorf("end: %w", err)
	}
	s.swept.WithLabelValues(labelBatchEnds).Inc()
	s.log.InfoContext(ctx, "batch.ended", "company_id", b.CompanyID, "batch", b.ID)
	if err := webhook.EnqueueDeliveries(ctx, s.queue, deliveries); err != nil {
		s.log.WarnContext(ctx, "webhook.left_to_sweep", "deliveries", len(deliveries), "error", err)
	}
	return nil
}
