package phone

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"

	"go.mau.fi/libsignal/keys/prekey"
	"go.mau.fi/libsignal/protocol"
	"go.mau.fi/libsignal/session"

	"wafleet/infra/wasim/internal/ledger"
)

// ErrUndecryptable marks a ciphertext that cannot be read with the sessions and keys of the phone.
var ErrUndecryptable = errors.New("message cannot be decrypted")

// Kinds of ciphertext, as they stand in the stanza: the first sets up a session on the way.
const (
	KindPreKey  = "pkmsg"
	KindMessage = "msg"
)

// Ciphertext is an encrypted message for one device.
type Ciphertext struct {
	Kind string
	Body []byte
}

// Bundle fetches the keys of a device, to begin a session with it.
type Bundle func() (*prekey.Bundle, error)

// Encrypt encrypts a plaintext for a peer, a name that stands for one device of one account for ever. The bundle is
// only asked for if there is no session yet.
func (p *Phone) Encrypt(ctx context.Context, batch *ledger.Batch, peer string, plaintext []byte, bundle Bundle) (Ciphertext, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	store := &signalStore{phone: p, batch: batch}
	address := protocol.NewSignalAddress(peer, 0)
	builder := session.NewBuilderFromSignal(store, address, serializer)
	if _, known := p.sessions[peer]; !known {
		keys, err := bundle()
		if err != nil {
			return Ciphertext{}, err
		}
		if err := builder.ProcessBundle(ctx, keys); err != nil {
			return Ciphertext{}, fmt.Errorf("begin session: %w", err)
		}
	}
	return encrypt(ctx, session.NewCipher(builder, address), plaintext)
}

// Renew begins a new session with a peer out of its keys, for an answer to a retry receipt that carried them.
func (p *Phone) Renew(ctx context.Context, batch *ledger.Batch, peer string, keys *prekey.Bundle) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	store := &signalStore{phone: p, batch: batch}
	builder := session.NewBuilderFromSignal(store, protocol.NewSignalAddress(peer, 0), serializer)
	if err := builder.ProcessBundle(ctx, keys); err != nil {
		return fmt.Errorf("begin session: %w", err)
	}
	return nil
}

// Forget drops the session with a peer.
func (p *Phone) Forget(batch *ledger.Batch, peer string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.sessions, peer)
	batch.Delete(BucketSessions, p.number+"/"+peer)
}

func encrypt(ctx context.Context, cipher *session.Cipher, plaintext []byte) (Ciphertext, error) {
	sealed, err := cipher.Encrypt(ctx, pad(plaintext))
	if err != nil {
		return Ciphertext{}, fmt.Errorf("encrypt message: %w", err)
	}
	kind := KindMessage
	if sealed.Type() == protocol.PREKEY_TYPE {
		kind = KindPreKey
	}
	return Ciphertext{Kind: kind, Body: sealed.Serialize()}, nil
}

// pad hides the length of a plaintext behind 1 to 15 bytes that tell their own number.
func pad(plaintext []byte) []byte {
	var random [1]byte
	_, _ = rand.Read(random[:])
	n := max(random[0]&0x0f, 1)
	return append(append([]byte(nil), plaintext...), bytes.Repeat([]byte{n}, int(n))...)
}

func unpad(padded []byte) ([]byte, error) {
	if len(padded) == 0 {
		return nil, fmt.Errorf("%w: empty plaintext", ErrUndecryptable)
	}
	n := int(padded[len(padded)-1])
	if n == 0 || n > len(padded) {
		return nil, fmt.Errorf("%w: bad padding", ErrUndecryptable)
	}
	return padded[:len(padded)-n], nil
}
