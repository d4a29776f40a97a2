package devicestore

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.mau.fi/util/dbutil"
	waBinary "go.mau.fi/whatsmeow/binary"
	"go.mau.fi/whatsmeow/store"
	"go.mau.fi/whatsmeow/store/sqlstore"
	"go.mau.fi/whatsmeow/types"
	waEvents "go.mau.fi/whatsmeow/types/events"

	"wafleet/infra/wasim"
	"wafleet/shared/store/pgtest"
)

// Whoever has the device after a restart: our store, or stock as the oracle for what is wrong with it. If stock does
// well one day, whatsmeow is fixed and the workaround can go.
var owners = map[string]func(t *testing.T, s *Store, jid string) *store.Device{
	"ours":  load,
	"stock": stockDevice,
}

func load(t *testing.T, s *Store, jid string) *store.Device {
	t.Helper()
	device, err := s.Load(t.Context(), jid)
	require.NoError(t, err)
	return device
}

func TestPairingOnTheWire(t *testing.T) {
	t.Parallel()
	s, _ := openStore(t)
	number := newPhone(t)
	type bound struct {
		jid, lid string
		phone    wasim.Phone
	}
	bindings := make(chan bound, 1)
	c := newClient(t, s.New(func(_ context.Context, jid, lid string) error {
		phone, err := whatsApp(t).Phone(number)
		bindings <- bound{jid, lid, phone}
		return err
	}))
	companion, err := scan(t, c, number)
	require.NoError(t, err)
	binding := <-bindings
	require.Equal(t, companion.JID, binding.jid)
	require.Equal(t, companion.LID, binding.lid)
	require.Empty(t, binding.phone.Companions, "not confirmed before it was bound")
	reconnect(t, c)
	require.Equal(t, companion.JID, load(t, s, companion.JID).ID.String())
}

func TestPairingOnTheWireThatCannotBeBound(t *testing.T) {
	t.Parallel()
	s, _ := openStore(t)
	number := newPhone(t)
	taken := errors.New("number belongs to another company")
	c := newClient(t, s.New(func(context.Context, string, string) error { return taken }))
	_, err := scan(t, c, number)
	require.Error(t, err)
	require.ErrorIs(t, await[*waEvents.PairError](t, c, nil).Error, taken)
	phone, err := whatsApp(t).Phone(number)
	require.NoError(t, err)
	require.Empty(t, phone.Companions)
}

// The first message after a restart finds the LIDs of the recipient's devices in Postgres alone.
func TestTheFirstMessageAfterARestart(t *testing.T) {
	t.Parallel()
	for name, loaded := range owners {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url := pgtest.URL(t)
			s, _ := reopen(t, url)
			us, them := newPhone(t), newPhone(t)
			ours, theirs := link(t, s, us), link(t, s, them)
			require.NoError(t, sendText(t, ours, them, "before"))
			awaitText(t, theirs, "before")
			require.NoError(t, sendText(t, theirs, us, "so that the session is settled"))
			awaitText(t, ours, "so that the session is settled")
			jid := ours.Store.ID.String()
			ours.hangUp(t.Context())

			restarted, _ := reopen(t, url)
			device := loaded(t, restarted, jid)
			device.LIDs = &forgetful{LIDStore: restarted.stock.LIDMap, db: restarted.db}
			if name == "ours" {
				device.LIDs = &lids{device.LIDs}
			}
			ours = login(t, device)
			require.NoError(t, sendText(t, ours, them, "after"))
			awaitTextAt(t, them, "after")
			awaitText(t, theirs, "after")
			retries := received(t, theirs, isRetry)
			if name == "ours" {
				require.Zero(t, retries)
			} else {
				require.NotZero(t, retries, "whatsmeow is fixed: the workaround can go")
			}
		})
	}
}

// forgetful has a cold cache each time: a receipt that has come since the login may have warmed that of the process.
type forgetful struct {
	store.LIDStore
	db *dbutil.Database
}

func (f *forgetful) GetManyLIDsForPNs(ctx context.Context, pns []types.JID) (map[types.JID]types.JID, error) {
	return sqlstore.NewCachedLIDMap(f.db).GetManyLIDsForPNs(ctx, pns)
}

func TestASendBurnsNoPrekeyOfItsOwn(t *testing.T) {
	t.Parallel()
	for name, loaded := range owners {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, _ := openStore(t)
			us, them := newPhone(t), newPhone(t)
			linked := link(t, s, us)
			require.NoError(t, sendText(t, linked, them, "so that there are sessions"))
			jid := linked.Store.ID.String()
			linked.hangUp(t.Context())

			c := login(t, loaded(t, s, jid))
			before, requests := companionOf(t, c).PreKeys, received(t, c, isBundleRequest)
			for range 3 {
				require.NoError(t, sendText(t, c, them, "hello"))
			}
			burned, requests := before-companionOf(t, c).PreKeys, received(t, c, isBundleRequest)-requests
			if name == "ours" {
				require.Zero(t, burned)
				require.Zero(t, requests)
			} else {
				require.Equal(t, 3, burned, "whatsmeow is fixed: the workaround can go")
				require.Equal(t, 3, requests)
			}
		})
	}
}

// Without sessions each device is a bundle, an identity and a session; the table of one of them is gone.
func TestASendThatTheDatabaseInterrupts(t *testing.T) {
	t.Parallel()
	for name, broken := range map[string]string{
		"identities": "whatsmeow_identity_keys", "sessions": "whatsmeow_sessions", "lids": "whatsmeow_lid_map", "tokens": "whatsmeow_privacy_tokens",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url := pgtest.URL(t)
			s, _ := reopen(t, url)
			us, them := newPhone(t), newPhone(t)
			theirs := link(t, s, them)
			linked := link(t, s, us)
			jid := linked.Store.ID.String()
			linked.hangUp(t.Context())
			restarted, _ := reopen(t, url)
			ours := login(t, load(t, restarted, jid))

			execute(t, restarted, "ALTER TABLE "+broken+" RENAME TO away")
			require.Error(t, sendText(t, ours, them, "lost"))
			require.Zero(t, received(t, ours, isMessage), "no frame")
			execute(t, restarted, "ALTER TABLE away RENAME TO "+broken)

			require.NoError(t, sendText(t, ours, them, "found"))
			awaitTextAt(t, them, "found")
			awaitText(t, theirs, "found")
			require.Equal(t, []string{"found"}, texts(theirs))
			require.Zero(t, received(t, theirs, isRetry))
			awaitTextAt(t, us, "found")
		})
	}
}

// This is what the abort is for.
func TestStockReportsSuccessForAnInterruptedSend(t *testing.T) {
	t.Parallel()
	s, _ := openStore(t)
	us, them := newPhone(t), newPhone(t)
	linked := link(t, s, us)
	jid := linked.Store.ID.String()
	linked.hangUp(t.Context())
	c := login(t, stockDevice(t, s, jid))
	execute(t, s, "ALTER TABLE whatsmeow_identity_keys RENAME TO away")
	require.NoError(t, sendText(t, c, them, "lost"), "whatsmeow is fixed: the workaround can go")
	messages, err := whatsApp(t).Messages(them)
	require.NoError(t, err)
	require.Empty(t, messages)
}

// A message that comes while the database is away is delivered again, and read then.
func TestAMessageThatComesDuringAnOutage(t *testing.T) {
	t.Parallel()
	s, _ := openStore(t)
	us, them := newPhone(t), newPhone(t)
	linked := link(t, s, us)
	jid := linked.Store.ID.String()
	linked.hangUp(t.Context())
	device := load(t, s, jid)
	seen := make(chan struct{}, 16)
	device.EventBuffer = &watched{EventBuffer: device.EventBuffer, seen: seen}
	c := login(t, device)
	_, err := whatsApp(t).SendText(t.Context(), them, us, "first")
	require.NoError(t, err)
	awaitText(t, c, "first")
	require.Eventually(t, func() bool { return companionOf(t, c).Waiting == 0 }, patience, tick)

	<-seen
	execute(t, s, "ALTER TABLE whatsmeow_sessions RENAME TO away")
	_, err = whatsApp(t).SendText(t.Context(), them, us, "second")
	require.NoError(t, err)
	<-seen
	c.Disconnect()
	execute(t, s, "ALTER TABLE away RENAME TO whatsmeow_sessions")
	require.Equal(t, 1, companionOf(t, c).Waiting, "not acked")
	require.Zero(t, received(t, c, isRetry))
	require.Empty(t, told[*waEvents.UndecryptableMessage](c, nil))

	again := login(t, load(t, s, jid))
	awaitText(t, again, "second")
	require.Equal(t, []string{"second"}, texts(again))
	require.Eventually(t, func() bool { return companionOf(t, again).Waiting == 0 }, patience, tick)
	require.Zero(t, received(t, again, isRetry))
}

// watched tells when something was decrypted, or was not.
type watched struct {
	store.EventBuffer
	seen chan<- struct{}
}

func (w *watched) DoDecryptionTxn(ctx context.Context, decrypt func(context.Context) error) error {
	defer func() { w.seen <- struct{}{} }()
	return w.EventBuffer.DoDecryptionTxn(ctx, decrypt)
}

// One bad day at WhatsApp is not the end of a pairing. The stanza is handed to whatsmeow here, because it does not look at
// the last one when the socket closes right behind it.
func TestAnUnlinkedDeviceKeepsItsKeys(t *testing.T) {
	t.Parallel()
	s, _ := openStore(t)
	c := link(t, s, newPhone(t))
	jid, key := c.Store.ID.String(), *c.Store.IdentityKey.Priv
	c.DangerousInternals().HandleStreamError(t.Context(), &waBinary.Node{
		Tag: "stream:error", Attrs: waBinary.Attrs{"code": "401"},
		Content: []waBinary.Node{{Tag: "conflict", Attrs: waBinary.Attrs{"type": "device_removed"}}},
	})
	await[*waEvents.LoggedOut](t, c, nil)
	require.Nil(t, c.Store.ID)
	_, err := s.Load(t.Context(), jid)
	require.ErrorIs(t, err, ErrNoDevice)

	require.NoError(t, s.Restore(t.Context(), jid))
	require.Equal(t, key, *load(t, s, jid).IdentityKey.Priv)
}

// TestStatementsOnTheWire says what work costs in statements, for a recipient with a phone and a companion.
func TestStatementsOnTheWire(t *testing.T) {
	t.Parallel()
	for name, loaded := range owners {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url := pgtest.URL(t)
			s, _ := reopen(t, url)
			us, them := newPhone(t), newPhone(t)
			linked, theirs := link(t, s, us), link(t, s, them)
			require.NoError(t, sendText(t, linked, them, "so that there are sessions"))
			jid := linked.Store.ID.String()
			linked.hangUp(t.Context())

			counted, traced := reopen(t, url)
			ours := login(t, loaded(t, counted, jid))
			for _, text := range []string{"once", "twice"} { // fills caches
				require.NoError(t, sendText(t, ours, them, text))
				require.NoError(t, sendText(t, theirs, us, text))
				awaitText(t, ours, text)
			}
			quiet(t, traced, ours)

			require.NoError(t, sendText(t, ours, them, "counted"))
			sent := quiet(t, traced, ours)
			require.NoError(t, sendText(t, theirs, us, "counted"))
			awaitText(t, ours, "counted")
			got := quiet(t, traced, ours)
			t.Logf("%s: %d statements for a send, %d for a message", name, len(sent), len(got))
			if name == "ours" {
				require.Len(t, sent, 3)
				require.Len(t, got, 8)
			}
		})
	}
}

// quiet returns the statements so far, once WhatsApp has everything acked; without those for push names, for which
// whatsmeow has goroutines that nobody waits for.
func quiet(t *testing.T, traced *statements, c *client) []string {
	t.Helper()
	require.Eventually(t, func() bool { return companionOf(t, c).Waiting == 0 }, patience, tick)
	return slices.DeleteFunc(traced.take(), func(statement string) bool {
		return strings.Contains(statement, "whatsmeow_contacts")
	})
}
