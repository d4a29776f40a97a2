package devicestore

import (
	"context"

	"go.mau.fi/whatsmeow/store"

	"wafleet/hosts/internal/devicestore/db"
)

const appStateKeysTable = "device_app_state_keys"

var (
	_ store.AppStateSyncKeyStore = (*device)(nil)
	_ store.AppStateStore        = (*device)(nil)
)

// PutAppStateSyncKey stores a key, unless a newer one of the same id is stored.
func (d *device) PutAppStateSyncKey(ctx context.Context, id []byte, key store.AppStateSyncKey) error {
	sealed, err := d.seal(ctx, appStateKeysTable, string(id), key.Data)
	if err != nil {
		return err
	}
	return d.write(ctx, "put app state key", func(ctx context.Context) (bool, error) {
		return d.store.queries.PutAppStateKey(ctx, d.store.pool, db.PutAppStateKeyParams{
			Shard: d.owner.Fence.Shard, Term: d.owner.Fence.Term, CompanyID: d.owner.CompanyID, JID: d.jid,
			KeyID: id, SealedKey: sealed, Fingerprint: key.Fingerprint, MadeAt: key.Timestamp,
		})
	})
}

// GetAppStateSyncKey returns nil if there is no such key.
func (d *device) GetAppStateSyncKey(ctx context.Context, id []byte) (*store.AppStateSyncKey, error) {
	row, err := read(ctx, "get app state key", func(ctx context.Context) (db.GetAppStateKeyRow, error) {
		return none(d.store.queries.GetAppStateKey(ctx, d.store.pool, db.GetAppStateKeyParams{CompanyID: d.owner.CompanyID, JID: d.jid, KeyID: id}))
	})
	if err != nil {
		return nil, err
	}
	data, err := d.open(ctx, appStateKeysTable, string(id), row.SealedKey)
	if err != nil || data == nil {
		return nil, err
	}
	return &store.AppStateSyncKey{Data: data, Fingerprint: row.Fingerprint, Timestamp: row.MadeAt}, nil
}

// GetLatestAppStateSyncKeyID returns nil if there is no key.
func (d *device) GetLatestAppStateSyncKeyID(ctx context.Context) ([]byte, error) {
	return read(ctx, "get latest app state key", func(ctx context.Context) ([]byte, error) {
		return none(d.store.queries.LatestAppStateKey(ctx, d.store.pool, db.LatestAppStateKeyParams{CompanyID: d.owner.CompanyID, JID: d.jid}))
	})
}

// PutAppStateVersion stores how far a collection was read.
func (d *device) PutAppStateVersion(ctx context.Context, name string, version uint64, hash [128]byte) error {
	return d.write(ctx, "put app state", func(ctx context.Context) (bool, error) {
		return d.store.queries.PutAppState(ctx, d.store.pool, db.PutAppStateParams{
			Shard: d.owner.Fence.Shard, Term: d.owner.Fence.Term, CompanyID: d.owner.CompanyID, JID: d.jid,
			Name: name, Version: int64(version), Hash: hash[:], //nolint:gosec // WhatsApp counts up from 1
		})
	})
}

// GetAppStateVersion returns zeros for a collection that was not read yet.
func (d *device) GetAppStateVersion(ctx context.Context, name string) (version uint64, hash [128]byte, err error) {
	row, err := read(ctx, "get app state", func(ctx context.Context) (db.GetAppStateRow, error) {
		return none(d.store.queries.GetAppState(ctx, d.store.pool, db.GetAppStateParams{CompanyID: d.owner.CompanyID, JID: d.jid, Name: name}))
	})
	copy(hash[:], row.Hash)               // the table checks its length
	return uint64(row.Version), hash, err //nolint:gosec // written from an uint64
}

// DeleteAppStateVersion deletes a collection, its MACs included.
func (d *device) DeleteAppStateVersion(ctx context.Context, name string) error {
	return d.write(ctx, "delete app state", func(ctx context.Context) (bool, error) {
		return d.store.queries.DeleteAppState(ctx, d.store.pool, db.DeleteAppStateParams{
			Shard: d.owner.Fence.Shard, Term: d.owner.Fence.Term, CompanyID: d.owner.CompanyID, JID: d.jid, Name: name,
		})
	})
}

// PutAppStateMutationMACs stores the MACs of a version, with one statement.
func (d *device) PutAppStateMutationMACs(ctx context.Context, name string, version uint64, mutations []store.AppStateMutationMAC) error {
	if len(mutations) == 0 {
		return nil
	}
	arg := db.PutAppStateMACsParams{
		Shard: d.owner.Fence.Shard, Term: d.owner.Fence.Term, CompanyID: d.owner.CompanyID, JID: d.jid,
		Name: name, Version: int64(version), //nolint:gosec // WhatsApp counts up from 1
	}
	for _, m := range mutations {
		arg.IndexMacs, arg.ValueMacs = append(arg.IndexMacs, m.IndexMAC), append(arg.ValueMacs, m.ValueMAC)
	}
	return d.write(ctx, "put app state macs", func(ctx context.Context) (bool, error) {
		return d.store.queries.PutAppStateMACs(ctx, d.store.pool, arg)
	})
}

// DeleteAppStateMutationMACs deletes MACs of all versions.
func (d *device) DeleteAppStateMutationMACs(ctx context.Context, name string, indexMACs [][]byte) error {
	if len(indexMACs) == 0 {
		return nil
	}
	return d.write(ctx, "delete app state macs", func(ctx context.Context) (bool, error) {
		return d.store.queries.DeleteAppStateMACs(ctx, d.store.pool, db.DeleteAppStateMACsParams{
			Shard: d.owner.Fence.Shard, Term: d.owner.Fence.Term, CompanyID: d.owner.CompanyID, JID: d.jid, Name: name, IndexMacs: indexMACs,
		})
	})
}

// GetAppStateMutationMAC returns the MAC of the highest version, nil if there is none.
func (d *device) GetAppStateMutationMAC(ctx context.Context, name string, indexMAC []byte) ([]byte, error) {
	return read(ctx, "get app state mac", func(ctx context.Context) ([]byte, error) {
		return none(d.store.queries.GetAppStateMAC(ctx, d.store.pool, db.GetAppStateMACParams{
			CompanyID: d.owner.CompanyID, JID: d.jid, Name: name, IndexMac: indexMAC,
		}))
	})
}
