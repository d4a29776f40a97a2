package vault

import (
	"context"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
)

// ErrWrongMasterKey says that a data key was wrapped by another master key than the one configured.
var ErrWrongMasterKey = errors.New("data key was wrapped by another master key")

// keyIDSize is how much of the master key's hash names it.
const keyIDSize = 4

// Local wraps data keys with a master key held in memory, for installations without KMS.
type Local struct {
	aead cipher.AEAD
	id   []byte
}

var _ Wrapper = (*Local)(nil)

// NewLocal returns a wrapper for a master key of KeySize bytes.
func NewLocal(masterKey []byte) (*Local, error) {
	if len(masterKey) != KeySize {
		return nil, fmt.Errorf("master key must have %d bytes, not %d", KeySize, len(masterKey))
	}
	aead, err := newAEAD(masterKey)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(append([]byte("wafleet master key id|"), masterKey...))
	return &Local{aead: aead, id: sum[:keyIDSize]}, nil
}

// KeyID names the master key in errors and logs without giving it away.
func (l *Local) KeyID() string { return hex.EncodeToString(l.id) }

// Wrap seals a company's data key: key id, nonce, box.
func (l *Local) Wrap(_ context.Context, companyID string, key []byte) ([]byte, error) {
	wrapped := make([]byte, keyIDSize+l.aead.NonceSize())
	copy(wrapped, l.id)
	nonce := wrapped[keyIDSize:]
	_, _ = rand.Read(nonce)
	return l.aead.Seal(wrapped, nonce, key, associated(companyID, "key")), nil
}

// Unwrap opens a company's data key. ErrWrongMasterKey names both key ids.
func (l *Local) Unwrap(_ context.Context, companyID string, wrapped []byte) ([]byte, error) {
	if len(wrapped) < keyIDSize+l.aead.NonceSize() {
		return nil, ErrCannotOpen
	}
	if id := hex.EncodeToString(wrapped[:keyIDSize]); id != l.KeyID() {
		return nil, fmt.Errorf("%w: %s, not %s", ErrWrongMasterKey, id, l.KeyID())
	}
	nonce, box := wrapped[keyIDSize:keyIDSize+l.aead.NonceSize()], wrapped[keyIDSize+l.aead.NonceSize():]
	key, err := l.aead.Open(nil, nonce, box, associated(companyID, "key"))
	if err != nil {
		return nil, ErrCannotOpen
	}
	return key, nil
}
