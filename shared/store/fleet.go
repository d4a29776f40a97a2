package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"wafleet/shared/store/db"
)

const (
	// refusalWindow is how far back the breaker counts.
	refusalWindow = time.Minute
	// fewRefusals and the hundredth part of the linked companies are what may be logged out within the window:
	// people unlink devices one by one.
	fewRefusals     = 5
	refusedFraction = 100
	// breakerLimit ends a breaker that no probe has closed: what is refused for a day is meant.
	breakerLimit = 24 * time.Hour
	// probeTTL is the turn of one probe.
	probeTTL = 45 * time.Second
	// versionTTL is the turn of the host that asks WhatsApp for its version.
	versionTTL = 30 * time.Second
	// versionFresh is how long an answer is not asked for again.
	versionFresh = 10 * time.Minute
)

// RefusalWindow is how long after a log-out it may still turn out to be part of a burst.
const RefusalWindow = refusalWindow

// Refuse counts that WhatsApp logged a company out, and says whether the fleet's breaker is open: then the company is
// not to be believed logged out. Tripped says that this log-out opened it.
func (s *Store) Refuse(ctx context.Context, companyID string) (open, tripped bool, err error) {
	err = pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		var err error
		open, err = s.queries.LockFleet(ctx, tx) // one after the other, so that each sees those before it
		if err != nil {
			return fmt.Errorf("lock fleet: %w", err)
		}
		if open {
			return nil
		}
		counted, err := s.queries.CountRefusals(ctx, tx, db.CountRefusalsParams{
			CompanyID: companyID, WindowSeconds: refusalWindow.Seconds(),
		})
		if err != nil {
			return fmt.Errorf("count refusals: %w", err)
		}
		if counted.Refused <= max(fewRefusals, counted.Linked/refusedFraction) {
			return nil
		}
		open, tripped = true, true
		return s.queries.OpenBreaker(ctx, tx)
	})
	if violates(err, "refusals_company_id_fkey") {
		return false, false, ErrNoCompany
	}
	if err != nil {
		return false, false, fmt.Errorf("refuse: %w", err)
	}
	return open, tripped, nil
}

// BreakerOpen says whether the breaker is open. It closes one that is open for longer than makes sense.
func (s *Store) BreakerOpen(ctx context.Context) (bool, error) {
	breaker, err := s.queries.GetBreaker(ctx, s.pool, breakerLimit.Seconds())
	if err != nil {
		return false, fmt.Errorf("read breaker: %w", err)
	}
	if breaker.Open && breaker.Expired {
		_, err := s.CloseBreaker(ctx)
		return false, err
	}
	return breaker.Open, nil
}

// ClaimProbe takes the turn to try a held session, for as long as a login may take. Unheld says that there is no need
// for turns, because the breaker is closed.
func (s *Store) ClaimProbe(ctx context.Context) (mine, unheld bool, err error) {
	open, err := s.BreakerOpen(ctx)
	if err != nil || !open {
		return false, err == nil, err
	}
	rows, err := s.queries.ClaimProbe(ctx, s.pool, probeTTL.Seconds())
	if err != nil {
		return false, false, fmt.Errorf("claim probe: %w", err)
	}
	return rows > 0, false, nil
}

// CloseBreaker closes the breaker, because a held session could log in. It says whether it was open.
func (s *Store) CloseBreaker(ctx context.Context) (closed bool, err error) {
	rows, err := s.queries.CloseBreaker(ctx, s.pool)
	if err != nil {
		return false, fmt.Errorf("close breaker: %w", err)
	}
	return rows > 0, nil
}

// ErrClaimed says that another host is asking for what was asked for.
var ErrClaimed = errors.New("another host is at it")

// RenewVersion returns the version that the fleet speaks as now that refused is refused. One host fetches it, the
// others get ErrClaimed meanwhile; nobody fetches it while an answer is fresh, so that it may be the refused one still.
func (s *Store) RenewVersion(ctx context.Context, refused string, fetch func(ctx context.Context) (string, error)) (string, error) {
	known, err := s.queries.GetVersion(ctx, s.pool, versionFresh.Seconds())
	switch {
	case err != nil:
		return "", fmt.Errorf("read version: %w", err)
	case known.WaVersion != "" && known.WaVersion != refused, known.Fresh:
		return known.WaVersion, nil
	}
	rows, err := s.queries.ClaimVersion(ctx, s.pool, db.ClaimVersionParams{Ttl: versionTTL.Seconds(), FreshSeconds: versionFresh.Seconds()})
	if err != nil {
		return "", fmt.Errorf("claim version: %w", err)
	}
	if rows == 0 {
		return "", ErrClaimed
	}
	version, err := fetch(ctx)
	if err != nil {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), rollbackTimeout)
		defer cancel()
		return "", errors.Join(err, s.queries.ReleaseVersion(ctx, s.pool))
	}
	if err := s.queries.SaveVersion(ctx, s.pool, version); err != nil {
		return "", fmt.Errorf("save version: %w", err)
	}
	return version, nil
}
