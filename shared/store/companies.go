package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"wafleet/shared/store/db"
)

var (
	// ErrCompanyExists says that a company id is taken.
	ErrCompanyExists = errors.New("company exists")
	// ErrNoCompany says that a company is not there, or no longer.
	ErrNoCompany = errors.New("company does not exist")
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
