package devicestore

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"
	"go.mau.fi/whatsmeow/store"

	"wafleet/infra/wasim"
)

// source is a pool on the stock tables of a test.
func source(t *testing.T, p *process) *pgxpool.Pool {
	t.Helper()
	config, err := pgxpool.ParseConfig(p.database.Pool.Config().ConnString())
	require.NoError(t, err)
	config.ConnConfig.RuntimeParams["search_path"] = stockSchema
	pool, err := pgxpool.NewWithConfig(context.WithoutCancel(t.Context()), config)
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	return pool
}

// imported copies the only stock device of a test, and returns it as ours.
func imported(t *testing.T, p *process) *store.Device {
	t.Helper()
	from := source(t, p)
	devices, err := StockDevices(t.Context(), from)
	require.NoError(t, err)
	require.Len(t, devices, 1)
	owner := p.owner(t, devices[0].JID)
	require.NoError(t, pgx.BeginFunc(t.Context(), p.database.Pool, func(tx pgx.Tx) error {
		return p.Import(t.Context(), tx, owner.CompanyID, from, devices[0])
	}))
	again, _ := reopen(t, p)
	return load(t, again, devices[0].JID)
}

// A device that whatsmeow's own store was used with goes on with ours where it stopped: no phone is needed, what was sent to
// it in between is read, and what it sends is.
func TestAnImportedDeviceGoesOn(t *testing.T) {
	t.Parallel()
	p, _ := openStore(t)
	container, _ := stock(t, p)
	number, anna := newPhone(t), newPhone(t)
	before := link(t, stockKeeper{container, p}, number)
	require.NoError(t, sendText(t, before, anna, "by stock"))
	awaitTextAt(t, anna, "by stock")
	_, err := whatsApp(t).SendMessage(t.Context(), anna, wasim.Outgoing{To: number, Content: wasim.Content{Type: wasim.Text, Text: "to stock"}})
	require.NoError(t, err)
	awaitText(t, before, "to stock")
	before.hangUp(t.Context())
	_, err = whatsApp(t).SendMessage(t.Context(), anna, wasim.Outgoing{To: number, Content: wasim.Content{Type: wasim.Text, Text: "in between"}})
	require.NoError(t, err)

	after := login(t, imported(t, p))
	awaitText(t, after, "in between")
	require.NoError(t, sendText(t, after, anna, "by ours"))
	awaitTextAt(t, anna, "by ours")
	require.Empty(t, received(t, after, isRetry), "every message could be read at once")
	require.Zero(t, count(t, p, `SELECT count(*) FROM devices WHERE tombstoned_at IS NOT NULL`))
}

// Everything that stock keeps for a device is there, and opens; of the others' nothing is.
func TestEverythingIsImported(t *testing.T) {
	t.Parallel()
	p, _ := openStore(t)
	container, _ := stock(t, p)
	ctx, device := t.Context(), withIdentity(container.NewDevice(), "79001000001:1@s.whatsapp.net", "1001:1@lid")
	device.PushName = "Salon"
	require.NoError(t, device.Save(ctx))
	anna, annaLID := mustJID("79001111111@s.whatsapp.net"), mustJID("2002@lid")
	group, at := mustJID("123@g.us"), time.Unix(1_700_000_000, 0)
	require.NoError(t, device.Identities.PutIdentity(ctx, "2002_1:0", [32]byte{1}))
	require.NoError(t, device.Sessions.PutSession(ctx, "2002_1:0", []byte("session")))
	_, err := device.PreKeys.GetOrGenPreKeys(ctx, 5)
	require.NoError(t, err)
	require.NoError(t, device.PreKeys.MarkPreKeysAsUploaded(ctx, 3))
	require.NoError(t, device.SenderKeys.PutSenderKey(ctx, group.String(), "2002_1:0", []byte("sender key")))
	require.NoError(t, device.AppStateKeys.PutAppStateSyncKey(ctx, []byte("id"), store.AppStateSyncKey{Data: []byte("data"), Fingerprint: []byte("print"), Timestamp: 7}))
	require.NoError(t, device.AppState.PutAppStateVersion(ctx, "regular", 4, [128]byte{9}))
	require.NoError(t, device.AppState.PutAppStateMutationMACs(ctx, "regular", 4, []store.AppStateMutationMAC{{IndexMAC: make([]byte, 32), ValueMAC: make([]byte, 32)}}))
	require.NoError(t, device.Contacts.PutContactName(ctx, anna, "Anna", "Anna Smith"))
	_, _, err = device.Contacts.PutPushName(ctx, mustJID("79003333333@s.whatsapp.net"), "Boris")
	require.NoError(t, err)
	require.NoError(t, device.ChatSettings.PutMutedUntil(ctx, anna, at))
	require.NoError(t, device.ChatSettings.PutPinned(ctx, anna, true))
	require.NoError(t, device.MsgSecrets.PutMessageSecret(ctx, anna, anna, "3EB0", []byte("secret")))
	require.NoError(t, device.PrivacyTokens.PutPrivacyTokens(ctx, store.PrivacyToken{User: anna, Token: []byte("token"), Timestamp: at}))
	require.NoError(t, device.EventBuffer.PutBufferedEvent(ctx, [32]byte{5}, []byte("plaintext"), at))
	require.NoError(t, device.EventBuffer.PutBufferedEvent(ctx, [32]byte{6}, nil, at))
	require.NoError(t, device.LIDs.PutManyLIDMappings(ctx, []store.LIDMapping{
		{LID: annaLID, PN: anna}, {LID: mustJID("9009@lid"), PN: mustJID("79009999999@s.whatsapp.net")},
	}))

	ours := imported(t, p)
	require.Equal(t, device.NoiseKey, ours.NoiseKey)
	require.Equal(t, device.IdentityKey, ours.IdentityKey)
	require.Equal(t, device.SignedPreKey, ours.SignedPreKey)
	require.Equal(t, device.AdvSecretKey, ours.AdvSecretKey)
	require.Equal(t, device.RegistrationID, ours.RegistrationID)
	require.Equal(t, device.LID, ours.LID)
	require.Equal(t, "Salon", ours.PushName)
	for what, ask := range map[string]func(d *store.Device) (any, error){
		"session": func(d *store.Device) (any, error) { return d.Sessions.GetSession(ctx, "2002_1:0") },
		"identity": func(d *store.Device) (any, error) {
			return d.Identities.IsTrustedIdentity(ctx, "2002_1:0", [32]byte{1})
		},
		"prekey":        func(d *store.Device) (any, error) { return d.PreKeys.GetPreKey(ctx, 4) },
		"uploaded":      func(d *store.Device) (any, error) { return d.PreKeys.UploadedPreKeyCount(ctx) },
		"sender key":    func(d *store.Device) (any, error) { return d.SenderKeys.GetSenderKey(ctx, group.String(), "2002_1:0") },
		"app state key": func(d *store.Device) (any, error) { return d.AppStateKeys.GetAppStateSyncKey(ctx, []byte("id")) },
		"app state": func(d *store.Device) (any, error) {
			version, hash, err := d.AppState.GetAppStateVersion(ctx, "regular")
			return fmt.Sprint(version, hash), err
		},
		"app state mac": func(d *store.Device) (any, error) {
			return d.AppState.GetAppStateMutationMAC(ctx, "regular", make([]byte, 32))
		},
		"contacts": func(d *store.Device) (any, error) { return d.Contacts.GetAllContacts(ctx) },
		"chat":     func(d *store.Device) (any, error) { return d.ChatSettings.GetChatSettings(ctx, anna) },
		"secret": func(d *store.Device) (any, error) {
			secret, _, err := d.MsgSecrets.GetMessageSecret(ctx, anna, anna, "3EB0")
			return secret, err
		},
		"token": func(d *store.Device) (any, error) { return d.PrivacyTokens.GetPrivacyToken(ctx, anna) },
		"event": func(d *store.Device) (any, error) {
			event, err := d.EventBuffer.GetBufferedEvent(ctx, [32]byte{5})
			return string(event.Plaintext), err
		},
		"handled event": func(d *store.Device) (any, error) {
			event, err := d.EventBuffer.GetBufferedEvent(ctx, [32]byte{6})
			return event.Plaintext, err
		},
		"lid": func(d *store.Device) (any, error) { return d.LIDs.GetLIDForPN(ctx, anna) },
	} {
		want, err := ask(device)
		require.NoError(t, err, what)
		got, err := ask(ours)
		require.NoError(t, err, what)
		require.EqualValues(t, want, got, what)
		require.NotEmpty(t, fmt.Sprint(got), what)
	}
	require.Zero(t, count(t, p, `SELECT count(*) FROM device_lids WHERE pn = '79009999999'`), "whom the device does not know")
	require.Equal(t, 1, count(t, p, `SELECT count(*) FROM device_lids`))
}

// A database of another version is not guessed at, and one that is none is told so.
func TestAStockDatabaseOfAnotherVersion(t *testing.T) {
	t.Parallel()
	p, _ := openStore(t)
	from := source(t, p)
	_, err := StockDevices(t.Context(), from)
	require.ErrorContains(t, err, "whatsmeow_version")
	stock(t, p)
	devices, err := StockDevices(t.Context(), from)
	require.NoError(t, err)
	require.Empty(t, devices)
	for _, version := range []string{"version = 7, compat = 7", "version = 20, compat = 15"} {
		_, err = from.Exec(t.Context(), `UPDATE whatsmeow_version SET `+version)
		require.NoError(t, err)
		_, err = StockDevices(t.Context(), from)
		require.ErrorIs(t, err, ErrStockVersion)
	}
	_, err = from.Exec(t.Context(), `UPDATE whatsmeow_version SET version = 12, compat = 8`)
	require.NoError(t, err)
	_, err = StockDevices(t.Context(), from)
	require.NoError(t, err, "a newer one that says that we may read it")
}
