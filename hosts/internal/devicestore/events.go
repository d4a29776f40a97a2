package devicestore

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"go.mau.fi/whatsmeow/store"

	"wafleet/hosts/internal/devicestore/db"
	"wafleet/shared/vault"
)

const eventsTable = "device_events"

// maxDecryptions bounds how often a decryption starts over because a send stepped the session in the meantime.
const maxDecryptions = 5

var _ store.EventBuffer = (*device)(nil)

// GetBufferedEvent returns nil if the ciphertext was not decrypted yet. With the same statement it reads the session of
// whoever sent the last message, because the decryption that follows may need it.
func (d *device) GetBufferedEvent(ctx context.Context, ciphertextHash [32]byte) (*store.BufferedEvent, error) {
	d.expecting.Lock()
	likely, handled := d.likely, slices.Contains(d.handled, ciphertextHash)
	d.guess = nil
	d.expecting.Unlock()
	now, _ := d.steps.now(nil)
	row, err := read(ctx, "get buffered event", func(ctx context.Context) (db.GetEventRow, error) {
		return d.store.queries.GetEvent(ctx, d.store.pool, db.GetEventParams{
			CompanyID: d.owner.CompanyID, JID: d.jid, CiphertextHash: ciphertextHash[:], Likely: likely,
		})
	})
	if err != nil {
		return nil, &postponedError{err}
	}
	if !row.Found {
		return nil, d.expect(ctx, likely, now, row)
	}
	found := &store.BufferedEvent{ServerTime: time.Unix(row.ServerAt, 0), InsertTime: row.CreatedAt}
	if row.SealedPlaintext == nil || handled {
		return found, nil
	}
	found.Plaintext, err = d.store.sealer.Open(ctx, d.owner.CompanyID, d.place(eventsTable, string(ciphertextHash[:])), row.SealedPlaintext)
	if errors.Is(err, vault.ErrCannotOpen) {
		// Not the database's fault for a while, but for ever: the sender is asked for another encryption.
		return nil, fmt.Errorf("open buffered event: %w", err)
	}
	if err != nil {
		return nil, &postponedError{fmt.Errorf("open buffered event: %w", err)}
	}
	return found, nil
}

// expect keeps a session for the decryption that follows.
func (d *device) expect(ctx context.Context, likely string, now uint64, row db.GetEventRow) error {
	if row.SealedSession == nil {
		return nil
	}
	session, err := d.open(ctx, sessionsTable, likely, row.SealedSession)
	if err != nil {
		return &postponedError{err}
	}
	d.expecting.Lock()
	defer d.expecting.Unlock()
	d.guess = &guess{address: likely, readAt: now, session: session, identity: identityOf(row.Identity)}
	return nil
}

// PutBufferedEvent stores the plaintext with the ratchet step that brought it.
func (d *device) PutBufferedEvent(ctx context.Context, ciphertextHash [32]byte, plaintext []byte, serverTimestamp time.Time) error {
	e := &event{hash: ciphertextHash, plaintext: plaintext, serverAt: serverTimestamp}
	if w := transactionOf(ctx); w != nil {
		w.batch.event = e
		return nil
	}
	return d.keep(ctx, "put buffered event", batch{event: e})
}

// ClearBufferedEventPlaintext marks a message as handled. What remembers that is this process: the row follows with the
// next write of the device. Without one, after a crash, a message that comes again is handled again, which whoever
// handles it has to bear anyhow (it may crash before this call).
func (d *device) ClearBufferedEventPlaintext(ctx context.Context, ciphertextHash [32]byte) error {
	d.expecting.Lock()
	d.handled = append(d.handled, ciphertextHash)
	full := len(d.handled) > maxHandled
	d.expecting.Unlock()
	if !full {
		return nil
	}
	return d.keep(ctx, "clear buffered events", batch{})
}

// DeleteOldBufferedHashes does nothing: every client calls it after its first message, and stock sweeps the buffers of
// all devices each time. CleanUp does that, on schedule.
func (d *device) DeleteOldBufferedHashes(context.Context) error { return nil }

// DoDecryptionTxn runs a decryption and stores what it has brought with one statement, or nothing if it failed. If
// somebody stepped the session while it ran, it starts over, with the session reserved. What the database is to blame
// for is returned as a postponedError.
func (d *device) DoDecryptionTxn(ctx context.Context, decrypt func(context.Context) error) error {
	d.expecting.Lock()
	g := d.guess
	d.guess = nil
	d.expecting.Unlock()
	var stale *staleError
	for attempt := 1; ; attempt++ {
		err := d.transaction(ctx, stale, g, decrypt)
		g = nil
		if !errors.As(err, &stale) || attempt == maxDecryptions {
			return postpone(err)
		}
	}
}

// transaction is one attempt, after one that was stale unless that is nil.
func (d *device) transaction(ctx context.Context, stale *staleError, g *guess, decrypt func(context.Context) error) error {
	w := newTransaction()
	w.guess = g
	defer func() { d.steps.release(slices.Collect(maps.Keys(w.claimed))) }()
	if stale != nil {
		if err := d.steps.reserve(ctx, w, stale); err != nil {
			return &storeError{err}
		}
	}
	if err := decrypt(context.WithValue(ctx, transactionKey{}, w)); err != nil {
		return err
	}
	b := w.takeBatch()
	for address := range b.sessions {
		d.expecting.Lock()
		d.likely = address
		d.expecting.Unlock()
	}
	return d.keep(ctx, "store decryption", b)
}

// postponedError passes for a cancelled context, which is what whatsmeow takes as a reason not to ack a message and not
// to ask its sender for another encryption of it. So WhatsApp delivers it again after the next connect.
type postponedError struct{ err error }

func (e *postponedError) Error() string        { return "postpone decryption: " + e.err.Error() }
func (e *postponedError) Unwrap() error        { return e.err }
func (e *postponedError) Is(target error) bool { return target == context.Canceled }

// postpone tells what the database is to blame for from what is wrong with the message.
func postpone(err error) error {
	if _, fromStore := errors.AsType[*storeError](err); fromStore {
		return &postponedError{err}
	}
	return err
}
