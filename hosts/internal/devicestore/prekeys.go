package devicestore

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/jackc/pgx/v5"
	"go.mau.fi/whatsmeow/store"
	"go.mau.fi/whatsmeow/util/keys"

	"wafleet/hosts/internal/devicestore/db"
)

const (
	preKeysTable = "device_prekeys"
	// prekeysCounted is how far prekeys are counted when a device is loaded. whatsmeow asks whether there are five
	// (prekeys.go, MinPreKeyCount).
	prekeysCounted = 50
)

var _ store.PreKeyStore = (*device)(nil)

// GetOrGenPreKeys returns count keys that were not uploaded yet and generates what is missing, with one insert.
func (d *device) GetOrGenPreKeys(ctx context.Context, count uint32) ([]*keys.PreKey, error) {
	d.generating.Lock()
	defer d.generating.Unlock()
	found, err := d.unuploaded(ctx, count)
	if err != nil || len(found) >= int(count) {
		return found, err
	}
	made, err := d.generate(ctx, int(count)-len(found), false)
	if err != nil {
		return nil, err
	}
	return append(found, made...), nil
}

// GenOnePreKey generates a key that counts as uploaded, for a retry receipt.
func (d *device) GenOnePreKey(ctx context.Context) (*keys.PreKey, error) {
	d.generating.Lock()
	defer d.generating.Unlock()
	made, err := d.generate(ctx, 1, true)
	if err != nil {
		return nil, err
	}
	return made[0], nil
}

// GetPreKey returns nil if there is no such key.
func (d *device) GetPreKey(ctx context.Context, id uint32) (*keys.PreKey, error) {
	sealed, err := read(ctx, "get prekey", func(ctx context.Context) ([]byte, error) {
		return none(d.store.queries.GetPreKey(ctx, d.store.pool, db.GetPreKeyParams{CompanyID: d.owner.CompanyID, JID: d.jid, KeyID: int(id)}))
	})
	if err != nil || sealed == nil {
		return nil, err
	}
	return d.openPreKey(ctx, int(id), sealed)
}

// RemovePreKey deletes a key that was used.
func (d *device) RemovePreKey(ctx context.Context, id uint32) error {
	d.prekeys.Store(nil)
	if w := transactionOf(ctx); w != nil {
		w.batch.usedPreKeys = append(w.batch.usedPreKeys, int(id))
		return nil
	}
	return d.keep(ctx, "remove prekey", batch{usedPreKeys: []int{int(id)}})
}

// MarkPreKeysAsUploaded marks the keys up to an id.
func (d *device) MarkPreKeysAsUploaded(ctx context.Context, upToID uint32) error {
	d.prekeys.Store(nil)
	return d.write(ctx, "mark prekeys as uploaded", func(ctx context.Context) (bool, error) {
		return d.store.queries.MarkPreKeysUploaded(ctx, d.store.pool, db.MarkPreKeysUploadedParams{
			Shard: d.owner.Fence.Shard, Term: d.owner.Fence.Term, CompanyID: d.owner.CompanyID, JID: d.jid, UpTo: int(upToID),
		})
	})
}

// UploadedPreKeyCount counts the keys that were uploaded and not used yet. The first answer after a load was read with
// the device, and is not above 50.
func (d *device) UploadedPreKeyCount(ctx context.Context) (int, error) {
	if counted := d.prekeys.Swap(nil); counted != nil {
		return int(*counted), nil
	}
	count, err := read(ctx, "count prekeys", func(ctx context.Context) (int64, error) {
		return d.store.queries.CountUploadedPreKeys(ctx, d.store.pool, db.CountUploadedPreKeysParams{CompanyID: d.owner.CompanyID, JID: d.jid})
	})
	return int(count), err
}

func (d *device) unuploaded(ctx context.Context, count uint32) ([]*keys.PreKey, error) {
	rows, err := read(ctx, "list prekeys", func(ctx context.Context) ([]db.ListUnuploadedPreKeysRow, error) {
		return d.store.queries.ListUnuploadedPreKeys(ctx, d.store.pool, db.ListUnuploadedPreKeysParams{
			CompanyID: d.owner.CompanyID, JID: d.jid, AtMost: int64(count),
		})
	})
	if err != nil {
		return nil, err
	}
	found := make([]*keys.PreKey, 0, count)
	for _, row := range rows {
		key, err := d.openPreKey(ctx, row.KeyID, row.SealedKey)
		if err != nil {
			return nil, err
		}
		if key != nil {
			found = append(found, key)
		}
	}
	return found, nil
}

// generate makes keys with the next ids and stores them.
func (d *device) generate(ctx context.Context, count int, uploaded bool) ([]*keys.PreKey, error) {
	d.prekeys.Store(nil)
	last, err := read(ctx, "find last prekey", func(ctx context.Context) (int, error) {
		return d.store.queries.LastPreKey(ctx, d.store.pool, db.LastPreKeyParams{CompanyID: d.owner.CompanyID, JID: d.jid})
	})
	if err != nil {
		return nil, err
	}
	made := make([]*keys.PreKey, count)
	arg := db.InsertPreKeysParams{
		Shard: d.owner.Fence.Shard, Term: d.owner.Fence.Term, CompanyID: d.owner.CompanyID, JID: d.jid, Uploaded: uploaded,
		KeyIds: make([]int, count), Keys: make([][]byte, count),
	}
	for i := range made {
		id := last + 1 + i
		made[i] = &keys.PreKey{KeyPair: *newPair(), KeyID: uint32(id)} //nolint:gosec // the table bounds ids
		arg.KeyIds[i] = id
		if arg.Keys[i], err = d.seal(ctx, preKeysTable, strconv.Itoa(id), made[i].Priv[:]); err != nil {
			return nil, err
		}
	}
	err = d.write(ctx, "insert prekeys", func(ctx context.Context) (bool, error) { return d.store.queries.InsertPreKeys(ctx, d.store.pool, arg) })
	return made, err
}

// openPreKey returns nil for a key that does not open: whoever uses it is told that there is none.
func (d *device) openPreKey(ctx context.Context, id int, sealed []byte) (*keys.PreKey, error) {
	private, err := d.open(ctx, preKeysTable, strconv.Itoa(id), sealed)
	if err != nil || private == nil {
		return nil, err
	}
	if len(private) != keySize {
		return nil, check(ctx, fmt.Errorf("open prekey: %w", errKeyLength))
	}
	return &keys.PreKey{KeyPair: *pairOf([keySize]byte(private)), KeyID: uint32(id)}, nil //nolint:gosec // the table bounds ids
}

// none makes a missing row the zero value.
func none[T any](found T, err error) (T, error) {
	if errors.Is(err, pgx.ErrNoRows) {
		var zero T
		return zero, nil
	}
	return found, err
}
