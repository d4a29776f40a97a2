package roster

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"

	"go.mau.fi/whatsmeow/types"

	"wafleet/infra/wasim/internal/ledger"
	"wafleet/infra/wasim/internal/mailbox"
	"wafleet/infra/wasim/internal/phone"
)

// Errors of adding and finding accounts.
var (
	ErrExists    = errors.New("phone exists already")
	ErrNoAccount = errors.New("no such phone")
	ErrNumber    = errors.New("not a phone number")
)

// numbers are those of the whole world: up to fifteen digits, the country first.
var numbers = regexp.MustCompile(`^[1-9][0-9]{6,14}$`)

// Roster is the directory. The zero value is empty and ready.
type Roster struct {
	accounts sync.Map // number -> *Account
	lids     sync.Map // hidden id -> *Account
	adding   sync.Mutex
}

// Profile is what an account is made of.
type Profile struct {
	Number       string
	Name         string
	Online       bool
	AutoDelivery bool
}

// Add makes an account with a fresh phone.
func (r *Roster) Add(batch *ledger.Batch, profile Profile) (*Account, error) {
	if !numbers.MatchString(profile.Number) {
		return nil, fmt.Errorf("%w: 7 to 15 digits expected, the country code first", ErrNumber)
	}
	device, err := phone.New(profile.Number)
	if err != nil {
		return nil, fmt.Errorf("make phone: %w", err)
	}
	r.adding.Lock()
	defer r.adding.Unlock()
	if _, exists := r.accounts.Load(profile.Number); exists {
		return nil, ErrExists
	}
	account := &Account{
		Number: profile.Number, LID: r.freeLID(profile.Number), Name: profile.Name,
		AutoDelivery: profile.AutoDelivery, Phone: device, Box: mailbox.New(DeviceName(profile.Number, 0)),
	}
	account.online.Store(profile.Online)
	if err := account.save(batch); err != nil {
		return nil, err
	}
	r.insert(account)
	return account, nil
}

func (r *Roster) insert(account *Account) {
	r.lids.Store(account.LID, account)
	r.accounts.Store(account.Number, account)
}

// freeLID derives a hidden id of fifteen digits from the number, so that an account gets the same one in every run.
func (r *Roster) freeLID(number string) string {
	hash := sha256.Sum256([]byte(number))
	const span = 900_000_000_000_000
	for candidate := binary.BigEndian.Uint64(hash[:]); ; candidate++ {
		lid := strconv.FormatUint(100_000_000_000_000+candidate%span, 10)
		if _, used := r.lids.Load(lid); !used {
			return lid
		}
	}
}

// Account finds an account by its number.
func (r *Roster) Account(number string) (*Account, error) {
	if found, ok := r.accounts.Load(number); ok {
		return found.(*Account), nil //nolint:forcetypeassert // Nothing else is stored.
	}
	return nil, ErrNoAccount
}

// ByJID finds an account by either kind of address, whatever its device.
func (r *Roster) ByJID(jid types.JID) (*Account, error) {
	switch jid.Server {
	case types.DefaultUserServer, types.LegacyUserServer:
		return r.Account(strings.TrimPrefix(jid.User, "+"))
	case types.HiddenUserServer:
		if found, ok := r.lids.Load(jid.User); ok {
			return found.(*Account), nil //nolint:forcetypeassert // Nothing else is stored.
		}
	}
	return nil, ErrNoAccount
}

// Accounts are all accounts, by their numbers.
func (r *Roster) Accounts() []*Account {
	var all []*Account
	r.accounts.Range(func(_, account any) bool {
		all = append(all, account.(*Account)) //nolint:forcetypeassert // Nothing else is stored.
		return true
	})
	slices.SortFunc(all, func(a, b *Account) int { return strings.Compare(a.Number, b.Number) })
	return all
}
