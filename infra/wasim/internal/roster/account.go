package roster

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"go.mau.fi/whatsmeow/types"

	"wafleet/infra/wasim/internal/ledger"
	"wafleet/infra/wasim/internal/mailbox"
	"wafleet/infra/wasim/internal/phone"
)

// Buckets of the roster in the ledger.
const (
	BucketAccounts ledger.Bucket = "accounts" // number
	BucketDevices  ledger.Bucket = "devices"  // number:device
	BucketPreKeys  ledger.Bucket = "prekeys"  // number:device/upload
	BucketTaken    ledger.Bucket = "taken"    // number:device/upload
	BucketSeen     ledger.Bucket = "seen"     // number:device/slot
	BucketPeers    ledger.Bucket = "peers"    // number/number
)

// ErrNoDevice is returned for companions that are not, or no longer, linked.
var ErrNoDevice = errors.New("no such device")

// ErrFull is returned when an account has as many companions as addresses can tell apart.
var ErrFull = errors.New("account has too many companions")

// maxDevice is the highest device number an address can carry.
const maxDevice = 255

// Account is one WhatsApp account with its phone.
type Account struct {
	// Number is the phone number in digits, LID the hidden user id; both are users of an address.
	Number, LID string
	// Name is what others see beside the messages.
	Name string
	// AutoDelivery makes the phone send delivery receipts by itself.
	AutoDelivery bool
	// Phone is the primary device and Box what it has not received yet.
	Phone *phone.Phone
	Box   *mailbox.Box

	// Work is held from the first change of the phone until the batch with it is appended to the ledger, so that the
	// records of its ratchets come in the order in which they moved.
	Work sync.Mutex

	online  atomic.Bool
	devices atomic.Pointer[[]*Device] // the companions by number; replaced, never changed

	mu      sync.Mutex // guards the fields below and changes of devices
	last    uint16     // the last device number given
	lastKey uint32     // the last key index given
	peers   map[string]bool
}

// record is an account in the ledger.
type record struct {
	LID          string          `json:"lid"`
	Name         string          `json:"name"`
	AutoDelivery bool            `json:"autoDelivery"`
	Online       bool            `json:"online"`
	LastDevice   uint16          `json:"lastDevice"`
	LastKey      uint32          `json:"lastKey"`
	Secrets      json.RawMessage `json:"secrets"`
}

// JID is the account's address by number, and LIDJID the one by hidden id.
func (a *Account) JID() types.JID { return types.NewJID(a.Number, types.DefaultUserServer) }

// LIDJID is the account's address by its hidden id.
func (a *Account) LIDJID() types.JID { return types.NewJID(a.LID, types.HiddenUserServer) }

// Online reports whether the phone is switched on.
func (a *Account) Online() bool { return a.online.Load() }

// SetOnline switches the phone on or off.
func (a *Account) SetOnline(to *ledger.Ledger, online bool) (ledger.Pending, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.online.Store(online)
	return a.append(to)
}

// Devices are the companions, by their numbers. The slice must not be changed.
func (a *Account) Devices() []*Device {
	if list := a.devices.Load(); list != nil {
		return *list
	}
	return nil
}

// Device finds a companion by its number.
func (a *Account) Device(id uint16) (*Device, error) {
	for _, device := range a.Devices() {
		if device.ID == id {
			return device, nil
		}
	}
	return nil, fmt.Errorf("%w: %d", ErrNoDevice, id)
}

// Reserve gives out a device number and a key index for a companion that is being paired.
func (a *Account) Reserve(to *ledger.Ledger) (id uint16, keyIndex uint32, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	next := a.last + 1
	if next > maxDevice { // Begin again with the lowest free one.
		next = 1
		for _, device := range a.Devices() {
			if device.ID != next {
				break
			}
			next++
		}
	}
	if next > maxDevice {
		return 0, 0, ErrFull
	}
	a.last, a.lastKey = next, a.lastKey+1
	_, err = a.append(to)
	return a.last, a.lastKey, err
}

// Link adds a companion.
func (a *Account) Link(batch *ledger.Batch, device *Device) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if err := device.Save(batch); err != nil {
		return err
	}
	a.insert(device)
	return nil
}

func (a *Account) insert(device *Device) {
	list := append(slices.Clone(a.Devices()), device)
	slices.SortFunc(list, func(x, y *Device) int { return int(x.ID) - int(y.ID) })
	a.devices.Store(&list)
}

// Unlink removes a companion with everything that waits for it.
func (a *Account) Unlink(batch *ledger.Batch, id uint16) (*Device, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	device, err := a.Device(id)
	if err != nil {
		return nil, err
	}
	list := slices.DeleteFunc(slices.Clone(a.Devices()), func(d *Device) bool { return d == device })
	a.devices.Store(&list)
	device.gone.Store(true)
	batch.Delete(BucketDevices, device.Name())
	device.Keys.clear(batch)
	device.seen.clear(batch)
	device.Box.Clear(batch)
	return device, nil
}

// Meet notes that two accounts write to each other and reports whether that is new.
func (a *Account) Meet(batch *ledger.Batch, other *Account) bool {
	if !a.meet(other.Number) {
		return false
	}
	batch.Put(BucketPeers, a.Number+"/"+other.Number, nil)
	if other.meet(a.Number) {
		batch.Put(BucketPeers, other.Number+"/"+a.Number, nil)
	}
	return true
}

func (a *Account) meet(number string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.peers[number] {
		return false
	}
	if a.peers == nil {
		a.peers = make(map[string]bool)
	}
	a.peers[number] = true
	return true
}

// Peers are the numbers of the accounts that this one has met.
func (a *Account) Peers() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	numbers := make([]string, 0, len(a.peers))
	for number := range a.peers {
		numbers = append(numbers, number)
	}
	return numbers
}

// append hands the account to the ledger. The lock is held, so that records come in the order of the changes.
func (a *Account) append(to *ledger.Ledger) (ledger.Pending, error) {
	var batch ledger.Batch
	if err := a.save(&batch); err != nil {
		return ledger.Pending{}, err
	}
	return to.Append(batch), nil
}

// save notes the account in the batch; the lock is held.
func (a *Account) save(batch *ledger.Batch) error {
	secrets, err := a.Phone.Secrets()
	if err != nil {
		return fmt.Errorf("save account: %w", err)
	}
	value, err := json.Marshal(record{
		LID: a.LID, Name: a.Name, AutoDelivery: a.AutoDelivery, Online: a.Online(),
		LastDevice: a.last, LastKey: a.lastKey, Secrets: secrets,
	})
	if err != nil {
		return fmt.Errorf("save account: %w", err)
	}
	batch.Put(BucketAccounts, a.Number, value)
	return nil
}
