package api

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	contract "wafleet/shared/api"
	"wafleet/shared/problem"
	"wafleet/shared/store"
	"wafleet/shared/store/db"
)

const maxCompaniesPage = 1000

// ListCompanies lists every company that the key may see, by id.
func (a *API) ListCompanies(ctx context.Context, r contract.ListCompaniesRequestObject) (contract.ListCompaniesResponseObject, error) {
	size, err := pageSize(r.Params.Limit, maxCompaniesPage)
	if err != nil {
		return nil, err
	}
	rows, err := a.companiesAfter(ctx, value(r.Params.After), size)
	if err != nil {
		return nil, err
	}
	rows, next := page(rows, size, func(row db.Company) string { return row.CompanyID })
	answer := contract.ListCompanies200JSONResponse{Success: true, Data: make([]contract.Company, len(rows)), Next: next}
	for i, row := range rows {
		answer.Data[i] = companyAnswer(row)
	}
	return answer, nil
}

// companiesAfter reads the companies that the caller may see, in the order of their ids.
func (a *API) companiesAfter(ctx context.Context, after string, most int) ([]db.Company, error) {
	p := callOf(ctx).principal
	if p.IsAdmin() {
		rows, err := a.queries.ListCompanies(ctx, a.store.Pool(), db.ListCompaniesParams{After: after, PageSize: most})
		if err != nil {
			return nil, fmt.Errorf("list companies: %w", err)
		}
		return rows, nil
	}
	callOf(ctx).companyID = p.CompanyID
	if after >= p.CompanyID {
		return nil, nil
	}
	row, err := a.queries.GetCompany(ctx, a.store.Pool(), p.CompanyID)
	if err != nil {
		return nil, companyError("read company", p.CompanyID, err)
	}
	return []db.Company{row}, nil
}

// DeleteCompany ends a company whose session is at rest. Its key is destroyed at once, and its owner lets go of it.
func (a *API) DeleteCompany(ctx context.Context, r contract.DeleteCompanyRequestObject) (contract.DeleteCompanyResponseObject, error) {
	companyID, err := a.companyFor(ctx, &r.CompanyID)
	if err != nil {
		return nil, err
	}
	if !callOf(ctx).principal.IsAdmin() {
		return nil, problem.Forbidden.Saying("Only an admin key of the installation may delete companies")
	}
	err = a.store.DeleteCompany(ctx, companyID)
	switch {
	case errors.Is(err, store.ErrNoCompany):
		return nil, problem.CompanyNotFound.With("companyId", companyID)
	case errors.Is(err, store.ErrSessionLive):
		return nil, problem.Session.Saying("The company's session is up or on its way: disconnect or delete it first").With("companyId", companyID)
	case err != nil:
		return nil, fmt.Errorf("delete company: %w", err)
	}
	a.keys.ForgetCompany(companyID)
	if err := a.board.Nudge(ctx, companyID); err != nil {
		a.logger.WarnContext(ctx, "session.nudge", "error", err, "company_id", companyID)
	}
	return contract.DeleteCompany200JSONResponse{Success: true, Data: contract.Deleted{ID: companyID, Deleted: true}}, nil
}

// companyExists says why an id cannot be given to a new company.
func (a *API) companyExists(ctx context.Context, companyID string) error {
	taken := problem.CompanyExists.With("companyId", companyID)
	deleted, err := a.queries.IsCompanyDeleted(ctx, a.store.Pool(), companyID)
	if err != nil && !errors.Is(err, pgx.ErrNoRows) {
		return fmt.Errorf("read company: %w", err)
	}
	if deleted || err != nil {
		return taken.Saying("The company of this id was deleted just now; the id is free again in a few minutes")
	}
	return taken
}
