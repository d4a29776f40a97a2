package phone

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"go.mau.fi/libsignal/protocol"
	"go.mau.fi/libsignal/session"
	"go.mau.fi/libsignal/signalerror"
	"go.mau.fi/libsignal/state/record"
	"go.mau.fi/libsignal/util/optional"

	"wafleet/infra/wasim/internal/ledger"
)

// ErrOldCounter marks a ciphertext that was decrypted before.
var ErrOldCounter = signalerror.ErrOldCounter

// Decrypt decrypts what a peer sent. The error is ErrOldCounter or ErrUndecryptable; then nothing has changed.
func (p *Phone) Decrypt(ctx context.Context, batch *ledger.Batch, peer string, sealed Ciphertext) (plaintext []byte, err error) {
	// The library slices what it is given without looking at its length first.
	defer func() {
		if cause := recover(); cause != nil {
			plaintext, err = nil, fmt.Errorf("%w: %v", ErrUndecryptable, cause)
		}
	}()
	p.mu.Lock()
	defer p.mu.Unlock()
	padded, err := p.open(ctx, batch, peer, sealed)
	switch {
	case errors.Is(err, signalerror.ErrOldCounter):
		return nil, ErrOldCounter
	case err != nil:
		return nil, fmt.Errorf("%w: %w", ErrUndecryptable, err)
	default:
		return unpad(padded)
	}
}

// open decrypts and, only if that succeeds, moves the session on. The lock is held.
func (p *Phone) open(ctx context.Context, batch *ledger.Batch, peer string, sealed Ciphertext) ([]byte, error) {
	store := &signalStore{phone: p, batch: batch}
	address := protocol.NewSignalAddress(peer, 0)
	builder := session.NewBuilderFromSignal(store, address, serializer)
	raw, message, usedKey, err := p.prepare(ctx, store, builder, address, sealed)
	if err != nil {
		return nil, err
	}
	plaintext, moved, err := openWithAny(ctx, session.NewCipher(builder, address), raw, message)
	if err != nil {
		return nil, err
	}
	p.keepSession(batch, peer, moved)
	if !usedKey.IsEmpty {
		p.removeOneTimeKey(batch, usedKey.Value)
	}
	return plaintext, nil
}

// prepare returns the session to decrypt with, into which the first message of a new one is taken up, and the message.
func (p *Phone) prepare(
	ctx context.Context, store *signalStore, builder *session.Builder, address *protocol.SignalAddress, sealed Ciphertext,
) (raw []byte, message *protocol.SignalMessage, usedKey *optional.Uint32, err error) {
	switch sealed.Kind {
	case KindPreKey:
		first, err := protocol.NewPreKeySignalMessageFromBytes(
			sealed.Body, serializer.PreKeySignalMessage, serializer.SignalMessage)
		if err != nil {
			return nil, nil, nil, fmt.Errorf("parse prekey message: %w", err)
		}
		loaded, err := store.LoadSession(ctx, address)
		if err != nil {
			return nil, nil, nil, err
		}
		if usedKey, err = builder.Process(ctx, loaded, first); err != nil {
			return nil, nil, nil, fmt.Errorf("begin session: %w", err)
		}
		return loaded.Serialize(), first.WhisperMessage(), usedKey, nil
	case KindMessage:
		raw, known := p.sessions[address.Name()]
		if !known {
			return nil, nil, nil, signalerror.ErrNoSessionForUser
		}
		message, err := protocol.NewSignalMessageFromBytes(sealed.Body, serializer.SignalMessage)
		if err != nil {
			return nil, nil, nil, fmt.Errorf("parse message: %w", err)
		}
		return raw, message, optional.NewEmptyUint32(), nil
	default:
		return nil, nil, nil, fmt.Errorf("%w: kind %q", ErrUndecryptable, sealed.Kind)
	}
}

// openWithAny decrypts with the first state of a session that fits, and returns the session after it.
//
// Two devices that begin to write to each other at the same time have several states for a while. The library tries
// them in place, and an attempt ruins a state that does not fit; so each one here is made on a copy.
func openWithAny(
	ctx context.Context, cipher *session.Cipher, raw []byte, message *protocol.SignalMessage,
) (plaintext, moved []byte, err error) {
	for i := 0; ; i++ {
		copied, err := serializer.Session.Deserialize(raw)
		if err != nil {
			return nil, nil, fmt.Errorf("read session: %w", err)
		}
		states := append([]*record.StateStructure{copied.SessionState}, copied.PreviousStates...)
		if i == len(states) {
			return nil, nil, signalerror.ErrNoValidSessions
		}
		state, err := record.NewStateFromStructure(states[i], serializer.State)
		if err != nil {
			return nil, nil, fmt.Errorf("read session state: %w", err)
		}
		plaintext, _, err := cipher.DecryptWithState(ctx, state, message)
		if errors.Is(err, signalerror.ErrOldCounter) {
			return nil, nil, err //nolint:wrapcheck // The caller tells it apart.
		}
		if err != nil {
			continue
		}
		copied.SessionState = record.NewSessionFromState(state, serializer.Session).Structure().SessionState
		copied.PreviousStates = slices.Delete(states, i, i+1)
		return plaintext, serializer.Session.Serialize(copied), nil
	}
}
