package app

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5/pgxpool"

	"wafleet/functions/internal/auth"
	"wafleet/shared/store/db"
)

// ErrNotAKey says that a text is not an API key.
var ErrNotAKey = errors.New(`not an API key: "wf_" and 43 characters of base64url`)

// NewAdminKey makes an admin key, which nobody knows yet: see EnsureAdminKey.
func NewAdminKey() string { return auth.NewKey() }

// EnsureAdminKey lets a key act for every company of the installation. Its hash is stored, at the first call; a key that
// was revoked stays revoked.
func EnsureAdminKey(ctx context.Context, pool *pgxpool.Pool, key string) error {
	if !auth.IsKey(key) {
		return ErrNotAKey
	}
	err := db.New().EnsureKey(ctx, pool, db.EnsureKeyParams{
		ID: auth.NewKeyID(), Name: "installation", Hash: auth.Hash(key), Scopes: []string{string(auth.Admin)},
	})
	if err != nil {
		return fmt.Errorf("store admin key: %w", err)
	}
	return nil
}
