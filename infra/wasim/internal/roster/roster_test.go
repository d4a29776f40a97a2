package roster_test

import (
	"path/filepath"
	"strconv"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"go.mau.fi/whatsmeow/types"

	"wafleet/infra/wasim/internal/content"
	"wafleet/infra/wasim/internal/ledger"
	"wafleet/infra/wasim/internal/mailbox"
	"wafleet/infra/wasim/internal/phone"
	"wafleet/infra/wasim/internal/roster"
	"wafleet/infra/wasim/internal/stanza"
)

const number = "79001234567"

// kept is a roster with its ledger, which can be opened again.
type kept struct {
	*roster.Roster

	ledger *ledger.Ledger
	path   string
}

func open(t *testing.T, path string) *kept {
	t.Helper()
	l, err := ledger.Open(path, roster.Buckets()...)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, l.Close()) })
	k := &kept{Roster: &roster.Roster{}, ledger: l, path: path}
	require.NoError(t, k.Restore(l))
	return k
}

func fresh(t *testing.T) *kept {
	t.Helper()
	return open(t, filepath.Join(t.TempDir(), "state"))
}

func (k *kept) again(t *testing.T) *kept {
	t.Helper()
	require.NoError(t, k.ledger.Close())
	return open(t, k.path)
}

func (k *kept) add(t *testing.T, number string) *roster.Account {
	t.Helper()
	var batch ledger.Batch
	account, err := k.Add(&batch, roster.Profile{Number: number, Name: "Anna", Online: true, AutoDelivery: true})
	require.NoError(t, err)
	require.NoError(t, k.ledger.Commit(batch))
	return account
}

func (k *kept) link(t *testing.T, account *roster.Account) *roster.Device {
	t.Helper()
	id, keyIndex, err := account.Reserve(k.ledger)
	require.NoError(t, err)
	device := roster.NewDevice(account, id, keyIndex, [32]byte{byte(id)}, published(byte(id)))
	device.Platform = "test"
	var batch ledger.Batch
	require.NoError(t, account.Link(&batch, device))
	require.NoError(t, k.ledger.Commit(batch))
	return device
}

func published(seed byte) roster.Published {
	fill := func(n int) []byte {
		filled := make([]byte, n)
		filled[0] = seed
		return filled
	}
	return roster.Published{
		Registration: fill(4), Identity: fill(32), SignedID: fill(3), SignedKey: fill(32), Signature: fill(64),
	}
}

func oneTime(ids ...byte) []roster.OneTime {
	var keys []roster.OneTime
	for _, id := range ids {
		keys = append(keys, roster.OneTime{ID: [3]byte{0, 0, id}, Key: [32]byte{id}})
	}
	return keys
}

func TestAccounts(t *testing.T) {
	t.Parallel()
	k := fresh(t)
	account := k.add(t, number)
	require.Len(t, account.LID, 15)
	for _, jid := range []types.JID{
		account.JID(), account.LIDJID(), types.NewJID("+"+number, types.LegacyUserServer),
		{User: number, Device: 7, Server: types.DefaultUserServer},
	} {
		found, err := k.ByJID(jid)
		require.NoError(t, err)
		require.Same(t, account, found)
	}
	for _, jid := range []types.JID{types.EmptyJID, types.NewJID(number, types.GroupServer), types.NewJID(number, types.HiddenUserServer)} {
		_, err := k.ByJID(jid)
		require.ErrorIs(t, err, roster.ErrNoAccount)
	}
	var batch ledger.Batch
	_, err := k.Add(&batch, roster.Profile{Number: number})
	require.ErrorIs(t, err, roster.ErrExists)
	for _, wrong := range []string{"", "abc", "+79001234567", "07900123456", "123456", "1234567890123456"} {
		_, err := k.Add(&batch, roster.Profile{Number: wrong})
		require.ErrorIs(t, err, roster.ErrNumber, wrong)
	}
	k.add(t, "78001234567")
	require.Equal(t, "78001234567", k.Accounts()[0].Number)
	elsewhere, err := (&roster.Roster{}).Add(&batch, roster.Profile{Number: number})
	require.NoError(t, err)
	require.Equal(t, account.LID, elsewhere.LID, "the same in every run")
}

func TestDevices(t *testing.T) {
	t.Parallel()
	k := fresh(t)
	account := k.add(t, number)
	first, second := k.link(t, account), k.link(t, account)
	require.Equal(t, []*roster.Device{first, second}, account.Devices())
	require.Equal(t, number+":2", second.Name())
	require.Equal(t, number+":2@s.whatsapp.net", second.JID().String())
	require.Equal(t, account.LID+":2@lid", second.LIDJID().String())
	before := account.Devices()
	var batch ledger.Batch
	removed, err := account.Unlink(&batch, 1)
	require.NoError(t, err)
	require.Same(t, first, removed)
	require.True(t, first.Gone())
	require.Len(t, before, 2, "who reads the list is not disturbed")
	_, err = account.Unlink(&batch, 1)
	require.ErrorIs(t, err, roster.ErrNoDevice)
	third := k.link(t, account)
	require.Equal(t, uint16(3), third.ID)
	require.NotEqual(t, first.Peer(), third.Peer())
}

func TestDeviceNumbersBeginAgain(t *testing.T) {
	t.Parallel()
	k := &kept{Roster: &roster.Roster{}, ledger: &ledger.Ledger{}}
	account := k.add(t, number)
	k.link(t, account)
	for range 253 {
		_, _, err := account.Reserve(k.ledger)
		require.NoError(t, err)
	}
	require.Equal(t, uint16(255), k.link(t, account).ID)
	reused := k.link(t, account)
	require.Equal(t, uint16(2), reused.ID, "the lowest free one")
	require.Equal(t, uint32(256), reused.KeyIndex, "but never the same keys")
}

func TestPreKeys(t *testing.T) {
	t.Parallel()
	k := fresh(t)
	device := k.link(t, k.add(t, number))
	upload := func(d *roster.Device, ids ...byte) {
		var batch ledger.Batch
		d.Keys.Upload(&batch, published(9), oneTime(ids...))
		require.NoError(t, d.Save(&batch))
		require.NoError(t, k.ledger.Commit(batch))
	}
	take := func(d *roster.Device) roster.Taken {
		taken, pending := d.Keys.Take(k.ledger)
		require.NoError(t, pending.Wait())
		return taken
	}
	require.False(t, take(device).OK)
	upload(device, 1, 2, 3, 4, 5, 6)
	upload(device, 5, 6, 7)
	require.Equal(t, 7, device.Keys.Left(), "5 and 6 were there")
	require.Equal(t, published(9), device.Keys.Published())
	for id := byte(1); id <= 2; id++ {
		taken := take(device)
		require.Equal(t, id, taken.ID[2], "in the order of the upload")
		require.False(t, taken.Low)
	}

	k = k.again(t)
	account, err := k.Account(number)
	require.NoError(t, err)
	device, err = account.Device(1)
	require.NoError(t, err)
	require.Equal(t, published(9), device.Keys.Published())
	require.Equal(t, 5, device.Keys.Left())
	require.Len(t, device.Keys.IDs(), 5)
	taken := take(device)
	require.Equal(t, byte(3), taken.ID[2], "none is given out twice")
	require.True(t, taken.Low)
	require.Equal(t, 4, taken.Left)
	require.False(t, take(device).Low, "told once")
	upload(device, 8, 9, 10)
	require.Equal(t, 6, device.Keys.Left())
	for range 6 {
		require.True(t, take(device).OK)
	}
	require.False(t, take(device).OK)
	upload(device, 11)
	var batch ledger.Batch
	device.Keys.Drop(&batch)
	require.NoError(t, k.ledger.Commit(batch))
	require.Zero(t, device.Keys.Left())
	device.Keys.Rotate([]byte{1, 1, 1}, make([]byte, 32), make([]byte, 64))
	require.Equal(t, []byte{1, 1, 1}, device.Keys.Published().SignedID)
	require.Equal(t, published(9).Identity, device.Keys.Published().Identity)

	k = k.again(t)
	account, err = k.Account(number)
	require.NoError(t, err)
	require.Zero(t, account.Devices()[0].Keys.Left())
}

func TestPreKeysAreGivenOutOnce(t *testing.T) {
	t.Parallel()
	k := fresh(t)
	device := k.link(t, k.add(t, number))
	var ids []byte
	for id := range byte(200) {
		ids = append(ids, id)
	}
	var batch ledger.Batch
	device.Keys.Upload(&batch, published(1), oneTime(ids...))
	var mu sync.Mutex
	given := map[[3]byte]bool{}
	var takers sync.WaitGroup
	for range 8 {
		takers.Go(func() {
			for range 25 {
				taken, _ := device.Keys.Take(k.ledger)
				mu.Lock()
				given[taken.ID] = true
				mu.Unlock()
			}
		})
	}
	takers.Wait()
	require.Len(t, given, 200)
}

func TestSeen(t *testing.T) {
	t.Parallel()
	k := fresh(t)
	device := k.link(t, k.add(t, number))
	see := func(d *roster.Device, chat, id string) bool {
		var batch ledger.Batch
		before := d.See(&batch, chat, id)
		require.NoError(t, k.ledger.Commit(batch))
		return before
	}
	require.False(t, see(device, "1", "a"))
	require.True(t, see(device, "1", "a"))
	require.False(t, see(device, "2", "a"), "another chat")
	k = k.again(t)
	account, err := k.Account(number)
	require.NoError(t, err)
	device = account.Devices()[0]
	require.True(t, see(device, "1", "a"))
	var batch ledger.Batch
	for i := range 10_000 {
		require.False(t, device.See(&batch, "1", strconv.Itoa(i)))
	}
	require.False(t, device.See(&batch, "1", "a"), "forgotten at last")
}

func TestEverythingIsRestored(t *testing.T) {
	t.Parallel()
	k := fresh(t)
	account := k.add(t, number)
	other := k.add(t, "79007654321")
	device := k.link(t, account)
	gone := k.link(t, account)
	pending, err := account.SetOnline(k.ledger, false)
	require.NoError(t, err)
	require.NoError(t, pending.Wait())
	var batch ledger.Batch
	require.True(t, account.Meet(&batch, other))
	require.False(t, account.Meet(&batch, other))
	for _, box := range []*mailbox.Box{device.Box, gone.Box, account.Box} {
		_, err = box.Put(&batch, mailbox.Key{Class: "message", ID: "m"}, stanza.New("message", nil))
		require.NoError(t, err)
	}
	require.NoError(t, account.Phone.Keep(&batch, phone.Message{ID: "r", Content: content.Content{Type: content.Text, Text: "x"}}))
	_, err = account.Unlink(&batch, gone.ID)
	require.NoError(t, err)
	require.NoError(t, k.ledger.Commit(batch))

	k = k.again(t)
	restored, err := k.Account(number)
	require.NoError(t, err)
	require.Equal(t, account.LID, restored.LID)
	require.Equal(t, "Anna", restored.Name)
	require.True(t, restored.AutoDelivery)
	require.False(t, restored.Online())
	require.Equal(t, account.Phone.Identity(), restored.Phone.Identity())
	require.Equal(t, []string{"79007654321"}, restored.Peers())
	require.Equal(t, 1, restored.Box.Len())
	require.Len(t, restored.Phone.Messages(), 1)
	require.Len(t, restored.Devices(), 1)
	again := restored.Devices()[0]
	require.Equal(t, 1, again.Box.Len())
	require.Equal(t, device.Noise, again.Noise)
	require.Equal(t, device.Identity, again.Identity)
	require.Equal(t, "test", again.Platform)
	require.True(t, device.LinkedAt.Equal(again.LinkedAt))
	require.Equal(t, uint16(3), k.link(t, restored).ID, "numbers go on")
}

func TestDamagedRecords(t *testing.T) {
	t.Parallel()
	for _, damage := range []struct {
		bucket     ledger.Bucket
		key, value string
	}{
		{roster.BucketAccounts, "79", "no JSON"},
		{roster.BucketAccounts, "79", "{}"},
		{roster.BucketDevices, number + ":1", "no JSON"},
		{roster.BucketDevices, number + ":1", "{}"},
		{roster.BucketDevices, "unknown:1", "{}"},
		{roster.BucketPreKeys, number + ":1/00000001", "short"},
		{roster.BucketTaken, number + ":1/00000001", "x"},
		{roster.BucketSeen, number + ":1/0000", "x"},
		{mailbox.Bucket, number + ":1/zz", "x"},
		{phone.BucketRows, number + "/0000000000000000", "no JSON"},
		{phone.BucketRows, "unknown/0000000000000000", "{}"},
		{phone.BucketSent, number + "/0000", "no JSON"},
		{phone.BucketPreKeys, number + "/000001", "short"},
	} {
		k := fresh(t)
		k.link(t, k.add(t, number))
		var batch ledger.Batch
		batch.Put(damage.bucket, damage.key, []byte(damage.value))
		require.NoError(t, k.ledger.Commit(batch))
		require.Error(t, (&roster.Roster{}).Restore(k.ledger), damage)
	}
}
