package devicestore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"

	"go.mau.fi/util/dbutil"
	"go.mau.fi/whatsmeow/store"
)

const (
	getIdentityQuery    = `SELECT identity FROM whatsmeow_identity_keys WHERE our_jid = $1 AND their_id = $2`
	deleteIdentityQuery = `DELETE FROM whatsmeow_identity_keys WHERE our_jid = $1 AND their_id = $2`

	// maxIdentities bounds the cache of a device, at some 200 bytes each.
	maxIdentities = 1024
)

var errKeyLength = errors.New("stored key does not have 32 bytes")

var _ store.IdentityStore = (*identities)(nil)

// identities are the identity keys of a device's peers. libsignal asks for one and stores the same again with every
// message, so the known ones are cached.
//
// The cache is filled only by a read of Postgres that no write overlapped, and a transaction's own writes are not cached
// before its end; so it never holds what a rollback took back or what a slower read brought.
type identities struct {
	db     *dbutil.Database
	stock  store.IdentityStore
	device string

	mu         sync.Mutex
	known      map[string][32]byte // address -> key
	generation uint64              // of known: goes up with every write
}

func newIdentities(db *dbutil.Database, stock store.IdentityStore, device string) *identities {
	return &identities{db: db, stock: stock, device: device, known: map[string][32]byte{}}
}

// PutIdentity stores a key unless it is stored already.
func (i *identities) PutIdentity(ctx context.Context, address string, key [32]byte) error {
	if known, ok := i.cached(ctx, address); ok && known == key {
		return nil
	}
	defer i.written(ctx, address)()
	return check(ctx, "put identity", i.stock.PutIdentity(ctx, address, key))
}

// IsTrustedIdentity tells whether a key is the stored one, or none is stored.
func (i *identities) IsTrustedIdentity(ctx context.Context, address string, key [32]byte) (bool, error) {
	known, ok := i.cached(ctx, address)
	if !ok {
		var err error
		if known, ok, err = i.load(ctx, address); err != nil {
			return false, check(ctx, "get identity", err)
		}
	}
	return !ok || known == key, nil
}

// DeleteIdentity deletes the key of one address. Stock takes the address for a pattern.
func (i *identities) DeleteIdentity(ctx context.Context, address string) error {
	defer i.written(ctx, address)()
	_, err := i.db.Exec(ctx, deleteIdentityQuery, i.device, address)
	return check(ctx, "delete identity", err)
}

// DeleteAllIdentities deletes the keys of all devices of a user.
func (i *identities) DeleteAllIdentities(ctx context.Context, user string) error {
	defer i.forgetAll()
	return check(ctx, "delete identities of user", i.stock.DeleteAllIdentities(ctx, user))
}

func (i *identities) cached(ctx context.Context, address string) (key [32]byte, ok bool) {
	if w := transactionOf(ctx); w != nil && w.identities[address] {
		return key, false
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	key, ok = i.known[address]
	return key, ok
}

// load reads a key from Postgres, and into the cache.
func (i *identities) load(ctx context.Context, address string) (key [32]byte, ok bool, err error) {
	i.mu.Lock()
	before := i.generation
	i.mu.Unlock()

	var stored []byte
	err = i.db.QueryRow(ctx, getIdentityQuery, i.device, address).Scan(&stored)
	if errors.Is(err, sql.ErrNoRows) {
		return key, false, nil
	}
	if err != nil {
		return key, false, fmt.Errorf("query: %w", err)
	}
	if len(stored) != len(key) {
		return key, false, errKeyLength
	}
	key = [32]byte(stored)
	if w := transactionOf(ctx); w != nil && w.identities[address] {
		return key, true, nil // not committed yet
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.generation == before {
		i.makeRoom()
		i.known[address] = key
	}
	return key, true, nil
}

// makeRoom drops any one key of a full cache.
func (i *identities) makeRoom() {
	if len(i.known) < maxIdentities {
		return
	}
	for address := range i.known {
		delete(i.known, address)
		return
	}
}

// written is called before a write and returns what to call after it. Reads in between are not cached.
func (i *identities) written(ctx context.Context, address string) func() {
	if w := transactionOf(ctx); w != nil {
		w.identities[address] = true // forgotten again when the transaction ends
	}
	i.forget(address)
	return func() { i.forget(address) }
}

func (i *identities) forget(addresses ...string) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.generation++
	for _, address := range addresses {
		delete(i.known, address)
	}
}

func (i *identities) forgetAll() {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.generation++
	clear(i.known)
}
