package api

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"

	"wafleet/functions/internal/auth"
	contract "wafleet/shared/api"
	"wafleet/shared/problem"
	"wafleet/shared/store/db"
)

const maxKeysPage = 500

// CreateKey makes a key of a company: of any for an admin key, of its own for a company's key with the scope admin.
func (a *API) CreateKey(ctx context.Context, r contract.CreateKeyRequestObject) (contract.CreateKeyResponseObject, error) {
	companyID, err := a.companyFor(ctx, &r.Body.CompanyID)
	if err != nil {
		return nil, err
	}
	name, err := checkText("name", r.Body.Name)
	if err != nil {
		return nil, err
	}
	scopes, err := checkScopes(r.Body.Scopes)
	if err != nil {
		return nil, err
	}
	if err := checkIdempotencyKey(r.Params.IdempotencyKey); err != nil {
		return nil, err
	}
	key := contract.CreatedKey{ID: auth.NewKeyID(), CompanyID: companyID, Key: auth.NewKey(), Scopes: scopes}
	if name != nil {
		key.Name = *name
	}
	made := creation{company: companyID, operation: "createKey", key: r.Params.IdempotencyKey, body: r.Body, secret: true}
	answer, replayed, err := once(ctx, a, made, contract.CreateKeyResponse{Success: true, Data: key}, func(tx pgx.Tx) error {
		if _, err := a.queries.HoldCompany(ctx, tx, companyID); err != nil {
			return companyError("hold company", companyID, err)
		}
		err := a.queries.CreateKey(ctx, tx, db.CreateKeyParams{
			ID: key.ID, CompanyID: &companyID, Name: key.Name, Hash: auth.Hash(key.Key), Scopes: words(scopes),
		})
		if err != nil {
			return fmt.Errorf("store API key: %w", err)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return contract.CreateKey201JSONResponse{
		Body: answer, Headers: contract.CreateKey201ResponseHeaders{IdempotentReplayed: replayedHeader(replayed)},
	}, nil
}

// ListKeys lists the keys of a company, revoked ones too.
func (a *API) ListKeys(ctx context.Context, r contract.ListKeysRequestObject) (contract.ListKeysResponseObject, error) {
	companyID, err := a.companyFor(ctx, r.Params.CompanyID)
	if err != nil {
		return nil, err
	}
	size, err := pageSize(r.Params.Limit, maxKeysPage)
	if err != nil {
		return nil, err
	}
	rows, err := a.queries.ListKeys(ctx, a.store.Pool(), db.ListKeysParams{
		CompanyID: &companyID, After: value(r.Params.After), PageSize: size,
	})
	if err != nil {
		return nil, fmt.Errorf("list API keys: %w", err)
	}
	if err := a.unlessNobody(ctx, companyID, len(rows)); err != nil {
		return nil, err
	}
	rows, next := page(rows, size, func(row db.ApiKey) string { return row.ID })
	answer := contract.ListKeys200JSONResponse{Success: true, Data: make([]contract.Key, len(rows)), Next: next}
	for i, row := range rows {
		answer.Data[i] = keyAnswer(row)
	}
	return answer, nil
}

// GetKey shows a key, but for the key itself.
func (a *API) GetKey(ctx context.Context, r contract.GetKeyRequestObject) (contract.GetKeyResponseObject, error) {
	companyID, err := a.companyOfKey(ctx, r.ID, r.Params.CompanyID)
	if err != nil {
		return nil, err
	}
	row, err := a.queries.GetKey(ctx, a.store.Pool(), db.GetKeyParams{CompanyID: &companyID, ID: r.ID})
	if err != nil {
		return nil, noKey("read API key", r.ID, err)
	}
	return contract.GetKey200JSONResponse{Success: true, Data: keyAnswer(row)}, nil
}

// UpdateKey changes what the call names of a key that is not revoked.
func (a *API) UpdateKey(ctx context.Context, r contract.UpdateKeyRequestObject) (contract.UpdateKeyResponseObject, error) {
	companyID, err := a.companyOfKey(ctx, r.ID, r.Params.CompanyID)
	if err != nil {
		return nil, err
	}
	change := db.UpdateKeyParams{CompanyID: &companyID, ID: r.ID}
	if change.Name, err = checkText("name", r.Body.Name); err != nil {
		return nil, err
	}
	if r.Body.Scopes != nil {
		scopes, err := checkScopes(r.Body.Scopes)
		if err != nil {
			return nil, err
		}
		change.Scopes = words(scopes)
	}
	row, err := a.queries.UpdateKey(ctx, a.store.Pool(), change)
	if err != nil {
		return nil, noKey("update API key", r.ID, err)
	}
	a.keys.Forget(row.ID)
	return contract.UpdateKey200JSONResponse{Success: true, Data: keyAnswer(row)}, nil
}

// RevokeKey ends a key for good.
func (a *API) RevokeKey(ctx context.Context, r contract.RevokeKeyRequestObject) (contract.RevokeKeyResponseObject, error) {
	companyID, err := a.companyOfKey(ctx, r.ID, r.Params.CompanyID)
	if err != nil {
		return nil, err
	}
	row, err := a.queries.RevokeKey(ctx, a.store.Pool(), db.RevokeKeyParams{CompanyID: &companyID, ID: r.ID})
	if err != nil {
		return nil, noKey("revoke API key", r.ID, err)
	}
	a.keys.Forget(row.ID)
	return contract.RevokeKey200JSONResponse{Success: true, Data: keyAnswer(row)}, nil
}

func (a *API) companyOfKey(ctx context.Context, id string, named *string) (string, error) {
	companyID, err := a.companyOf(ctx, named, func() (string, error) {
		return a.queries.FindCompanyOfKey(ctx, a.store.Pool(), id)
	})
	if err != nil {
		return "", noKey("find API key", id, err)
	}
	return companyID, nil
}

// noKey names the error of a statement on a key.
func noKey(what, id string, err error) error {
	if errors.Is(err, pgx.ErrNoRows) {
		return problem.NotFound.Saying("There is no such key").With("keyId", id)
	}
	return fmt.Errorf("%s: %w", what, err)
}

func keyAnswer(row db.ApiKey) contract.Key {
	k := contract.Key{
		ID: row.ID, CompanyID: value(row.CompanyID), Name: row.Name, Scopes: make([]contract.Scope, len(row.Scopes)),
		CreatedAt: row.CreatedAt.UTC(), RevokedAt: utc(row.RevokedAt),
	}
	for i, scope := range row.Scopes {
		k.Scopes[i] = contract.Scope(scope)
	}
	return k
}

func checkScopes(scopes []contract.Scope) ([]contract.Scope, error) {
	if len(scopes) == 0 {
		return nil, invalid("scopes", "scopes must name at least one of send, read, session, webhook and admin")
	}
	for _, s := range scopes {
		if !s.Valid() {
			return nil, invalid("scopes", "scopes must be of send, read, session, webhook and admin")
		}
	}
	unique := slices.Sorted(slices.Values(scopes))
	return slices.Compact(unique), nil
}

// words are the plain texts of a list of enumerated ones.
func words[T ~string](list []T) []string {
	out := make([]string, len(list))
	for i, item := range list {
		out[i] = string(item)
	}
	return out
}
