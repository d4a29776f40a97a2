package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"wafleet/shared/session"
	"wafleet/shared/store/db"
)

var (
	// ErrCompanyExists says that a company id is taken.
	ErrCompanyExists = errors.New("company exists")
	// ErrNoCompany says that a company is not there, or no longer.
	ErrNoCompany = errors.New("company does not exist")
	// ErrSessionLive says that a company's session is up or on its way, so that the company cannot be deleted.
	ErrSessionLive = errors.New("session is live")
)

// NewCompany describes a company to be created.
type NewCompany struct {
	CompanyID          string
	Title, Phone       *string
	Config             json.RawMessage
	Shard              int
	PerMinute, RateMax int // its rate limit: refill and bucket
	// Also runs in the same transaction once the company is there; nil: nothing. Its error undoes everything.
	Also func(ctx context.Context, tx pgx.Tx, row db.Company) error
}

// CreateCompany makes a company together with its data key, its session (state created) and its event counter.
func (s *Store) CreateCompany(ctx context.Context, c NewCompany) (db.Company, error) {
	wrapped, err := s.vault.CreateKey(ctx, c.CompanyID)
	if err != nil {
		return db.Company{}, fmt.Errorf("create company: %w", err)
	}
	var row db.Company
	err = s.InTx(ctx, func(tx pgx.Tx) error {
		var err error
		row, err = s.queries.CreateCompany(ctx, tx, db.CreateCompanyParams{
			CompanyID: c.CompanyID, Title: c.Title, Phone: c.Phone, Config: c.Config,
			Shard: c.Shard, RatePerMinute: c.PerMinute, RateBurst: c.RateMax,
		})
		if errors.Is(err, pgx.ErrNoRows) {
			return ErrCompanyExists
		}
		if err != nil {
			return fmt.Errorf("insert company: %w", err)
		}
		if err := s.queries.CreateCompanyKey(ctx, tx, db.CreateCompanyKeyParams{CompanyID: c.CompanyID, Wrapped: wrapped}); err != nil {
			return fmt.Errorf("insert data key: %w", err)
		}
		if err := s.queries.CreateCompanySession(ctx, tx, c.CompanyID); err != nil {
			return fmt.Errorf("insert session: %w", err)
		}
		if c.Also == nil {
			return nil
		}
		return c.Also(ctx, tx, row)
	})
	return row, err
}

// DeleteCompany ends a company: its data key is destroyed, and with it what was sealed; its session, API keys, endpoints and
// kept answers go. What is left is unreadable and is swept away; until then the id stays taken, for longer than any process
// trusts a key from its memory. ErrNoCompany: there is none; ErrSessionLive: its session has to come to rest first.
func (s *Store) DeleteCompany(ctx context.Context, companyID string) error {
	return s.InTx(ctx, func(tx pgx.Tx) error {
		marked, err := s.queries.MarkCompanyDeleted(ctx, tx, companyID)
		if err != nil {
			return fmt.Errorf("mark company as deleted: %w", err)
		}
		if marked == 0 {
			return ErrNoCompany
		}
		ended, err := s.queries.DeleteRestingSession(ctx, tx, db.DeleteRestingSessionParams{CompanyID: companyID, Resting: resting()})
		if err != nil {
			return fmt.Errorf("delete session: %w", err)
		}
		if ended == 0 {
			return ErrSessionLive
		}
		if err := s.queries.ShredCompany(ctx, tx, companyID); err != nil {
			return fmt.Errorf("destroy keys: %w", err)
		}
		return nil
	})
}

// resting are the states in which a session does nothing by itself.
func resting() (states []string) {
	for _, state := range session.States() {
		if state.NeedsUser() {
			states = append(states, string(state))
		}
	}
	return states
}
