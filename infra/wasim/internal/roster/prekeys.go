package roster

import (
	"encoding/binary"
	"fmt"
	"sync"

	"wafleet/infra/wasim/internal/ledger"
)

// LowPreKeys is the number of one-time prekeys below which a device is told to upload more.
const LowPreKeys = 5

// keySize is the size of a one-time prekey in its compact form: three bytes of id, then the key. Ten thousand devices
// with 812 keys each are 285 MB in it.
const keySize = 3 + 32

// Published is what a device has published apart from its one-time prekeys.
type Published struct {
	Registration []byte `json:"registration"`
	Identity     []byte `json:"identity"`
	SignedID     []byte `json:"signedId"`
	SignedKey    []byte `json:"signedKey"`
	Signature    []byte `json:"signature"`
}

// OneTime is a one-time prekey.
type OneTime struct {
	ID  [3]byte
	Key [32]byte
}

// PreKeys are the published keys of a device. One-time prekeys are given out in the order of their upload, each once.
type PreKeys struct {
	name string

	mu        sync.Mutex // guards everything below
	published Published
	uploads   []*upload
	last      uint64 // number of the last upload
	left      int
	told      bool // the device was told that it runs low, and has not uploaded since
}

// upload is the keys of one upload; the first taken ones of them are gone.
type upload struct {
	number uint64
	keys   []byte
	taken  int
}

// Published returns the keys that are not used up by giving them out.
func (k *PreKeys) Published() Published {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.published
}

// Left is the number of one-time prekeys.
func (k *PreKeys) Left() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.left
}

// IDs are the ids of the one-time prekeys that are left.
func (k *PreKeys) IDs() [][3]byte {
	k.mu.Lock()
	defer k.mu.Unlock()
	ids := make([][3]byte, 0, k.left)
	for _, up := range k.uploads {
		for at := up.taken * keySize; at < len(up.keys); at += keySize {
			ids = append(ids, [3]byte(up.keys[at:]))
		}
	}
	return ids
}

// Taken is the result of taking a one-time prekey.
type Taken struct {
	OneTime
	// OK is false when there was none left.
	OK bool
	// Low reports that the device should be told to upload more: once until it does.
	Low bool
	// Left is the number of keys that remain.
	Left int
}

// Take gives out a one-time prekey. It must not be handed on before the ledger has it: wait for a batch that is
// appended later, or for the one returned.
func (k *PreKeys) Take(to *ledger.Ledger) (Taken, ledger.Pending) {
	var taken Taken
	var batch ledger.Batch
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.uploads) > 0 {
		up := k.uploads[0]
		at := up.taken * keySize
		taken.OneTime = OneTime{ID: [3]byte(up.keys[at:]), Key: [32]byte(up.keys[at+3:])}
		taken.OK = true
		up.taken++
		k.left--
		if up.taken*keySize == len(up.keys) {
			k.drop(&batch, up)
			k.uploads = k.uploads[1:]
		} else {
			batch.Put(BucketTaken, k.recordKey(up), binary.BigEndian.AppendUint32(nil, uint32(up.taken))) //nolint:gosec // Small.
		}
	}
	taken.Left = k.left
	taken.Low = k.left < LowPreKeys && !k.told
	k.told = k.told || taken.Low
	return taken, to.Append(batch)
}

// Upload adds one-time prekeys, except those that are there already.
func (k *PreKeys) Upload(batch *ledger.Batch, published Published, keys []OneTime) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.published = published
	known := make(map[[3]byte]bool, k.left)
	for _, up := range k.uploads {
		for at := up.taken * keySize; at < len(up.keys); at += keySize {
			known[[3]byte(up.keys[at:])] = true
		}
	}
	fresh := make([]byte, 0, len(keys)*keySize)
	for _, key := range keys {
		if !known[key.ID] {
			fresh = append(append(fresh, key.ID[:]...), key.Key[:]...)
		}
	}
	if len(fresh) == 0 {
		return
	}
	k.last++
	up := &upload{number: k.last, keys: fresh}
	k.uploads = append(k.uploads, up)
	k.left += len(fresh) / keySize
	k.told = false
	batch.Put(BucketPreKeys, k.recordKey(up), fresh)
}

// Rotate replaces the signed prekey.
func (k *PreKeys) Rotate(id, key, signature []byte) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.published.SignedID, k.published.SignedKey, k.published.Signature = id, key, signature
}

// Drop throws all one-time prekeys away.
func (k *PreKeys) Drop(batch *ledger.Batch) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, up := range k.uploads {
		k.drop(batch, up)
	}
	k.uploads, k.left, k.told = nil, 0, true
}

func (k *PreKeys) clear(batch *ledger.Batch) { k.Drop(batch) }

func (k *PreKeys) drop(batch *ledger.Batch, up *upload) {
	batch.Delete(BucketPreKeys, k.recordKey(up))
	batch.Delete(BucketTaken, k.recordKey(up))
}

func (k *PreKeys) recordKey(up *upload) string { return fmt.Sprintf("%s/%08x", k.name, up.number) }
