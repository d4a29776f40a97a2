package roster

import (
	"encoding/json"
	"fmt"
	"sync/atomic"
	"time"

	"go.mau.fi/whatsmeow/types"

	"wafleet/infra/wasim/internal/ledger"
	"wafleet/infra/wasim/internal/mailbox"
)

// Device is a companion of an account.
type Device struct {
	Account *Account
	ID      uint16
	// KeyIndex numbers the companions an account ever had; unlike the ID it is never used again.
	KeyIndex uint32
	// Noise is the key with which the device logs in, Identity the one with which it encrypts.
	Noise, Identity [32]byte
	// Platform is what the device says it is.
	Platform string
	LinkedAt time.Time
	// Keys are what the device has published for others to write to it.
	Keys *PreKeys
	// Box is what the device has not acknowledged.
	Box *mailbox.Box

	seen seen
	gone atomic.Bool
}

// deviceRecord is a device in the ledger.
type deviceRecord struct {
	ID       uint16    `json:"id"`
	KeyIndex uint32    `json:"keyIndex"`
	Noise    []byte    `json:"noise"`
	Identity []byte    `json:"identity"`
	Platform string    `json:"platform"`
	LinkedAt time.Time `json:"linkedAt"`
	Signed   Published `json:"signed"`
}

// NewDevice makes a companion that is not linked yet.
func NewDevice(account *Account, id uint16, keyIndex uint32, noise [32]byte, keys Published) *Device {
	device := &Device{
		Account: account, ID: id, KeyIndex: keyIndex, Noise: noise, LinkedAt: time.Now().UTC(),
	}
	copy(device.Identity[:], keys.Identity)
	device.Keys = &PreKeys{name: device.Name(), published: keys}
	device.Box = mailbox.New(device.Name())
	device.seen.name = device.Name()
	return device
}

// Name is "79001234567:1", as logs and records call the device.
func (d *Device) Name() string { return DeviceName(d.Account.Number, d.ID) }

// DeviceName is the name of a device, by the number of its account.
func DeviceName(number string, id uint16) string { return fmt.Sprintf("%s:%d", number, id) }

// Gone reports whether the device was unlinked.
func (d *Device) Gone() bool { return d.gone.Load() }

// JID is the device's address by number.
func (d *Device) JID() types.JID {
	jid := d.Account.JID()
	jid.Device = d.ID
	return jid
}

// LIDJID is the device's address by hidden id.
func (d *Device) LIDJID() types.JID {
	jid := d.Account.LIDJID()
	jid.Device = d.ID
	return jid
}

// Peer is the name under which phones keep their sessions with the device. It is never used for another one.
func (d *Device) Peer() string { return PeerName(d.Account.Number, d.KeyIndex) }

// PeerName is the name of a device in the sessions of phones; key index 0 is the phone of the account.
func PeerName(number string, keyIndex uint32) string { return fmt.Sprintf("%s#%d", number, keyIndex) }

// Save notes the device and its published keys in the batch.
func (d *Device) Save(batch *ledger.Batch) error {
	value, err := d.encode()
	if err != nil {
		return err
	}
	batch.Put(BucketDevices, d.Name(), value)
	return nil
}

func (d *Device) encode() ([]byte, error) {
	value, err := json.Marshal(deviceRecord{
		ID: d.ID, KeyIndex: d.KeyIndex, Noise: d.Noise[:], Identity: d.Identity[:], Platform: d.Platform,
		LinkedAt: d.LinkedAt, Signed: d.Keys.Published(),
	})
	if err != nil {
		return nil, fmt.Errorf("save device: %w", err)
	}
	return value, nil
}
