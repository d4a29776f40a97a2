package pgqueue

import (
	"context"
	"fmt"
	"time"

	"wafleet/shared/queue"
	"wafleet/shared/queue/pgqueue/sqlcgen"
)

// Delete implements queue.Queue.
func (q *Queue) Delete(ctx context.Context, name string, texts []string) error {
	def, err := q.definition(name)
	if err != nil {
		return err
	}
	if err := queue.CheckBatch(len(texts)); err != nil {
		return fmt.Errorf("delete from %s: %w", name, err)
	}
	hs := parseHandles(texts)
	var stale []int64
	if def.FIFO() {
		stale, err = q.sql.DeleteFIFO(ctx, sqlcgen.DeleteFIFOParams{Queue: name, Ids: hs.ids, Counts: hs.counts})
	} else {
		stale, err = q.sql.DeleteStandard(ctx, sqlcgen.DeleteStandardParams{Queue: name, Ids: hs.ids, Counts: hs.counts})
	}
	if err != nil {
		return classify(ctx, "delete from "+name, err)
	}
	for _, id := range stale {
		hs.expire(id)
	}
	if err := queue.Batch(hs.failed); err != nil {
		return fmt.Errorf("delete from %s: %w", name, err)
	}
	return nil
}

// Extend implements queue.Queue.
func (q *Queue) Extend(ctx context.Context, name string, texts []string, visibility time.Duration) error {
	def, err := q.definition(name)
	if err != nil {
		return err
	}
	if err := queue.CheckBatch(len(texts)); err != nil {
		return fmt.Errorf("extend in %s: %w", name, err)
	}
	if err := queue.CheckVisibility(visibility); err != nil {
		return fmt.Errorf("extend in %s: %w", name, err)
	}
	hs := parseHandles(texts)
	var extended []int64
	if def.FIFO() {
		extended, err = q.sql.ExtendFIFO(ctx, sqlcgen.ExtendFIFOParams{
			Queue: name, Ids: hs.ids, Counts: hs.counts, VisibilitySeconds: visibility.Seconds(),
		})
	} else {
		extended, err = q.sql.ExtendStandard(ctx, sqlcgen.ExtendStandardParams{
			Queue: name, Ids: hs.ids, Counts: hs.counts, VisibilitySeconds: visibility.Seconds(),
		})
	}
	if err != nil {
		return classify(ctx, "extend in "+name, err)
	}
	claimed := make(map[int64]bool, len(extended))
	for _, id := range extended {
		claimed[id] = true
	}
	for _, id := range hs.ids {
		if !claimed[id] {
			hs.expire(id)
		}
	}
	if err := queue.Batch(hs.failed); err != nil {
		return fmt.Errorf("extend in %s: %w", name, err)
	}
	return nil
}
