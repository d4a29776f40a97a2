package api

import (
	"context"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"

	"wafleet/functions/internal/auth"
	contract "wafleet/shared/api"
	"wafleet/shared/store/db"
)

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
