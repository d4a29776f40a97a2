package devicestore

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"go.mau.fi/whatsmeow/store"

	"wafleet/shared/vault"
)

var _ store.AllSessionSpecificStores = (*device)(nil)

// device is a device in use: all the stores that whatsmeow asks for, one file each. A fleet keeps thousands of them, so
// what it remembers is small and bounded.
type device struct {
	store *Store
	owner Owner
	jid   string

	steps      *ratchets
	own        atomic.Pointer[[2]string] // addresses of the device itself, by phone number and by LID
	generating sync.Mutex                // prekeys: ids are given out from the highest one that is stored
	migrating  sync.Mutex                // one migration at a time; others wait for it
	prekeys    atomic.Pointer[int64]     // how many were left when the device was loaded; nil once it may be wrong

	// Each is held over the round trip, so that nothing is remembered that somebody has just changed.
	granting sync.Mutex // tokens
	naming   sync.Mutex // names

	lids     *lids
	migrated recent[string, struct{}]         // users whose sessions were moved to their LID
	tokens   recent[string, struct{}]         // contacts that have given no privacy token
	names    recent[contactName, fingerprint] // what is stored, so that it is not stored again with every message

	expecting sync.Mutex // guards what follows
	likely    string     // who sent the last message: perhaps also the next one
	guess     *guess
	handled   [][32]byte // buffered events whose plaintext can go with the next write
}

// attach gives a paired device its stores.
func (s *Store) attach(owner Owner, paired *store.Device) *device {
	d := &device{
		store: s, owner: owner, jid: paired.ID.String(), steps: newRatchets(),
		migrated: recent[string, struct{}]{limit: 256}, tokens: recent[string, struct{}]{limit: 64},
		names: recent[contactName, fingerprint]{limit: 64},
	}
	d.lids = newLIDs(d)
	d.setOwn(paired)
	paired.Identities, paired.Sessions, paired.PreKeys, paired.SenderKeys = d, d, d, d
	paired.AppStateKeys, paired.AppState, paired.Contacts, paired.ChatSettings = d, d, d, d
	paired.MsgSecrets, paired.PrivacyTokens, paired.EventBuffer = d, d, d
	paired.LIDs, paired.Container, paired.Initialized = d.lids, d, true
	return d
}

// setOwn notes the addresses of the device itself, which WhatsApp may tell as late as at the first connect.
func (d *device) setOwn(device *store.Device) {
	own := [2]string{device.ID.SignalAddress().String()}
	if !device.LID.IsEmpty() {
		own[1] = device.LID.SignalAddress().String()
	}
	d.own.Store(&own)
}

// write runs a statement that checks the fence. Its error, ErrFenced included, ends the send that it was for.
func (d *device) write(ctx context.Context, doing string, statement func(ctx context.Context) (held bool, err error)) error {
	limited, done := bounded(ctx)
	defer done()
	held := false
	err := retried(limited, func() (err error) {
		held, err = statement(limited)
		return err
	})
	return check(ctx, fenced(doing, held, err))
}

// read runs a statement that only reads; its error ends the send that it was for.
func read[T any](ctx context.Context, doing string, statement func(ctx context.Context) (T, error)) (T, error) {
	limited, done := bounded(ctx)
	defer done()
	var found T
	err := retried(limited, func() (err error) {
		found, err = statement(limited)
		return err
	})
	if err != nil {
		err = check(ctx, fmt.Errorf("%s: %w", doing, err))
	}
	return found, err
}

// place is what a sealed column is bound to, besides the company.
func (d *device) place(table, key string) string { return table + "|" + d.jid + "|" + key }

func (d *device) seal(ctx context.Context, table, key string, plain []byte) ([]byte, error) {
	sealed, err := d.store.sealer.Seal(ctx, d.owner.CompanyID, d.place(table, key), plain)
	if err != nil {
		return nil, check(ctx, fmt.Errorf("seal %s: %w", table, err))
	}
	return sealed, nil
}

// open is the way back. What does not open counts as missing: Signal recovers from a session or a key that is gone, and
// never from an error that comes back each time.
func (d *device) open(ctx context.Context, table, key string, sealed []byte) ([]byte, error) {
	if sealed == nil {
		return nil, nil
	}
	plain, err := d.store.sealer.Open(ctx, d.owner.CompanyID, d.place(table, key), sealed)
	if errors.Is(err, vault.ErrCannotOpen) {
		d.store.logger.ErrorContext(ctx, "device_store.unreadable", "company_id", d.owner.CompanyID, "table", table)
		return nil, nil
	}
	if err != nil {
		return nil, check(ctx, fmt.Errorf("open %s: %w", table, err))
	}
	if plain == nil {
		plain = []byte{}
	}
	return plain, nil
}
