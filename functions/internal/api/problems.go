package api

import (
	"context"
	"errors"
	"net"
	"net/http"
	"slices"

	"github.com/jackc/pgx/v5/pgconn"

	contract "wafleet/shared/api"
	"wafleet/shared/problem"
	"wafleet/shared/vault"
)

// fail answers a request with what went wrong.
func (a *API) fail(w http.ResponseWriter, r *http.Request, err error) {
	c, ctx := callOf(r.Context()), r.Context()
	if errors.Is(ctx.Err(), context.Canceled) {
		// Nobody is there to read an answer. 499 is what nginx calls it; it only goes to the log.
		c.code = "CLIENT_GONE"
		w.WriteHeader(499)
		return
	}
	p := classify(err)
	c.code = string(p.Code)
	if p.Status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", "Bearer")
	}
	problem.Log(ctx, a.logger, p, "request_id", c.requestID, "company_id", c.companyID)
	if err := problem.Write(w, p, c.requestID); err != nil {
		a.logger.DebugContext(ctx, "api.answer", "error", err, "request_id", c.requestID)
	}
}

// classify is the one place where errors of other packages become problems.
func classify(err error) *problem.Problem {
	if known, ok := errors.AsType[*problem.Problem](err); ok {
		return known
	}
	if body, ok := errors.AsType[*contract.BodyError](err); ok {
		return invalid(body.Field, body.Error())
	}
	if name, ok := badParameter(err); ok {
		return invalid(name, name+" is not valid")
	}
	if errors.Is(err, vault.ErrNoKey) {
		return problem.CompanyNotFound.Because(err)
	}
	if p := databaseProblem(err); p != nil {
		return p.Because(err)
	}
	return problem.From(err)
}

// invalid is a validation error of one field, or of the request as a whole.
func invalid(field, text string) *problem.Problem {
	p := problem.Validation.Saying(text)
	if field != "" {
		p = p.With("field", field)
	}
	return p
}

// badParameter returns the name of the parameter that the generated server could not read.
func badParameter(err error) (string, bool) {
	var format *contract.InvalidParamFormatError
	var many *contract.TooManyValuesForParamError
	var missing *contract.RequiredParamError
	switch {
	case errors.As(err, &format):
		return format.ParamName, true
	case errors.As(err, &many):
		return many.ParamName, true
	case errors.As(err, &missing):
		return missing.ParamName, true
	}
	return "", false
}

// The SQLSTATEs and their classes that matter here.
const (
	foreignKeyViolation = "23503"
	dataException       = "22"
)

// Connection exceptions, rolled back transactions, insufficient resources, locks, operator intervention, system errors.
var passingClasses = []string{"08", "40", "53", "55", "57", "58"}

// databaseProblem returns what a database error means for the caller, or nil where it is our own fault.
func databaseProblem(err error) *problem.Problem {
	var refused *pgconn.PgError
	var connect *pgconn.ConnectError
	var network *net.OpError
	switch {
	case errors.As(err, &connect), errors.As(err, &network):
		return problem.Database
	case !errors.As(err, &refused):
		return nil
	case refused.Code == foreignKeyViolation: // all of them lead to companies
		return problem.CompanyNotFound
	case refused.Code[:2] == dataException: // such as U+0000, which JSON can say and Postgres cannot store
		return problem.Validation.Saying("The request holds characters or numbers that cannot be stored")
	case slices.Contains(passingClasses, refused.Code[:2]):
		return problem.Database
	}
	return nil
}
