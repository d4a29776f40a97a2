package devicestore

import (
	"context"
	"errors"
	"fmt"

	"go.mau.fi/whatsmeow/store"

	"wafleet/hosts/internal/devicestore/db"
	"wafleet/shared/phone"
)

var (
	_ store.DeviceContainer = (*unpaired)(nil)
	_ store.DeviceContainer = (*device)(nil)
)

var errNoJID = errors.New("device has no JID")

// unpaired is the container of a device from New to its pairing.
type unpaired struct {
	store *Store
	owner Owner
	bind  func(ctx context.Context, jid, lid string) error
}

// PutDevice is the moment of pairing: whatsmeow saves the device for the first time and confirms to WhatsApp if that
// succeeds.
func (u *unpaired) PutDevice(ctx context.Context, paired *store.Device) (err error) {
	if paired.ID == nil {
		return errNoJID
	}
	if err := u.store.insert(ctx, u.owner, paired); err != nil {
		return err
	}
	if err := u.bind(ctx, paired.ID.String(), paired.LID.String()); err != nil {
		return fmt.Errorf("bind device: %w", err)
	}
	if err := u.store.lift(ctx, u.owner, *paired.ID); err != nil {
		return err
	}
	u.store.attach(u.owner, paired) // only now: whatever is saved before must not get round bind
	return nil
}

// DeleteDevice has nothing to delete.
func (u *unpaired) DeleteDevice(context.Context, *store.Device) error { return nil }

// insert stores a device that was just paired, under a tombstone. It replaces one of the same JID, whose keys would
// otherwise stay. A crash in between leaves none, and nothing is bound yet.
func (s *Store) insert(ctx context.Context, owner Owner, paired *store.Device) error {
	if err := s.change(ctx, owner, *paired.ID, "replace device", s.queries.DeleteDevice); err != nil {
		return err
	}
	ctx, done := bounded(ctx)
	defer done()
	row, err := s.sealKeys(ctx, owner, paired)
	if err != nil {
		return fmt.Errorf("store paired device: %w", err)
	}
	held, err := s.queries.InsertDevice(ctx, s.pool, row)
	return fenced("store paired device", held, err)
}

// PutDevice is called by whatsmeow when something about a paired device changed.
func (d *device) PutDevice(ctx context.Context, changed *store.Device) error {
	if changed.ID == nil {
		return errNoJID
	}
	d.store.forgetPreloaded(d.owner, d.jid)
	err := d.write(ctx, "put device", func(ctx context.Context) (bool, error) {
		return d.store.queries.UpdateDevice(ctx, d.store.pool, db.UpdateDeviceParams{
			Shard: d.owner.Fence.Shard, Term: d.owner.Fence.Term, CompanyID: d.owner.CompanyID, JID: d.jid,
			LID: lidOf(changed), Platform: changed.Platform, BusinessName: changed.BusinessName, PushName: changed.PushName,
			LidMigrationAt: changed.LIDMigrationTimestamp,
		})
	})
	if err == nil {
		d.setOwn(changed)
	}
	return err
}

// DeleteDevice is called by whatsmeow when WhatsApp does not know the device any more, or says so. It sets a tombstone;
// the keys stay for 30 days. Delete is what deletes. whatsmeow tells of the end before it calls this, and whoever hears of it
// hangs up; the tombstone is set all the same.
func (d *device) DeleteDevice(ctx context.Context, deleted *store.Device) error {
	id := deleted.ID // whatsmeow clears it, perhaps while another call of its is here
	if id == nil {
		return errNoJID
	}
	if err := d.store.bury(context.WithoutCancel(ctx), d.owner, *id); err != nil {
		return err
	}
	d.store.logger.WarnContext(ctx, "device.tombstoned", "company_id", d.owner.CompanyID, "phone", phone.Redact(id.User))
	return nil
}
