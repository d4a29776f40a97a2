package vault

import (
	"bytes"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"errors"
	"fmt"
	"sync"
	"time"
)

// KeySize is the size of master and data keys in bytes.
const KeySize = 32

// version starts every sealed text, so that the form can change.
const version = 1

// maxCachedKeys bounds the opened data keys a process holds; beyond it an arbitrary one is dropped.
const maxCachedKeys = 20_000

const (
	// trustFor is how long a key in memory is believed to be the company's without asking. The id of a deleted company is given
	// away again only later than that (sweep).
	trustFor = time.Minute
	// checkTimeout bounds the question. It may be asked inside a transaction, with no other connection to be had: so it is shorter
	// than a transaction may stand still (store/role.go).
	checkTimeout = 2500 * time.Millisecond
)

var (
	// ErrNoKey says that a company has no data key: it does not exist, or was deleted.
	ErrNoKey = errors.New("company has no data key")
	// ErrCannotOpen says that a sealed text was damaged, moved, or sealed with another key.
	ErrCannotOpen = errors.New("sealed text does not open")
)

// Wrapper wraps data keys with a master key that never leaves it.
type Wrapper interface {
	// Wrap seals a company's data key; Unwrap reverses it or returns ErrCannotOpen.
	Wrap(ctx context.Context, companyID string, key []byte) ([]byte, error)
	Unwrap(ctx context.Context, companyID string, wrapped []byte) ([]byte, error)
}

// Keys finds the wrapped data key of a company, or returns ErrNoKey.
type Keys interface {
	WrappedKey(ctx context.Context, companyID string) ([]byte, error)
}

// Vault seals and opens. It is safe for concurrent use.
type Vault struct {
	wrapper Wrapper
	keys    Keys

	mu     sync.RWMutex
	opened map[string]*opened // by company
	hints  map[string][]byte  // wrapped keys that were told, until they are opened
}

// opened is a data key that can be used.
type opened struct {
	aead    cipher.AEAD
	wrapped []byte    // what it was opened from
	checked time.Time // when that was last known to be the company's
}

// New returns a vault over the keys that wrapper can unwrap.
func New(wrapper Wrapper, keys Keys) *Vault {
	return &Vault{wrapper: wrapper, keys: keys, opened: make(map[string]*opened), hints: make(map[string][]byte)}
}

// CreateKey makes a data key for a new company and returns it wrapped, ready to be stored.
func (v *Vault) CreateKey(ctx context.Context, companyID string) ([]byte, error) {
	key := make([]byte, KeySize)
	_, _ = rand.Read(key) // never fails (crypto/rand.Read, Go 1.24)
	wrapped, err := v.wrapper.Wrap(ctx, companyID, key)
	if err != nil {
		return nil, fmt.Errorf("wrap data key: %w", err)
	}
	return wrapped, nil
}

// Seal encrypts a text of the company. The place ("messages.body|<id>") must be given again to open it.
func (v *Vault) Seal(ctx context.Context, companyID, place string, text []byte) ([]byte, error) {
	aead, err := v.key(ctx, companyID)
	if err != nil {
		return nil, err
	}
	sealed := make([]byte, 1+aead.NonceSize(), 1+aead.NonceSize()+len(text)+aead.Overhead())
	sealed[0] = version
	nonce := sealed[1:]
	_, _ = rand.Read(nonce)
	return aead.Seal(sealed, nonce, text, associated(companyID, place)), nil //nolint:gosec // G407 takes the random nonce for a constant
}

// Open reverses Seal, or returns ErrCannotOpen.
func (v *Vault) Open(ctx context.Context, companyID, place string, sealed []byte) ([]byte, error) {
	aead, err := v.key(ctx, companyID)
	if err != nil {
		return nil, err
	}
	if len(sealed) < 1+aead.NonceSize() || sealed[0] != version {
		return nil, ErrCannotOpen
	}
	nonce, box := sealed[1:1+aead.NonceSize()], sealed[1+aead.NonceSize():]
	text, err := aead.Open(nil, nonce, box, associated(companyID, place))
	if err != nil {
		return nil, ErrCannotOpen
	}
	return text, nil
}

// Hint tells the wrapped key of a company that will be worked for soon, so that its first use need not look for it. Who
// reads many companies anyway spares a round trip for each.
func (v *Vault) Hint(companyID string, wrapped []byte) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if wrapped != nil && v.opened[companyID] == nil && len(v.hints) < maxCachedKeys {
		v.hints[companyID] = wrapped
	}
}

// Forget drops a company's key from memory.
func (v *Vault) Forget(companyID string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	delete(v.opened, companyID)
	delete(v.hints, companyID)
}

func (v *Vault) key(ctx context.Context, companyID string) (cipher.AEAD, error) {
	v.mu.RLock()
	known, wrapped := v.opened[companyID], v.hints[companyID]
	trusted := known != nil && time.Since(known.checked) < trustFor
	v.mu.RUnlock()
	if trusted {
		return known.aead, nil
	}
	if known != nil {
		same, current, err := v.check(ctx, companyID, known)
		if same || err != nil {
			return known.aead, err
		}
		wrapped = current
	}
	if wrapped == nil {
		var err error
		if wrapped, err = v.keys.WrappedKey(ctx, companyID); err != nil {
			return nil, fmt.Errorf("find data key: %w", err)
		}
	}
	key, err := v.wrapper.Unwrap(ctx, companyID, wrapped)
	if err != nil {
		return nil, fmt.Errorf("unwrap data key: %w", err)
	}
	aead, err := newAEAD(key)
	if err != nil {
		return nil, err
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if len(v.opened) >= maxCachedKeys {
		for id := range v.opened {
			delete(v.opened, id)
			break
		}
	}
	v.opened[companyID] = &opened{aead: aead, wrapped: wrapped, checked: time.Now()}
	delete(v.hints, companyID)
	return aead, nil
}

// check asks whether a key is still the company's, which it is not once the company was deleted: ErrNoKey, or another key
// where a new company has the id. One caller asks, the others go on meanwhile. Where no answer can be had the key is
// trusted for another while: an outage must not stop those who need nothing but the key.
func (v *Vault) check(ctx context.Context, companyID string, known *opened) (same bool, current []byte, err error) {
	v.mu.Lock()
	asking := time.Since(known.checked) >= trustFor
	if asking {
		known.checked = time.Now()
	}
	v.mu.Unlock()
	if !asking {
		return true, nil, nil
	}
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	current, err = v.keys.WrappedKey(ctx, companyID)
	switch {
	case errors.Is(err, ErrNoKey):
		v.Forget(companyID)
		return false, nil, fmt.Errorf("check data key: %w", err)
	case err != nil || bytes.Equal(current, known.wrapped):
		return true, nil, nil
	}
	return false, current, nil
}

func associated(companyID, place string) []byte {
	return []byte(companyID + "|" + place)
}

func newAEAD(key []byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("use data key: %w", err)
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		return nil, fmt.Errorf("use data key: %w", err)
	}
	return aead, nil
}
