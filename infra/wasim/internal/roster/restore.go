package roster

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"wafleet/infra/wasim/internal/ledger"
	"wafleet/infra/wasim/internal/mailbox"
	"wafleet/infra/wasim/internal/phone"
)

var errRecord = errors.New("damaged roster record")

// Buckets lists every bucket that [Roster.Restore] reads.
func Buckets() []ledger.Bucket {
	return []ledger.Bucket{
		BucketAccounts, BucketDevices, BucketPreKeys, BucketTaken, BucketSeen, BucketPeers, mailbox.Bucket,
		phone.BucketSessions, phone.BucketPreKeys, phone.BucketRows, phone.BucketSent,
	}
}

// Restore fills an empty roster with what the ledger kept.
func (r *Roster) Restore(from *ledger.Ledger) error {
	steps := []struct {
		bucket ledger.Bucket
		load   func(key string, value []byte) error
	}{
		{BucketAccounts, r.restoreAccount},
		{BucketPeers, r.restorePeer},
		{BucketDevices, r.restoreDevice},
		{BucketPreKeys, r.restorePreKeys},
		{BucketTaken, r.restoreTaken},
		{BucketSeen, r.restoreSeen},
		{mailbox.Bucket, func(key string, value []byte) error { return mailbox.Restore(key, value, r.box) }},
		{phone.BucketSessions, r.restorePhone(phone.BucketSessions)},
		{phone.BucketPreKeys, r.restorePhone(phone.BucketPreKeys)},
		{phone.BucketRows, r.restorePhone(phone.BucketRows)},
		{phone.BucketSent, r.restorePhone(phone.BucketSent)},
	}
	for _, step := range steps {
		if err := from.Load(step.bucket, step.load); err != nil {
			return fmt.Errorf("restore %s: %w", step.bucket, err)
		}
	}
	return nil
}

func (r *Roster) restoreAccount(number string, value []byte) error {
	var rec record
	if err := json.Unmarshal(value, &rec); err != nil {
		return fmt.Errorf("%w: %w", errRecord, err)
	}
	device, err := phone.Restore(number, rec.Secrets)
	if err != nil {
		return fmt.Errorf("account: %w", err)
	}
	account := &Account{
		Number: number, LID: rec.LID, Name: rec.Name, AutoDelivery: rec.AutoDelivery, Phone: device,
		Box: mailbox.New(DeviceName(number, 0)), last: rec.LastDevice, lastKey: rec.LastKey,
	}
	account.online.Store(rec.Online)
	r.insert(account)
	return nil
}

func (r *Roster) restorePeer(key string, _ []byte) error {
	number, other, _ := strings.Cut(key, "/")
	account, err := r.Account(number)
	if err != nil {
		return err
	}
	account.meet(other)
	return nil
}

func (r *Roster) restoreDevice(key string, value []byte) error {
	var rec deviceRecord
	if err := json.Unmarshal(value, &rec); err != nil {
		return fmt.Errorf("%w: %w", errRecord, err)
	}
	number, _, _ := strings.Cut(key, ":")
	account, err := r.Account(number)
	if err != nil {
		return err
	}
	if len(rec.Noise) != 32 || len(rec.Identity) != 32 {
		return fmt.Errorf("%w: device %s", errRecord, key)
	}
	device := NewDevice(account, rec.ID, rec.KeyIndex, [32]byte(rec.Noise), rec.Signed)
	device.Identity, device.Platform, device.LinkedAt = [32]byte(rec.Identity), rec.Platform, rec.LinkedAt
	account.insert(device)
	return nil
}

// find returns the companion of a record key, and what follows the slash in it. Records of companions that are gone
// are not an error: deleting them is left to whoever finds the time.
func (r *Roster) find(key string) (device *Device, rest string) {
	name, rest, _ := strings.Cut(key, "/")
	number, id, _ := strings.Cut(name, ":")
	account, err := r.Account(number)
	if err != nil {
		return nil, rest
	}
	parsed, err := strconv.ParseUint(id, 10, 16)
	if err != nil {
		return nil, rest
	}
	device, err = account.Device(uint16(parsed))
	if err != nil {
		return nil, rest
	}
	return device, rest
}

func (r *Roster) restorePreKeys(key string, value []byte) error {
	device, rest := r.find(key)
	if device == nil {
		return nil
	}
	number, err := strconv.ParseUint(rest, 16, 64)
	if err != nil || len(value)%keySize != 0 || len(value) == 0 {
		return fmt.Errorf("%w: prekeys %s", errRecord, key)
	}
	k := device.Keys
	k.uploads = append(k.uploads, &upload{number: number, keys: append([]byte(nil), value...)})
	k.last, k.left = number, k.left+len(value)/keySize
	return nil
}

func (r *Roster) restoreTaken(key string, value []byte) error {
	device, rest := r.find(key)
	if device == nil {
		return nil
	}
	number, err := strconv.ParseUint(rest, 16, 64)
	if err != nil || len(value) != 4 {
		return fmt.Errorf("%w: taken %s", errRecord, key)
	}
	for _, up := range device.Keys.uploads {
		if up.number == number {
			up.taken = int(binary.BigEndian.Uint32(value))
			device.Keys.left -= up.taken
		}
	}
	return nil
}

func (r *Roster) restoreSeen(key string, value []byte) error {
	device, _ := r.find(key)
	if device == nil {
		return nil
	}
	if len(value) != 8 {
		return fmt.Errorf("%w: seen %s", errRecord, key)
	}
	device.seen.remember(binary.BigEndian.Uint64(value))
	return nil
}

// box finds the mailbox of a device by its name; device 0 is the phone.
func (r *Roster) box(name string) *mailbox.Box {
	if number, ok := strings.CutSuffix(name, ":0"); ok {
		account, err := r.Account(number)
		if err != nil {
			return nil
		}
		return account.Box
	}
	if device, _ := r.find(name); device != nil {
		return device.Box
	}
	return nil
}

func (r *Roster) restorePhone(bucket ledger.Bucket) func(key string, value []byte) error {
	return func(key string, value []byte) error {
		number, name, _ := strings.Cut(key, "/")
		account, err := r.Account(number)
		if err != nil {
			return err
		}
		return account.Phone.RestoreRecord(bucket, name, value)
	}
}
