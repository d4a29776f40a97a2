package devicestore

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"wafleet/shared/store/pgtest"
)

const (
	testJID = "79001000001:1@s.whatsapp.net"
	testLID = "1001:1@lid"
)

func TestOpenByManyAtOnce(t *testing.T) {
	t.Parallel()
	url := pgtest.URL(t)
	errs := make([]error, 4)
	var wg sync.WaitGroup
	for i := range errs {
		wg.Go(func() {
			s, err := Open(t.Context(), url, Config{}, slog.New(slog.DiscardHandler))
			if err == nil {
				err = s.Close()
			}
			errs[i] = err
		})
	}
	wg.Wait()
	require.NoError(t, errors.Join(errs...))
}

func TestOpenKeepsToItsSchema(t *testing.T) {
	t.Parallel()
	url := pgtest.URL(t)
	conn, err := pgx.Connect(t.Context(), url)
	require.NoError(t, err)
	defer func() { require.NoError(t, conn.Close(context.WithoutCancel(t.Context()))) }()
	// Somebody's own whatsmeow beside ours.
	_, err = conn.Exec(t.Context(), "CREATE TABLE public.whatsmeow_version (version int, compat int); INSERT INTO public.whatsmeow_version VALUES (99, 99)")
	require.NoError(t, err)

	s, _ := reopen(t, url)
	pair(t, s, testJID, testLID)
	var schemas []string
	require.NoError(t, conn.QueryRow(t.Context(), `SELECT array_agg(DISTINCT table_schema::text) FROM information_schema.tables
		WHERE table_name LIKE 'whatsmeow\_%' AND table_name <> 'whatsmeow_version' OR table_name = 'wafleet_tombstones'`).Scan(&schemas))
	require.Equal(t, []string{"whatsmeow"}, schemas)
}

func TestOpenErrors(t *testing.T) {
	t.Parallel()
	for name, url := range map[string]string{"no url": "::", "no server": "postgres://nobody@127.0.0.1:1/none"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := Open(t.Context(), url, Config{}, slog.New(slog.DiscardHandler))
			require.Error(t, err)
		})
	}
}

func TestPairing(t *testing.T) {
	t.Parallel()
	url := pgtest.URL(t)
	s, _ := reopen(t, url)
	bound := ""
	device := unpairedDevice(s, testJID, testLID, func(ctx context.Context, jid, lid string) error {
		bound = jid + " " + lid
		require.Equal(t, 1, count(t, s, "SELECT count(*) FROM whatsmeow_device"), "keys are stored before the JID is bound")
		_, err := s.Load(ctx, jid)
		require.ErrorIs(t, err, ErrNoDevice, "a process that died here must not come up with this device")
		return nil
	})
	require.NoError(t, device.Save(t.Context()))
	require.Equal(t, testJID+" "+testLID, bound)

	again, _ := reopen(t, url)
	loaded, err := again.Load(t.Context(), testJID)
	require.NoError(t, err)
	require.Equal(t, device.IdentityKey, loaded.IdentityKey)
	require.Equal(t, device.NoiseKey, loaded.NoiseKey)
	require.Equal(t, device.SignedPreKey, loaded.SignedPreKey)
	require.Equal(t, device.AdvSecretKey, loaded.AdvSecretKey)
	require.Equal(t, device.RegistrationID, loaded.RegistrationID)
	require.Equal(t, device.LID, loaded.LID)
}

func TestPairingThatCannotBeBound(t *testing.T) {
	t.Parallel()
	s, _ := openStore(t)
	taken := errors.New("number belongs to another company")
	attempts := 0
	device := unpairedDevice(s, testJID, testLID, func(context.Context, string, string) error {
		attempts++
		return taken
	})
	require.ErrorIs(t, device.Save(t.Context()), taken)
	_, err := s.Load(t.Context(), testJID)
	require.ErrorIs(t, err, ErrNoDevice)

	require.ErrorIs(t, device.Save(t.Context()), taken, "a second Save must not get round bind")
	require.Equal(t, 2, attempts)
}

func TestPairingThatCannotBeStored(t *testing.T) {
	t.Parallel()
	s, _ := openStore(t)
	device := unpairedDevice(s, testJID, testLID, func(context.Context, string, string) error {
		t.Error("bound without keys")
		return nil
	})
	execute(t, s, "ALTER TABLE whatsmeow_device RENAME TO away")
	require.Error(t, device.Save(t.Context()))
	execute(t, s, "ALTER TABLE away RENAME TO whatsmeow_device")
	require.Zero(t, count(t, s, "SELECT count(*) FROM whatsmeow_device"))
}

func TestPairingReplacesADeadDeviceOfTheSameJID(t *testing.T) {
	t.Parallel()
	s, _ := openStore(t)
	dead := pair(t, s, testJID, testLID)
	require.NoError(t, dead.Sessions.PutSession(t.Context(), "1002_1:0", []byte("old")))
	require.NoError(t, dead.Delete(t.Context()))

	device := pair(t, s, testJID, testLID)
	loaded, err := s.Load(t.Context(), testJID)
	require.NoError(t, err)
	require.Equal(t, device.IdentityKey, loaded.IdentityKey, "stock keeps the keys of the first")
	has, err := loaded.Sessions.HasSession(t.Context(), "1002_1:0")
	require.NoError(t, err)
	require.False(t, has, "sessions belong to keys")
}

func TestSaveOfAPairedDevice(t *testing.T) {
	t.Parallel()
	s, _ := openStore(t)
	pair(t, s, testJID, testLID)
	device, err := s.Load(t.Context(), testJID)
	require.NoError(t, err)
	device.PushName = "Anna"
	require.NoError(t, device.Save(t.Context()))
	loaded, err := s.Load(t.Context(), testJID)
	require.NoError(t, err)
	require.Equal(t, "Anna", loaded.PushName)
}

func TestDeletionByWhatsmeowKeepsTheKeys(t *testing.T) {
	t.Parallel()
	s, _ := openStore(t)
	device := pair(t, s, testJID, testLID)
	require.NoError(t, device.Sessions.PutSession(t.Context(), "1002_1:0", []byte("session")))
	identity := device.IdentityKey

	require.NoError(t, device.Delete(t.Context())) // what whatsmeow does on 401, 403 and 406
	require.Nil(t, device.ID)
	_, err := s.Load(t.Context(), testJID)
	require.ErrorIs(t, err, ErrNoDevice)
	require.NoError(t, s.CleanUp(t.Context()))

	require.NoError(t, s.Restore(t.Context(), testJID))
	restored, err := s.Load(t.Context(), testJID)
	require.NoError(t, err)
	require.Equal(t, identity, restored.IdentityKey)
	session, err := restored.Sessions.GetSession(t.Context(), "1002_1:0")
	require.NoError(t, err)
	require.Equal(t, []byte("session"), session)
}

func TestDelete(t *testing.T) {
	t.Parallel()
	s, _ := openStore(t)
	kept := "79001000009:1@s.whatsapp.net"
	fill(t, pair(t, s, kept, "1009:1@lid"))
	fill(t, pair(t, s, testJID, testLID))
	require.NoError(t, s.Delete(t.Context(), testJID))

	rows := rowsByTable(t, s)
	for table, owners := range rows {
		require.NotContains(t, owners, testJID, table)
		require.Contains(t, owners, kept, table)
	}
	require.Greater(t, len(rows), 8)
	_, err := s.Load(t.Context(), testJID)
	require.ErrorIs(t, err, ErrNoDevice)
	require.ErrorIs(t, s.Restore(t.Context(), testJID), ErrNoDevice)
	require.NoError(t, s.Delete(t.Context(), testJID), "nothing to delete is no error")
}

func TestCleanUp(t *testing.T) {
	t.Parallel()
	s, _ := openStore(t)
	jids := []string{"79001000001:1@s.whatsapp.net", "79001000002:1@s.whatsapp.net", "79001000003:1@s.whatsapp.net"}
	for _, jid := range jids {
		device := pair(t, s, jid, testLID)
		fill(t, device)
		require.NoError(t, device.EventBuffer.PutBufferedEvent(t.Context(), [32]byte{2}, []byte("old"), serverTime))
	}
	execute(t, s, "UPDATE whatsmeow_event_buffer SET insert_timestamp = insert_timestamp - 14 * 86400 * 1000 - 1000 WHERE plaintext = 'old'")
	execute(t, s, "INSERT INTO wafleet_tombstones VALUES ($1, now() - interval '29 days'), ($2, now() - interval '31 days')", jids[0], jids[1])

	require.NoError(t, s.CleanUp(t.Context()))
	for table, owners := range rowsByTable(t, s) {
		require.ElementsMatch(t, []string{jids[0], jids[2]}, owners, table)
	}
	require.Zero(t, count(t, s, "SELECT count(*) FROM whatsmeow_event_buffer WHERE plaintext = 'old'"))
	require.Equal(t, 2, count(t, s, "SELECT count(*) FROM whatsmeow_event_buffer"), "the last 14 days stay")
}

func TestLoadErrors(t *testing.T) {
	t.Parallel()
	s, _ := openStore(t)
	pair(t, s, testJID, testLID)
	for name, jid := range map[string]string{"another device": "79001000001:2@s.whatsapp.net", "no device": "79001000001@s.whatsapp.net", "no jid": "", "not a jid": "a:b@c"} {
		_, err := s.Load(t.Context(), jid)
		require.ErrorIs(t, err, ErrNoDevice, name)
	}
	execute(t, s, "UPDATE whatsmeow_device SET lid = 'a:b@lid'")
	_, err := s.Load(t.Context(), testJID)
	require.ErrorIs(t, err, ErrBadDevice)
	require.NotErrorIs(t, err, ErrNoDevice)

	execute(t, s, "ALTER TABLE whatsmeow_device DROP CONSTRAINT whatsmeow_device_noise_key_check")
	execute(t, s, "UPDATE whatsmeow_device SET lid = NULL, noise_key = 'short'")
	_, err = s.Load(t.Context(), testJID)
	require.ErrorIs(t, err, ErrBadDevice)
}

// An outage must not pass for the end of a pairing.
func TestLoadDuringAnOutage(t *testing.T) {
	t.Parallel()
	s, _ := openStore(t)
	pair(t, s, testJID, testLID)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := s.Load(ctx, testJID)
	require.ErrorIs(t, err, context.Canceled)
	require.NotErrorIs(t, err, ErrNoDevice)
	require.NotErrorIs(t, err, ErrBadDevice)

	execute(t, s, "ALTER TABLE wafleet_tombstones RENAME TO away")
	_, err = s.Load(t.Context(), testJID)
	require.Error(t, err)
	require.NotErrorIs(t, err, ErrNoDevice)
	require.NotErrorIs(t, err, ErrBadDevice)
}
