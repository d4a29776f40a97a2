package devicestore

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"
	waBinary "go.mau.fi/whatsmeow/binary"
	"go.mau.fi/whatsmeow/store"
	"go.mau.fi/whatsmeow/store/sqlstore"
	"go.mau.fi/whatsmeow/types"
	waEvents "go.mau.fi/whatsmeow/types/events"

	"wafleet/infra/wasim"
)

// keeper is whoever keeps the devices: our store, or stock as the oracle for what is wrong with it. If stock does well
// one day, whatsmeow is fixed and what we do about it can go.
type keeper interface {
	fresh(t *testing.T, number string) *store.Device
	loaded(t *testing.T, jid string) *store.Device
	restarted(t *testing.T) (keeper, *statements)
}

type oursKeeper struct{ *process }

func (k oursKeeper) fresh(t *testing.T, number string) *store.Device {
	t.Helper()
	return k.New(k.owner(t, number), bindNothing)
}

func (k oursKeeper) loaded(t *testing.T, jid string) *store.Device {
	t.Helper()
	return load(t, k.process, jid)
}

func (k oursKeeper) restarted(t *testing.T) (keeper, *statements) {
	t.Helper()
	p, traced := reopen(t, k.process)
	return oursKeeper{p}, traced
}

type stockKeeper struct {
	*sqlstore.Container

	p *process
}

func (k stockKeeper) fresh(*testing.T, string) *store.Device { return k.NewDevice() }

func (k stockKeeper) loaded(t *testing.T, jid string) *store.Device {
	t.Helper()
	device, err := k.GetDevice(t.Context(), mustJID(jid))
	require.NoError(t, err)
	require.NotNil(t, device)
	return device
}

func (k stockKeeper) restarted(t *testing.T) (keeper, *statements) {
	t.Helper()
	container, traced := stock(t, k.p)
	return stockKeeper{container, k.p}, traced
}

var keepers = map[string]func(t *testing.T) keeper{
	"ours": func(t *testing.T) keeper { t.Helper(); p, _ := openStore(t); return oursKeeper{p} },
	"stock": func(t *testing.T) keeper {
		t.Helper()
		p, _ := openStore(t)
		container, _ := stock(t, p)
		return stockKeeper{container, p}
	},
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
	c := newClient(t, s.New(s.owner(t, number), func(_ context.Context, jid, lid string) error {
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
	c := newClient(t, s.New(s.owner(t, number), func(context.Context, string, string) error { return taken }))
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
	for name, opened := range keepers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k := opened(t)
			us, them := newPhone(t), newPhone(t)
			ours, theirs := link(t, k, us), link(t, k, them)
			require.NoError(t, sendText(t, ours, them, "before"))
			awaitText(t, theirs, "before")
			require.NoError(t, sendText(t, theirs, us, "so that the session is settled"))
			awaitText(t, ours, "so that the session is settled")
			jid := ours.Store.ID.String()
			ours.hangUp(t.Context())

			k, _ = k.restarted(t)
			device := k.loaded(t, jid)
			device.LIDs = &forgetful{device.LIDs, func() store.LIDStore {
				k, _ := k.restarted(t)
				return k.loaded(t, jid).LIDs
			}}
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
	cold func() store.LIDStore
}

func (f *forgetful) GetManyLIDsForPNs(ctx context.Context, pns []types.JID) (map[types.JID]types.JID, error) {
	return f.cold().GetManyLIDsForPNs(ctx, pns)
}

func TestASendBurnsNoPrekeyOfItsOwn(t *testing.T) {
	t.Parallel()
	for name, opened := range keepers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k := opened(t)
			us, them := newPhone(t), newPhone(t)
			linked := link(t, k, us)
			require.NoError(t, sendText(t, linked, them, "so that there are sessions"))
			jid := linked.Store.ID.String()
			linked.hangUp(t.Context())

			c := login(t, k.loaded(t, jid))
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
		"identities": "device_identities", "sessions": "device_sessions", "lids": "device_lids", "tokens": "device_privacy_tokens",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, _ := openStore(t)
			us, them := newPhone(t), newPhone(t)
			theirs := link(t, oursKeeper{s}, them)
			linked := link(t, oursKeeper{s}, us)
			jid := linked.Store.ID.String()
			linked.hangUp(t.Context())
			restarted, _ := reopen(t, s)
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
	container, _ := stock(t, s)
	us, them := newPhone(t), newPhone(t)
	c := link(t, stockKeeper{container, s}, us)
	execute(t, s, "ALTER TABLE "+stockSchema+".whatsmeow_identity_keys RENAME TO away")
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
	linked := link(t, oursKeeper{s}, us)
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
	execute(t, s, "ALTER TABLE device_sessions RENAME TO away")
	_, err = whatsApp(t).SendText(t.Context(), them, us, "second")
	require.NoError(t, err)
	<-seen
	c.Disconnect()
	execute(t, s, "ALTER TABLE away RENAME TO device_sessions")
	require.Equal(t, 1, companionOf(t, c).Waiting, "not acked")
	require.Zero(t, received(t, c, isRetry))
	require.Empty(t, told[*waEvents.UndecryptableMessage](c, nil))

	again := login(t, load(t, s, jid))
	awaitText(t, again, "second")
	require.Equal(t, []string{"second"}, texts(again))
	require.Eventually(t, func() bool { return companionOf(t, again).Waiting == 0 }, patience, tick)
	require.Zero(t, received(t, again, isRetry))
}

func (w *watched) GetBufferedEvent(ctx context.Context, hash [32]byte) (*store.BufferedEvent, error) {
	event, err := w.EventBuffer.GetBufferedEvent(ctx, hash)
	if err != nil {
		w.seen <- struct{}{}
	}
	return event, err
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
	c := link(t, oursKeeper{s}, newPhone(t))
	jid, key := c.Store.ID.String(), *c.Store.IdentityKey.Priv
	c.DangerousInternals().HandleStreamError(t.Context(), &waBinary.Node{
		Tag: "stream:error", Attrs: waBinary.Attrs{"code": "401"},
		Content: []waBinary.Node{{Tag: "conflict", Attrs: waBinary.Attrs{"type": "device_removed"}}},
	})
	await[*waEvents.LoggedOut](t, c, nil)
	require.Nil(t, c.Store.ID)
	owner := s.owner(t, jid)
	_, err := s.Load(t.Context(), owner, jid)
	require.ErrorIs(t, err, ErrNoDevice)

	require.NoError(t, s.Restore(t.Context(), owner, jid))
	require.Equal(t, key, *load(t, s, jid).IdentityKey.Priv)
}
