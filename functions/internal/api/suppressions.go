package api

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/jackc/pgx/v5"

	contract "wafleet/shared/api"
	"wafleet/shared/phone"
	"wafleet/shared/problem"
	"wafleet/shared/store/db"
)

const (
	maxSuppressionsPage = 1000
	hiddenSuffix        = "@lid"
)

// hiddenID is the address of somebody whose number WhatsApp does not tell.
var hiddenID = regexp.MustCompile(`^[0-9]{1,20}@lid$`)

// ListSuppressions lists who does not want to hear from a company.
func (a *API) ListSuppressions(ctx context.Context, r contract.ListSuppressionsRequestObject) (contract.ListSuppressionsResponseObject, error) {
	companyID, err := a.companyFor(ctx, &r.CompanyID)
	if err != nil {
		return nil, err
	}
	size, err := pageSize(r.Params.Limit, maxSuppressionsPage)
	if err != nil {
		return nil, err
	}
	rows, err := a.queries.ListSuppressions(ctx, a.store.Pool(), db.ListSuppressionsParams{
		CompanyID: companyID, After: value(r.Params.After), PageSize: size,
	})
	if err != nil {
		return nil, fmt.Errorf("list suppressions: %w", err)
	}
	if err := a.unlessNobody(ctx, companyID, len(rows)); err != nil {
		return nil, err
	}
	rows, next := page(rows, size, func(row db.ListSuppressionsRow) string { return row.Suppression.Address })
	answer := contract.ListSuppressions200JSONResponse{Success: true, Data: make([]contract.Suppression, len(rows)), Next: next}
	for i, row := range rows {
		answer.Data[i] = suppressionAnswer(row.Suppression, row.Also)
	}
	return answer, nil
}

// GetSuppression says whether somebody is suppressed.
func (a *API) GetSuppression(ctx context.Context, r contract.GetSuppressionRequestObject) (contract.GetSuppressionResponseObject, error) {
	companyID, address, err := a.suppressedIn(ctx, r.CompanyID, r.Address)
	if err != nil {
		return nil, err
	}
	row, err := a.queries.GetSuppression(ctx, a.store.Pool(), db.GetSuppressionParams{CompanyID: companyID, Address: address})
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, notSuppressed(address)
	}
	if err != nil {
		return nil, fmt.Errorf("read suppression: %w", err)
	}
	return contract.GetSuppression200JSONResponse{Success: true, Data: suppressionAnswer(row.Suppression, row.Also)}, nil
}

// CreateSuppression has nothing more sent to somebody. One who is suppressed already stays so, and nothing changes.
func (a *API) CreateSuppression(ctx context.Context, r contract.CreateSuppressionRequestObject) (contract.CreateSuppressionResponseObject, error) {
	companyID, err := a.companyFor(ctx, &r.CompanyID)
	if err != nil {
		return nil, err
	}
	address, err := checkAddress("phone", r.Body.Phone)
	if err != nil {
		return nil, err
	}
	note, err := checkText("note", r.Body.Note)
	if err != nil {
		return nil, err
	}
	if err := checkIdempotencyKey(r.Params.IdempotencyKey); err != nil {
		return nil, err
	}
	made := creation{company: companyID, operation: "createSuppression", key: r.Params.IdempotencyKey, body: r.Body}
	answer, replayed, err := onceMade(ctx, a, made, func(tx pgx.Tx) (s suppressed, err error) {
		if _, err := a.queries.HoldCompany(ctx, tx, companyID); err != nil {
			return s, companyError("hold company", companyID, err)
		}
		row, err := a.queries.AddSuppression(ctx, tx, db.AddSuppressionParams{CompanyID: companyID, Address: address, Note: value(note)})
		if err == nil {
			return suppressed{Fresh: true, Data: suppressionAnswer(row, "")}, nil
		}
		if !errors.Is(err, pgx.ErrNoRows) {
			return s, fmt.Errorf("suppress: %w", err)
		}
		known, err := a.queries.GetSuppression(ctx, tx, db.GetSuppressionParams{CompanyID: companyID, Address: address})
		if err != nil {
			return s, fmt.Errorf("read suppression: %w", err)
		}
		return suppressed{Data: suppressionAnswer(known.Suppression, known.Also)}, nil
	})
	if err != nil {
		return nil, err
	}
	body, replay := contract.SuppressionResponse{Success: true, Data: answer.Data}, replayedHeader(replayed)
	if !answer.Fresh {
		return contract.CreateSuppression200JSONResponse{
			Body: body, Headers: contract.CreateSuppression200ResponseHeaders{IdempotentReplayed: replay},
		}, nil
	}
	return contract.CreateSuppression201JSONResponse{
		Body: body, Headers: contract.CreateSuppression201ResponseHeaders{IdempotentReplayed: replay},
	}, nil
}

// suppressed is what is kept of an answer under its Idempotency-Key.
type suppressed struct {
	Fresh bool                 `json:"fresh"`
	Data  contract.Suppression `json:"data"`
}

// DeleteSuppression lets a company write to somebody again.
func (a *API) DeleteSuppression(ctx context.Context, r contract.DeleteSuppressionRequestObject) (contract.DeleteSuppressionResponseObject, error) {
	companyID, address, err := a.suppressedIn(ctx, r.CompanyID, r.Address)
	if err != nil {
		return nil, err
	}
	lifted, err := a.queries.LiftSuppression(ctx, a.store.Pool(), db.LiftSuppressionParams{CompanyID: companyID, Address: address})
	if err != nil {
		return nil, fmt.Errorf("lift suppression: %w", err)
	}
	if lifted == 0 {
		return nil, notSuppressed(address)
	}
	return contract.DeleteSuppression200JSONResponse{Success: true, Data: contract.Deleted{ID: address, Deleted: true}}, nil
}

// suppressedIn reads the company and the address that a path names.
func (a *API) suppressedIn(ctx context.Context, company, text string) (companyID, address string, err error) {
	if companyID, err = a.companyFor(ctx, &company); err != nil {
		return "", "", err
	}
	address, err = checkAddress("address", text)
	return companyID, address, err
}

func notSuppressed(address string) error {
	return problem.NotFound.Saying("This recipient is not suppressed").With("address", address)
}

// checkAddress returns a number as bare digits, or a hidden id as it is.
func checkAddress(field, text string) (string, error) {
	if hiddenID.MatchString(text) {
		return text, nil
	}
	digits, err := phone.Normalize(text)
	if err != nil {
		return "", invalid(field, field+": "+err.Error())
	}
	return digits, nil
}

// suppressionAnswer shows a person by the address that is listed and the other one, if there is one.
func suppressionAnswer(row db.Suppression, also string) contract.Suppression {
	s := contract.Suppression{
		Source: contract.SuppressionSource(row.Source), MessageID: row.MessageID, Note: optional(row.Note), CreatedAt: row.CreatedAt.UTC(),
	}
	for _, address := range []string{row.Address, also} {
		if strings.HasSuffix(address, hiddenSuffix) {
			s.LID = &address
		} else if address != "" {
			s.Phone = &address
		}
	}
	return s
}
