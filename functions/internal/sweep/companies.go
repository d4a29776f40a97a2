package sweep

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"wafleet/shared/store/db"
)

// idKeptFor is how long the id of a deleted company stays taken: longer than any process trusts an API key or a data key
// that it has in memory, so that nothing of the old company is taken for the new one's.
const idKeptFor = 3 * time.Minute

// purgePages is how many pages one sweep takes away, so that a big company does not keep it from what is more urgent.
const purgePages = 40

// purge takes away what deleted companies left behind, a page at a time, and sets their ids free. A company that cannot be
// purged keeps no other from it.
func (s *Sweeper) purge(ctx context.Context) error {
	companies, err := s.queries.ListDeletedCompanies(ctx, s.store.Pool(), s.page)
	if err != nil {
		return fmt.Errorf("list deleted companies: %w", err)
	}
	var errs []error
	left := purgePages
	for _, companyID := range companies {
		for more := true; more && left > 0 && ctx.Err() == nil; left-- {
			if more, err = s.purgeSome(ctx, companyID); err != nil {
				errs = append(errs, fmt.Errorf("purge %s: %w", companyID, err))
				break
			}
		}
	}
	return errors.Join(errs...)
}

// purgeSome deletes a page of each of the big tables; more says that there may be another one. The company's row is locked
// meanwhile, so that it is certain that the id is not a new company's.
func (s *Sweeper) purgeSome(ctx context.Context, companyID string) (more bool, err error) {
	err = s.store.InTx(ctx, func(tx pgx.Tx) error {
		_, err := s.queries.HoldDeletedCompany(ctx, tx, companyID)
		if errors.Is(err, pgx.ErrNoRows) {
			return nil // another process is at it, or done
		}
		if err != nil {
			return fmt.Errorf("lock: %w", err)
		}
		messages, err := s.queries.PurgeMessages(ctx, tx, db.PurgeMessagesParams{CompanyID: companyID, PageSize: s.page})
		if err != nil {
			return fmt.Errorf("messages: %w", err)
		}
		events, err := s.queries.PurgeEvents(ctx, tx, db.PurgeEventsParams{CompanyID: companyID, PageSize: s.page})
		if err != nil {
			return fmt.Errorf("events: %w", err)
		}
		deliveries, err := s.queries.PurgeDeliveries(ctx, tx, db.PurgeDeliveriesParams{CompanyID: companyID, PageSize: s.page})
		if err != nil {
			return fmt.Errorf("deliveries: %w", err)
		}
		if more = messages+events+deliveries > 0; more {
			return nil
		}
		freed, err := s.queries.PurgeCompany(ctx, tx, db.PurgeCompanyParams{CompanyID: companyID, Keep: idKeptFor.Seconds()})
		if err != nil {
			return fmt.Errorf("company: %w", err)
		}
		s.swept.WithLabelValues(labelCompanies).Add(float64(freed))
		return nil
	})
	if err != nil {
		return false, err
	}
	return more, nil
}
