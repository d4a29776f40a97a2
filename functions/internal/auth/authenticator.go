package auth

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"wafleet/shared/store/db"
)

const (
	// cacheFor is how long a revoked key may still work.
	cacheFor = time.Minute
	// maxCached bounds the memory of a process. Beyond it the cache starts anew.
	maxCached = 20_000
)

var (
	// ErrNoKey says that a request carries no key.
	ErrNoKey = errors.New("no API key")
	// ErrUnknownKey says that a key is not one of ours, or was revoked.
	ErrUnknownKey = errors.New("unknown API key")
)

// Authenticator turns keys into principals. It is safe for concurrent use.
type Authenticator struct {
	database db.DBTX
	queries  *db.Queries

	mu    sync.Mutex
	known map[[sha256.Size]byte]entry
}

type entry struct {
	principal Principal
	until     time.Time
}

// New returns an authenticator on a database.
func New(database db.DBTX) *Authenticator {
	return &Authenticator{database: database, queries: db.New(), known: make(map[[sha256.Size]byte]entry)}
}

// Authenticate returns who sends the request. ErrNoKey and ErrUnknownKey say why nobody does; other errors are the database's.
func (a *Authenticator) Authenticate(ctx context.Context, r *http.Request) (Principal, error) {
	key := fromHeader(r.Header)
	if key == "" {
		return Principal{}, ErrNoKey
	}
	if !IsKey(key) {
		return Principal{}, ErrUnknownKey
	}
	hash := sha256.Sum256([]byte(key))
	if p, ok := a.cached(hash); ok {
		return p, nil
	}
	row, err := a.queries.GetKeyByHash(ctx, a.database, hash[:])
	if errors.Is(err, pgx.ErrNoRows) {
		return Principal{}, ErrUnknownKey
	}
	if err != nil {
		return Principal{}, fmt.Errorf("find API key: %w", err)
	}
	p := Principal{KeyID: row.ID}
	if row.CompanyID != nil {
		p.CompanyID = *row.CompanyID
	}
	for _, s := range row.Scopes {
		p.Scopes = append(p.Scopes, Scope(s))
	}
	a.remember(hash, p)
	return p, nil
}

func (a *Authenticator) cached(hash [sha256.Size]byte) (Principal, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	e, ok := a.known[hash]
	return e.principal, ok && time.Now().Before(e.until)
}

func (a *Authenticator) remember(hash [sha256.Size]byte, p Principal) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.known) >= maxCached {
		clear(a.known)
	}
	a.known[hash] = entry{principal: p, until: time.Now().Add(cacheFor)}
}

// Forget has a key looked up anew at its next use in this process; in others a change shows within cacheFor.
func (a *Authenticator) Forget(keyID string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	maps.DeleteFunc(a.known, func(_ [sha256.Size]byte, e entry) bool { return e.principal.KeyID == keyID })
}

// ForgetCompany is Forget for every key of a company.
func (a *Authenticator) ForgetCompany(companyID string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	maps.DeleteFunc(a.known, func(_ [sha256.Size]byte, e entry) bool { return e.principal.CompanyID == companyID })
}

// fromHeader returns the key of a request: "Authorization: Bearer <key>", or else X-API-Key.
func fromHeader(h http.Header) string {
	scheme, key, _ := strings.Cut(h.Get("Authorization"), " ")
	if strings.EqualFold(scheme, "Bearer") {
		return strings.TrimSpace(key)
	}
	return strings.TrimSpace(h.Get("X-API-Key"))
}
