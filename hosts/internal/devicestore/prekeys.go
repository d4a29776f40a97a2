package devicestore

import (
	"context"
	"fmt"
	"sync"

	"go.mau.fi/util/dbutil"
	"go.mau.fi/whatsmeow/store"
	"go.mau.fi/whatsmeow/util/keys"
)

const (
	unuploadedPreKeysQuery = `
		SELECT key_id, key FROM whatsmeow_pre_keys WHERE jid = $1 AND NOT uploaded ORDER BY key_id LIMIT $2`
	lastPreKeyQuery    = `SELECT coalesce(max(key_id), 0) FROM whatsmeow_pre_keys WHERE jid = $1`
	insertPreKeysQuery = `
		INSERT INTO whatsmeow_pre_keys (jid, key_id, key, uploaded)
		SELECT $1, key_id, key, false FROM unnest($2::int[], $3::bytea[]) AS new (key_id, key)`
)

var _ store.PreKeyStore = (*preKeys)(nil)

// preKeys are the one-time keys with which others begin sessions with a device.
type preKeys struct {
	stock  store.PreKeyStore
	db     *dbutil.Database
	device string

	generating sync.Mutex // ids are given out from the highest one that is stored
}

// GetOrGenPreKeys returns count keys that were not uploaded yet and generates what is missing, with one insert.
func (p *preKeys) GetOrGenPreKeys(ctx context.Context, count uint32) ([]*keys.PreKey, error) {
	p.generating.Lock()
	defer p.generating.Unlock()
	found, err := p.unuploaded(ctx, count)
	if err == nil && len(found) < int(count) {
		found, err = p.generate(ctx, found, int(count)-len(found))
	}
	if err != nil {
		return nil, check(ctx, "get or generate prekeys", err)
	}
	return found, nil
}

// GenOnePreKey generates a key that counts as uploaded, for a retry receipt.
func (p *preKeys) GenOnePreKey(ctx context.Context) (*keys.PreKey, error) {
	p.generating.Lock()
	defer p.generating.Unlock()
	key, err := p.stock.GenOnePreKey(ctx)
	return key, check(ctx, "generate prekey", err)
}

// GetPreKey returns nil if there is no such key.
func (p *preKeys) GetPreKey(ctx context.Context, id uint32) (*keys.PreKey, error) {
	key, err := p.stock.GetPreKey(ctx, id)
	return key, check(ctx, "get prekey", err)
}

// RemovePreKey deletes a key that was used.
func (p *preKeys) RemovePreKey(ctx context.Context, id uint32) error {
	return check(ctx, "remove prekey", p.stock.RemovePreKey(ctx, id))
}

// MarkPreKeysAsUploaded marks the keys up to an id.
func (p *preKeys) MarkPreKeysAsUploaded(ctx context.Context, upToID uint32) error {
	return check(ctx, "mark prekeys as uploaded", p.stock.MarkPreKeysAsUploaded(ctx, upToID))
}

// UploadedPreKeyCount counts the keys that were uploaded and not used yet.
func (p *preKeys) UploadedPreKeyCount(ctx context.Context) (int, error) {
	count, err := p.stock.UploadedPreKeyCount(ctx)
	return count, check(ctx, "count prekeys", err)
}

func (p *preKeys) unuploaded(ctx context.Context, count uint32) ([]*keys.PreKey, error) {
	rows, err := p.db.Query(ctx, unuploadedPreKeysQuery, p.device, count)
	if err != nil {
		return nil, fmt.Errorf("query: %w", err)
	}
	defer rows.Close() //nolint:errcheck // the error that counts is Err's
	found := make([]*keys.PreKey, 0, count)
	for rows.Next() {
		var id uint32
		var private []byte
		if err := rows.Scan(&id, &private); err != nil {
			return nil, fmt.Errorf("scan: %w", err)
		}
		if len(private) != 32 {
			return nil, errKeyLength
		}
		found = append(found, &keys.PreKey{KeyPair: *keys.NewKeyPairFromPrivateKey([32]byte(private)), KeyID: id})
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("read: %w", err)
	}
	return found, nil
}

// generate appends count new keys to those found and stores them.
func (p *preKeys) generate(ctx context.Context, found []*keys.PreKey, count int) ([]*keys.PreKey, error) {
	var last uint32
	if err := p.db.QueryRow(ctx, lastPreKeyQuery, p.device).Scan(&last); err != nil {
		return nil, fmt.Errorf("find last id: %w", err)
	}
	ids := make([]uint32, count)
	privates := make([][]byte, count)
	for i := range count {
		last++
		key := keys.NewPreKey(last)
		found = append(found, key)
		ids[i], privates[i] = last, key.Priv[:]
	}
	if _, err := p.db.Exec(ctx, insertPreKeysQuery, p.device, ids, privates); err != nil {
		return nil, fmt.Errorf("insert: %w", err)
	}
	return found, nil
}
