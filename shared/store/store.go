package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"wafleet/shared/store/db"
	"wafleet/shared/vault"
)

// Sealer seals what is stored about a company; *vault.Vault is one.
type Sealer interface {
	CreateKey(ctx context.Context, companyID string) ([]byte, error)
	Seal(ctx context.Context, companyID, place string, text []byte) ([]byte, error)
	Open(ctx context.Context, companyID, place string, sealed []byte) ([]byte, error)
}

var _ Sealer = (*vault.Vault)(nil)

// Store makes the transactions. It is safe for concurrent use.
type Store struct {
	pool    *pgxpool.Pool
	queries *db.Queries
	vault   Sealer
}

// New returns a store on a migrated database.
func New(pool *pgxpool.Pool, sealer Sealer) *Store {
	return &Store{pool: pool, queries: db.New(), vault: sealer}
}

// Pool is the database, for single statements: store.Queries().GetSession(ctx, store.Pool(), id).
func (s *Store) Pool() *pgxpool.Pool { return s.pool }

// Queries are the compiled statements.
func (s *Store) Queries() *db.Queries { return s.queries }

// rollbackTimeout bounds the one statement that must run after the caller's context has ended.
const rollbackTimeout = 3 * time.Second

// InTx runs do in a transaction that commits when do returns nil, and is rolled back also when do panics.
func (s *Store) InTx(ctx context.Context, do func(tx pgx.Tx) error) (err error) {
	tx, err := s.pool.Begin(ctx)
	if err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	defer func() {
		if rollbackErr := rollback(ctx, tx); rollbackErr != nil {
			err = errors.Join(err, rollbackErr)
		}
	}()
	if err := do(tx); err != nil {
		return err
	}
	if err := tx.Commit(ctx); err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	return nil
}

// rollback gives the connection back clean, also when the context is what failed. After a commit it does nothing.
func rollback(ctx context.Context, tx pgx.Tx) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), rollbackTimeout)
	defer cancel()
	if err := tx.Rollback(ctx); err != nil && !errors.Is(err, pgx.ErrTxClosed) {
		return fmt.Errorf("roll back: %w", err)
	}
	return nil
}

// openKey opens a company's data key before a transaction that seals. Opening it inside would need a second
// connection, and as many transactions as the pool has connections would wait for each other for ever.
func (s *Store) openKey(ctx context.Context, companyID string) error {
	if _, err := s.vault.Seal(ctx, companyID, "", nil); err != nil {
		return companyGone("open data key", err)
	}
	return nil
}

// companyGone names an error of the vault: ErrNoCompany where there is no data key.
func companyGone(what string, err error) error {
	if errors.Is(err, vault.ErrNoKey) {
		return fmt.Errorf("%s: %w: %w", what, ErrNoCompany, err)
	}
	return fmt.Errorf("%s: %w", what, err)
}

// Keyring finds the wrapped data keys of companies; it is the vault.Keys of an installation.
type Keyring struct{ pool *pgxpool.Pool }

var _ vault.Keys = Keyring{}

// NewKeyring returns the keyring of a database.
func NewKeyring(pool *pgxpool.Pool) Keyring { return Keyring{pool: pool} }

// WrappedKey returns a company's wrapped data key or vault.ErrNoKey.
func (k Keyring) WrappedKey(ctx context.Context, companyID string) ([]byte, error) {
	wrapped, err := db.New().GetCompanyKey(ctx, k.pool, companyID)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, vault.ErrNoKey
	}
	if err != nil {
		return nil, fmt.Errorf("read data key: %w", err)
	}
	return wrapped, nil
}
