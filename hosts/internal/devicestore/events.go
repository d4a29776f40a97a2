package devicestore

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"go.mau.fi/util/dbutil"
	"go.mau.fi/whatsmeow/store"
)

// maxDecryptions bounds how often a decryption starts over because a send stepped the session in the meantime.
const maxDecryptions = 5

var _ store.EventBuffer = (*events)(nil)

// events is the buffer that keeps a decrypted message until it is handled, and the transaction around a decryption.
type events struct {
	store.EventBuffer

	steps      *ratchets
	identities *identities
}

// GetBufferedEvent returns nil if the ciphertext was not decrypted yet.
func (e *events) GetBufferedEvent(ctx context.Context, ciphertextHash [32]byte) (*store.BufferedEvent, error) {
	event, err := e.EventBuffer.GetBufferedEvent(ctx, ciphertextHash)
	if err != nil {
		return nil, &postponedError{fmt.Errorf("get buffered event: %w", err)}
	}
	return event, nil
}

// PutBufferedEvent stores the plaintext with the ratchet step that brought it.
func (e *events) PutBufferedEvent(ctx context.Context, ciphertextHash [32]byte, plaintext []byte, serverTimestamp time.Time) error {
	return check(ctx, "put buffered event", e.EventBuffer.PutBufferedEvent(ctx, ciphertextHash, plaintext, serverTimestamp))
}

// DeleteOldBufferedHashes does nothing: every client calls it after its first message, and it sweeps the buffers of all
// devices. CleanUp does that, on schedule.
func (e *events) DeleteOldBufferedHashes(context.Context) error { return nil }

// DoDecryptionTxn runs a decryption in a transaction. If somebody stepped the session while it ran, it starts over, with
// the session reserved. What the database is to blame for is returned as a postponedError.
func (e *events) DoDecryptionTxn(ctx context.Context, decrypt func(context.Context) error) error {
	var stale *staleError
	for attempt := 1; ; attempt++ {
		err := e.transaction(ctx, stale, decrypt)
		if !errors.As(err, &stale) || attempt == maxDecryptions {
			return postpone(err)
		}
	}
}

// transaction is one attempt, after one that was stale unless that is nil.
func (e *events) transaction(ctx context.Context, stale *staleError, decrypt func(context.Context) error) error {
	w := newTransaction()
	defer func() {
		e.steps.release(slices.Collect(maps.Keys(w.claimed)))
		e.identities.forget(slices.Collect(maps.Keys(w.identities))...)
	}()
	if stale != nil {
		if err := e.steps.reserve(ctx, w, stale); err != nil {
			return &storeError{doing: "reserve session", err: err}
		}
	}
	return e.EventBuffer.DoDecryptionTxn(context.WithValue(ctx, transactionKey{}, w), decrypt) //nolint:wrapcheck // the caller looks at it
}

// postponedError passes for a cancelled context, which is what whatsmeow takes as a reason not to ack a message and not
// to ask its sender for another encryption of it. So WhatsApp delivers it again after the next connect.
type postponedError struct{ err error }

func (e *postponedError) Error() string        { return "postpone decryption: " + e.err.Error() }
func (e *postponedError) Unwrap() error        { return e.err }
func (e *postponedError) Is(target error) bool { return target == context.Canceled }

// postpone tells what the database is to blame for from what is wrong with the message.
func postpone(err error) error {
	var fromStore *storeError
	if errors.As(err, &fromStore) || errors.Is(err, dbutil.ErrTxnBegin) || errors.Is(err, dbutil.ErrTxnCommit) {
		return &postponedError{err}
	}
	return err
}
