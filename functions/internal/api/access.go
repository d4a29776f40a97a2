package api

import (
	"context"

	"wafleet/shared/company"
	"wafleet/shared/problem"
)

// companyFor returns the company that a call acts for: the key's own, or for an admin key the one that is named, or else
// the default one. A company key that names another company is refused whether or not that one exists.
func (a *API) companyFor(ctx context.Context, named *string) (string, error) {
	c := callOf(ctx)
	id, err := a.chooseCompany(c, named)
	if err != nil {
		return "", err
	}
	c.companyID = id
	return id, nil
}

func (a *API) chooseCompany(c *call, named *string) (string, error) {
	if c.principal == nil {
		return "", problem.Unauthorized
	}
	own := c.principal.CompanyID
	switch {
	case !c.principal.IsAdmin() && named != nil && *named != own:
		return "", problem.Forbidden.With("companyId", *named)
	case !c.principal.IsAdmin():
		return own, nil
	case named == nil && a.config.DefaultCompany == "":
		return "", invalid("companyId", "companyId is required with an admin key: there is no default company")
	case named == nil:
		return a.config.DefaultCompany, nil
	}
	if err := company.CheckID(*named); err != nil {
		return "", invalid("companyId", err.Error())
	}
	return *named, nil
}

// companyOf spares an admin key from naming the company of a thing: find says whose it is. For all others it is companyFor,
// so that what belongs to another company is not found. Errors of find are returned as they are.
func (a *API) companyOf(ctx context.Context, named *string, find func() (string, error)) (string, error) {
	if c := callOf(ctx); c.principal == nil || !c.principal.IsAdmin() || named != nil {
		return a.companyFor(ctx, named)
	}
	owner, err := find()
	if err != nil {
		return "", err
	}
	return a.companyFor(ctx, &owner)
}

// unlessNobody tells an empty list from that of a company that is not there.
func (a *API) unlessNobody(ctx context.Context, companyID string, listed int) error {
	if listed > 0 {
		return nil
	}
	_, err := a.session(ctx, companyID)
	return err
}
