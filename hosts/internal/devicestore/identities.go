package devicestore

import (
	"context"

	"go.mau.fi/whatsmeow/store"

	"wafleet/hosts/internal/devicestore/db"
)

var _ store.IdentityStore = (*device)(nil)

// identityOf returns nil if none is stored. The table checks the length.
func identityOf(stored []byte) *[32]byte {
	if len(stored) != keySize {
		return nil
	}
	return (*[32]byte)(stored)
}

// PutIdentity stores a key unless it is stored already: libsignal stores the same one with every message.
func (d *device) PutIdentity(ctx context.Context, address string, key [32]byte) error {
	w := collectorOf(ctx)
	if w == nil {
		return d.keep(ctx, "put identity", batch{identities: map[string][32]byte{address: key}})
	}
	if stored, known := w.identity(address); !known || stored == nil || *stored != key {
		w.setIdentity(address, &key)
	}
	return nil
}

// IsTrustedIdentity tells whether a key is the stored one, or none is stored.
func (d *device) IsTrustedIdentity(ctx context.Context, address string, key [32]byte) (bool, error) {
	w := collectorOf(ctx)
	if w == nil {
		w = newWork()
	}
	stored, known := w.identity(address)
	if !known {
		rows, err := read(ctx, "get identity", func(ctx context.Context) ([]db.GetSessionsRow, error) {
			return d.store.queries.GetSessions(ctx, d.store.pool, db.GetSessionsParams{CompanyID: d.owner.CompanyID, JID: d.jid, Addresses: []string{address}})
		})
		if err != nil {
			return false, err
		}
		stored = identityOf(rows[0].Identity)
		w.learn(address, stored)
	}
	return stored == nil || *stored == key, nil
}

// DeleteIdentity deletes the key of one address. Stock takes the address for a pattern.
func (d *device) DeleteIdentity(ctx context.Context, address string) error {
	defer d.steps.forget(ctx, address)
	if w := collectorOf(ctx); w != nil {
		w.setIdentity(address, nil)
		if w.transaction {
			return nil
		}
	}
	return d.keep(ctx, "delete identity", batch{goneIdentities: map[string]bool{address: true}})
}

// DeleteAllIdentities deletes the keys of all devices of a user.
func (d *device) DeleteAllIdentities(ctx context.Context, user string) error {
	defer d.steps.forgetAll()
	return d.write(ctx, "delete identities of user", func(ctx context.Context) (bool, error) {
		return d.store.queries.DeleteIdentitiesOfUser(ctx, d.store.pool, db.DeleteIdentitiesOfUserParams{
			Shard: d.owner.Fence.Shard, Term: d.owner.Fence.Term, CompanyID: d.owner.CompanyID, JID: d.jid, Prefix: user + ":",
		})
	})
}
