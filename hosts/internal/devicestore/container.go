package devicestore

import (
	"context"
	"errors"
	"fmt"

	"go.mau.fi/whatsmeow/store"
	"go.mau.fi/whatsmeow/types"

	"wafleet/shared/phone"
)

const (
	findDeviceQuery = `
		SELECT lid FROM whatsmeow_device d
		WHERE jid = $1 AND NOT EXISTS (SELECT FROM wafleet_tombstones t WHERE t.jid = d.jid)`
	buryDeviceQuery = `
		INSERT INTO wafleet_tombstones (jid) SELECT jid FROM whatsmeow_device WHERE jid = $1
		ON CONFLICT (jid) DO NOTHING`
	liftTombstoneQuery = `DELETE FROM wafleet_tombstones WHERE jid = $1`
	// Everything else goes with the device's row; privacy tokens alone have no foreign key.
	deleteDeviceQuery = `DELETE FROM whatsmeow_device WHERE jid = $1`
	deleteTokensQuery = `DELETE FROM whatsmeow_privacy_tokens WHERE our_jid = $1`
)

var (
	_ store.DeviceContainer = (*unpaired)(nil)
	_ store.DeviceContainer = (*paired)(nil)
)

var errNoJID = errors.New("device has no JID")

// unpaired is the container of a device from New to its pairing.
type unpaired struct {
	store *Store
	bind  func(ctx context.Context, jid, lid string) error
}

// PutDevice is the moment of pairing: whatsmeow saves the device for the first time and confirms to WhatsApp if that
// succeeds.
func (u *unpaired) PutDevice(ctx context.Context, device *store.Device) (err error) {
	if device.ID == nil {
		return errNoJID
	}
	defer func() {
		if err != nil { // whatever is saved later on must not get round bind
			device.Container, device.Initialized = u, false
		}
	}()
	if err := u.store.insert(ctx, device); err != nil {
		return err
	}
	if err := u.bind(ctx, device.ID.String(), device.LID.String()); err != nil {
		return fmt.Errorf("bind device: %w", err)
	}
	return u.store.lift(ctx, *device.ID)
}

// DeleteDevice has nothing to delete.
func (u *unpaired) DeleteDevice(context.Context, *store.Device) error { return nil }

// insert stores a device that was just paired, under a tombstone. It replaces one of the same JID, whose keys would
// otherwise stay.
func (s *Store) insert(ctx context.Context, device *store.Device) error {
	err := s.db.DoTxn(ctx, nil, func(ctx context.Context) error {
		if err := s.destroy(ctx, *device.ID); err != nil {
			return err
		}
		if err := s.stock.PutDevice(ctx, device); err != nil {
			return fmt.Errorf("put device: %w", err)
		}
		return s.bury(ctx, *device.ID)
	})
	if err != nil {
		return fmt.Errorf("store paired device: %w", err)
	}
	s.attach(device)
	return nil
}

// paired is the container of a device from its pairing on.
type paired struct{ store *Store }

// PutDevice is called by whatsmeow when something about a paired device changed.
func (p *paired) PutDevice(ctx context.Context, device *store.Device) error {
	if device.ID == nil {
		return errNoJID
	}
	if err := p.store.stock.PutDevice(ctx, device); err != nil {
		return fmt.Errorf("put device: %w", err)
	}
	if sessions, ok := device.Sessions.(*sessions); ok {
		sessions.setOwn(device)
	}
	return nil
}

// DeleteDevice is called by whatsmeow when WhatsApp does not know the device any more, or says so. It sets a tombstone;
// the keys stay for 30 days. Delete is what deletes.
func (p *paired) DeleteDevice(ctx context.Context, device *store.Device) error {
	id := device.ID // whatsmeow clears it, perhaps while another call of its is here
	if id == nil {
		return errNoJID
	}
	if err := p.store.bury(ctx, *id); err != nil {
		return err
	}
	p.store.logger.WarnContext(ctx, "device.tombstoned", "phone", phone.Redact(id.User))
	return nil
}

// attach puts our stores over the stock ones of a device.
func (s *Store) attach(device *store.Device) {
	steps := newRatchets()
	identities := newIdentities(s.db, device.Identities, device.ID.String())
	sessions := &sessions{stock: device.Sessions, store: s, device: *device.ID, steps: steps, identities: identities}
	sessions.setOwn(device)

	device.Identities = identities
	device.Sessions = sessions
	device.PreKeys = &preKeys{stock: device.PreKeys, db: s.db, device: device.ID.String()}
	device.SenderKeys = &senderKeys{device.SenderKeys}
	device.MsgSecrets = &msgSecrets{device.MsgSecrets}
	device.PrivacyTokens = &privacyTokens{device.PrivacyTokens}
	device.EventBuffer = &events{EventBuffer: device.EventBuffer, steps: steps, identities: identities}
	device.LIDs = s.lids
	device.Container = &paired{s}
}

func (s *Store) bury(ctx context.Context, jid types.JID) error {
	if _, err := s.db.Exec(ctx, buryDeviceQuery, jid); err != nil {
		return fmt.Errorf("set tombstone: %w", err)
	}
	return nil
}

func (s *Store) lift(ctx context.Context, jid types.JID) error {
	result, err := s.db.Exec(ctx, liftTombstoneQuery, jid)
	if err != nil {
		return fmt.Errorf("lift tombstone: %w", err)
	}
	lifted, err := result.RowsAffected()
	if err != nil {
		return fmt.Errorf("lift tombstone: %w", err)
	}
	if lifted == 0 {
		return fmt.Errorf("lift tombstone: %w", ErrNoDevice)
	}
	return nil
}

func (s *Store) destroy(ctx context.Context, jid types.JID) error {
	for _, query := range []string{deleteDeviceQuery, deleteTokensQuery} {
		if _, err := s.db.Exec(ctx, query, jid); err != nil {
			return fmt.Errorf("delete device: %w", err)
		}
	}
	return nil
}
