package api

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"wafleet/shared/problem"
	"wafleet/shared/store/db"
)

// owner finds the host that looks after a company. Without a living one nothing is shown, linked or sent until the next
// host takes over.
func (a *API) owner(ctx context.Context, companyID string) (db.GetOwnerRow, error) {
	row, err := a.queries.GetOwner(ctx, a.store.Pool(), companyID)
	if errors.Is(err, pgx.ErrNoRows) {
		return row, problem.CompanyNotFound.With("companyId", companyID)
	}
	if err != nil {
		return row, fmt.Errorf("find owner: %w", err)
	}
	return row, nil
}
