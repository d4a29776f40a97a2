package actor

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"

	"wafleet/shared/company"
	"wafleet/shared/store/db"
)

// reasonHours is why a batch's message waits for the company to open.
const reasonHours = "working_hours"

// withinHours takes out of a page of the outbox what belongs to batches while the company is closed, and puts it off until
// the company opens, by its own clock and the database's. Where the hours cannot be read the company is open: a config that
// nobody understands must not hold anything up.
func (a *Actor) withinHours(ctx context.Context, page []db.PeekOutboxRow) ([]db.PeekOutboxRow, error) {
	first := slices.IndexFunc(page, func(row db.PeekOutboxRow) bool { return row.Lane > 0 })
	if first < 0 {
		return page, nil
	}
	config, err := a.store.Queries().GetConfig(ctx, a.store.Pool(), a.companyID)
	if errors.Is(err, pgx.ErrNoRows) {
		return page, nil // the company is being deleted; the next write tells
	}
	if err != nil {
		return nil, fmt.Errorf("read working hours: %w", err)
	}
	hours, err := company.HoursOf(config)
	if err != nil {
		a.logger.WarnContext(ctx, "batches are sent at any time: working hours cannot be read", "error", err)
		return page, nil
	}
	now := page[first].At
	opens := hours.Next(now)
	if !opens.After(now) {
		return page, nil
	}
	delayed, err := a.store.DelayBatches(ctx, a.fence, a.companyID, opens, reasonHours)
	if err != nil {
		return nil, err
	}
	a.logger.InfoContext(ctx, "batches wait for working hours", "messages", delayed, "until", opens)
	return page[:first], nil // the lanes come in their order
}
