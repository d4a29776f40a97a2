package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"

	contract "wafleet/shared/api"
	"wafleet/shared/company"
	"wafleet/shared/phone"
	"wafleet/shared/problem"
	"wafleet/shared/store"
	"wafleet/shared/store/db"
)

const (
	maxTitle = 255 // code points, as wide as the column
	maxRate  = 100_000
)

// CreateCompany makes a company. Only an admin key of the installation may.
func (a *API) CreateCompany(ctx context.Context, r contract.CreateCompanyRequestObject) (contract.CreateCompanyResponseObject, error) {
	c := callOf(ctx)
	if !c.principal.IsAdmin() {
		return nil, problem.Forbidden.Saying("Only an admin key may create companies")
	}
	wanted, err := a.newCompany(r.Body)
	if err != nil {
		return nil, err
	}
	if err := checkIdempotencyKey(r.Params.IdempotencyKey); err != nil {
		return nil, err
	}
	c.companyID = wanted.CompanyID
	made := creation{company: wanted.CompanyID, operation: "createCompany", key: r.Params.IdempotencyKey, body: r.Body}
	answer := contract.CompanyResponse{Success: true}
	replayed, err := a.replay(ctx, made, &answer)
	if err != nil || replayed {
		return companyCreated(answer, replayed), err
	}
	wanted.Also = func(ctx context.Context, tx pgx.Tx, row db.Company) error {
		answer.Data = companyAnswer(row)
		kept, err := a.wrap(ctx, made, answer)
		if err != nil {
			return err
		}
		return a.keep(ctx, tx, kept)
	}
	_, err = a.store.CreateCompany(ctx, wanted)
	if errors.Is(err, store.ErrCompanyExists) {
		// A call with the same key may have been first a moment ago.
		if replayed, err = a.replay(ctx, made, &answer); err == nil && !replayed {
			err = a.companyExists(ctx, wanted.CompanyID)
		}
	}
	if err != nil {
		return nil, err
	}
	return companyCreated(answer, replayed), nil
}

// GetCompany shows a company as it was described.
func (a *API) GetCompany(ctx context.Context, r contract.GetCompanyRequestObject) (contract.GetCompanyResponseObject, error) {
	companyID, err := a.companyFor(ctx, &r.CompanyID)
	if err != nil {
		return nil, err
	}
	row, err := a.queries.GetCompany(ctx, a.store.Pool(), companyID)
	if err != nil {
		return nil, companyError("read company", companyID, err)
	}
	return contract.GetCompany200JSONResponse{Success: true, Data: companyAnswer(row)}, nil
}

// UpdateCompany changes what the call names. Limits are the installation's to give.
func (a *API) UpdateCompany(ctx context.Context, r contract.UpdateCompanyRequestObject) (contract.UpdateCompanyResponseObject, error) {
	companyID, err := a.companyFor(ctx, &r.CompanyID)
	if err != nil {
		return nil, err
	}
	if r.Body.RateLimit != nil && !callOf(ctx).principal.IsAdmin() {
		return nil, problem.Forbidden.Saying("Only an admin key of the installation may change rateLimit")
	}
	change := db.UpdateCompanyParams{CompanyID: companyID}
	if change.Title, err = checkText("title", r.Body.Title); err != nil {
		return nil, err
	}
	if change.Phone, err = checkPhone("phone", r.Body.Phone); err != nil {
		return nil, err
	}
	if change.Config, err = checkConfig(r.Body.Config); err != nil {
		return nil, err
	}
	if limit := r.Body.RateLimit; limit != nil {
		if change.RatePerMinute, err = checkRate("rateLimit.perMinute", limit.PerMinute, 0); err != nil {
			return nil, err
		}
		if change.RateBurst, err = checkRate("rateLimit.burst", limit.Burst, 0); err != nil {
			return nil, err
		}
	}
	row, err := a.queries.UpdateCompany(ctx, a.store.Pool(), change)
	if err != nil {
		return nil, companyError("update company", companyID, err)
	}
	return contract.UpdateCompany200JSONResponse{Success: true, Data: companyAnswer(row)}, nil
}

func companyError(what, companyID string, err error) error {
	if errors.Is(err, pgx.ErrNoRows) {
		return problem.CompanyNotFound.With("companyId", companyID)
	}
	return fmt.Errorf("%s: %w", what, err)
}

// newCompany checks the request and fills in the limits it leaves open.
func (a *API) newCompany(r *contract.CreateCompanyRequest) (store.NewCompany, error) {
	wanted := store.NewCompany{CompanyID: r.CompanyID, PerMinute: a.config.PerMinute(), RateMax: a.config.RateLimitMax}
	if err := company.CheckID(r.CompanyID); err != nil {
		return wanted, invalid("companyId", err.Error())
	}
	wanted.Shard = company.Shard(r.CompanyID, a.shards)
	var err error
	if wanted.Title, err = checkText("title", r.Title); err != nil {
		return wanted, err
	}
	if wanted.Phone, err = checkPhone("phone", r.Phone); err != nil {
		return wanted, err
	}
	if wanted.Config, err = checkConfig(r.Config); err != nil {
		return wanted, err
	}
	if r.RateLimit == nil {
		return wanted, nil
	}
	if wanted.PerMinute, err = checkRate("rateLimit.perMinute", r.RateLimit.PerMinute, wanted.PerMinute); err != nil {
		return wanted, err
	}
	wanted.RateMax, err = checkRate("rateLimit.burst", r.RateLimit.Burst, wanted.RateMax)
	return wanted, err
}

func companyCreated(answer contract.CompanyResponse, replayed bool) contract.CreateCompany201JSONResponse {
	return contract.CreateCompany201JSONResponse{
		Body: answer, Headers: contract.CreateCompany201ResponseHeaders{IdempotentReplayed: replayedHeader(replayed)},
	}
}

// replayedHeader is the value of Idempotent-Replayed, which the first answer does not have.
func replayedHeader(replayed bool) *bool {
	if !replayed {
		return nil
	}
	return &replayed
}

func companyAnswer(row db.Company) contract.Company {
	return contract.Company{
		CompanyID: row.CompanyID, Title: row.Title, Phone: row.WhatsappPhone, Config: row.WhatsappConfig,
		RateLimit: contract.RateLimit{PerMinute: &row.RatePerMinute, Burst: &row.RateBurst}, CreatedAt: row.CreatedAt.UTC(),
	}
}

func checkText(field string, text *string) (*string, error) {
	if text != nil && utf8.RuneCountInString(*text) > maxTitle {
		return nil, invalid(field, field+" must have at most 255 characters")
	}
	return text, nil
}

// checkPhone returns the bare digits of a number, or nil where none was given.
func checkPhone(field string, number *string) (*string, error) {
	if number == nil {
		return nil, nil //nolint:nilnil // no number is a valid answer
	}
	digits, err := phone.Normalize(*number)
	if err != nil {
		return nil, invalid(field, field+": "+err.Error())
	}
	return &digits, nil
}

// checkConfig takes any JSON object; null is as good as none.
func checkConfig(config json.RawMessage) (json.RawMessage, error) {
	switch text := bytes.TrimSpace(config); {
	case len(text) == 0, bytes.Equal(text, []byte("null")):
		return nil, nil
	case text[0] != '{':
		return nil, invalid("config", "config must be an object")
	}
	return config, nil
}

func checkRate(field string, given *int, otherwise int) (int, error) {
	if given == nil {
		return otherwise, nil
	}
	if *given < 1 || *given > maxRate {
		return 0, invalid(field, field+" must be between 1 and 100000")
	}
	return *given, nil
}
