package devicestore

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/google/uuid"
	"go.mau.fi/whatsmeow/proto/waAdv"
	"go.mau.fi/whatsmeow/store"
	"go.mau.fi/whatsmeow/types"
	"go.mau.fi/whatsmeow/util/keys"
	waLog "go.mau.fi/whatsmeow/util/log"

	"wafleet/hosts/internal/devicestore/db"
	"wafleet/shared/vault"
)

const (
	keySize = 32
	// privateKeys is how many of them a device has: noise, identity, signed prekey. The ADV secret follows them.
	privateKeys = 3
)

var errKeyLength = errors.New("stored key does not have 32 bytes")

// newKeys makes a device that is not paired (whatsmeow store/sqlstore/container.go, NewDevice).
func newKeys() *store.Device {
	var registration [4]byte
	secret := make([]byte, keySize)
	_, _ = rand.Read(registration[:]) // never fails (crypto/rand.Read, Go 1.24)
	_, _ = rand.Read(secret)
	device := &store.Device{
		Log:            waLog.Noop, // whatsmeow logs addresses, which are phone numbers
		NoiseKey:       keys.NewKeyPair(),
		IdentityKey:    keys.NewKeyPair(),
		RegistrationID: binary.BigEndian.Uint32(registration[:]),
		AdvSecretKey:   secret,
	}
	device.SignedPreKey = device.IdentityKey.CreateSignedPreKey(1)
	return device
}

// keysPlace is what a device's keys are bound to.
func keysPlace(jid string) string { return "devices|" + jid }

// sealKeys makes the row of a device.
func (s *Store) sealKeys(ctx context.Context, owner Owner, device *store.Device) (db.InsertDeviceParams, error) {
	jid := device.ID.String()
	plain := make([]byte, 0, privateKeys*keySize+len(device.AdvSecretKey))
	for _, key := range []*[32]byte{device.NoiseKey.Priv, device.IdentityKey.Priv, device.SignedPreKey.Priv} {
		plain = append(plain, key[:]...)
	}
	sealed, err := s.sealer.Seal(ctx, owner.CompanyID, keysPlace(jid), append(plain, device.AdvSecretKey...))
	if err != nil {
		return db.InsertDeviceParams{}, fmt.Errorf("seal keys: %w", err)
	}
	return db.InsertDeviceParams{
		Shard: owner.Fence.Shard, Term: owner.Fence.Term, CompanyID: owner.CompanyID, JID: jid, LID: lidOf(device),
		RegistrationID: int64(device.RegistrationID), SealedKeys: sealed,
		SignedPrekeyID: int(device.SignedPreKey.KeyID), SignedPrekeySig: device.SignedPreKey.Signature[:],
		AccountDetails: device.Account.GetDetails(), AccountSig: device.Account.GetAccountSignature(),
		AccountSigKey: device.Account.GetAccountSignatureKey(), DeviceSig: device.Account.GetDeviceSignature(),
		Platform: device.Platform, BusinessName: device.BusinessName, PushName: device.PushName,
		FacebookUUID:   uuid.NullUUID{UUID: device.FacebookUUID, Valid: device.FacebookUUID != uuid.Nil},
		LidMigrationAt: device.LIDMigrationTimestamp,
	}, nil
}

// restoreKeys is the way back. Whatever is wrong with the row is an ErrUnreadableDevice.
func (s *Store) restoreKeys(ctx context.Context, row db.Device) (*store.Device, error) {
	plain, err := s.sealer.Open(ctx, row.CompanyID, keysPlace(row.JID), row.SealedKeys)
	if errors.Is(err, vault.ErrCannotOpen) || errors.Is(err, vault.ErrNoKey) {
		return nil, fmt.Errorf("%w: %w", ErrUnreadableDevice, err)
	}
	if err != nil {
		return nil, fmt.Errorf("open keys: %w", err)
	}
	id, err := types.ParseJID(row.JID)
	if err != nil {
		return nil, fmt.Errorf("%w: jid: %w", ErrUnreadableDevice, err)
	}
	lid, err := types.ParseJID(row.LID)
	if err != nil {
		return nil, fmt.Errorf("%w: lid: %w", ErrUnreadableDevice, err)
	}
	if len(plain) < privateKeys*keySize || len(row.SignedPrekeySig) != 2*keySize {
		return nil, fmt.Errorf("%w: %w", ErrUnreadableDevice, errKeyLength)
	}
	key := func(i int) *keys.KeyPair { return pairOf([keySize]byte(plain[i*keySize:])) }
	return &store.Device{
		Log: waLog.Noop, ID: &id, LID: lid,
		NoiseKey: key(0), IdentityKey: key(1),
		SignedPreKey: &keys.PreKey{
			KeyPair: *key(2), KeyID: uint32(row.SignedPrekeyID), Signature: (*[64]byte)(row.SignedPrekeySig), //nolint:gosec // checked by the table
		},
		AdvSecretKey:   plain[privateKeys*keySize:],
		RegistrationID: uint32(row.RegistrationID), //nolint:gosec // checked by the table
		Account: &waAdv.ADVSignedDeviceIdentity{
			Details: row.AccountDetails, AccountSignature: row.AccountSig, AccountSignatureKey: row.AccountSigKey, DeviceSignature: row.DeviceSig,
		},
		Platform: row.Platform, BusinessName: row.BusinessName, PushName: row.PushName,
		LIDMigrationTimestamp: row.LidMigrationAt, FacebookUUID: row.FacebookUUID.UUID,
	}, nil
}

func lidOf(device *store.Device) string {
	if device.LID.IsEmpty() {
		return ""
	}
	return device.LID.String()
}
