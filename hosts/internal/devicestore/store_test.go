package devicestore

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestPairing(t *testing.T) {
	t.Parallel()
	s, _ := openStore(t)
	owner := s.owner(t, testJID)
	bound := ""
	device := unpairedDevice(t, s, testJID, testLID, func(ctx context.Context, jid, lid string) error {
		bound = jid + " " + lid
		require.Equal(t, 1, count(t, s, "SELECT count(*) FROM devices"), "keys are stored before the JID is bound")
		_, err := s.Load(ctx, owner, jid)
		require.ErrorIs(t, err, ErrNoDevice, "a process that died here must not come up with this device")
		return nil
	})
	require.NoError(t, device.Save(t.Context()))
	require.Equal(t, testJID+" "+testLID, bound)

	again, _ := reopen(t, s)
	loaded := load(t, again, testJID)
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
	device := unpairedDevice(t, s, testJID, testLID, func(context.Context, string, string) error {
		attempts++
		return taken
	})
	require.ErrorIs(t, device.Save(t.Context()), taken)
	_, err := s.Load(t.Context(), s.owner(t, testJID), testJID)
	require.ErrorIs(t, err, ErrNoDevice)

	require.ErrorIs(t, device.Save(t.Context()), taken, "a second Save must not get round bind")
	require.Equal(t, 2, attempts)
}

func TestPairingThatCannotBeStored(t *testing.T) {
	t.Parallel()
	s, _ := openStore(t)
	device := unpairedDevice(t, s, testJID, testLID, func(context.Context, string, string) error {
		t.Error("bound without keys")
		return nil
	})
	execute(t, s, "ALTER TABLE devices RENAME TO away")
	require.Error(t, device.Save(t.Context()))
	execute(t, s, "ALTER TABLE away RENAME TO devices")
	require.Zero(t, count(t, s, "SELECT count(*) FROM devices"))
}

func TestPairingReplacesADeadDeviceOfTheSameJID(t *testing.T) {
	t.Parallel()
	s, _ := openStore(t)
	dead := pair(t, s, testJID, testLID)
	require.NoError(t, dead.Sessions.PutSession(t.Context(), "1002_1:0", []byte("old")))
	require.NoError(t, dead.Delete(t.Context()))

	device := pair(t, s, testJID, testLID)
	loaded, err := s.Load(t.Context(), s.owner(t, testJID), testJID)
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
	device, err := s.Load(t.Context(), s.owner(t, testJID), testJID)
	require.NoError(t, err)
	device.PushName = "Anna"
	require.NoError(t, device.Save(t.Context()))
	loaded, err := s.Load(t.Context(), s.owner(t, testJID), testJID)
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
	_, err := s.Load(t.Context(), s.owner(t, testJID), testJID)
	require.ErrorIs(t, err, ErrNoDevice)
	require.NoError(t, s.CleanUp(t.Context()))

	require.NoError(t, s.Restore(t.Context(), s.owner(t, testJID), testJID))
	restored, err := s.Load(t.Context(), s.owner(t, testJID), testJID)
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
	require.NoError(t, s.Delete(t.Context(), s.owner(t, testJID), testJID))

	rows := rowsByTable(t, s)
	for table, owners := range rows {
		require.NotContains(t, owners, testJID, table)
		require.Contains(t, owners, kept, table)
	}
	require.Greater(t, len(rows), 8)
	_, err := s.Load(t.Context(), s.owner(t, testJID), testJID)
	require.ErrorIs(t, err, ErrNoDevice)
	require.ErrorIs(t, s.Restore(t.Context(), s.owner(t, testJID), testJID), ErrNoDevice)
	require.NoError(t, s.Delete(t.Context(), s.owner(t, testJID), testJID), "nothing to delete is no error")
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
	old := [32]byte{2}
	execute(t, s, "UPDATE device_events SET created_at = now() - interval '14 days 1 second' WHERE ciphertext_hash = $1", old[:])
	execute(t, s, "UPDATE devices SET tombstoned_at = now() - interval '29 days' WHERE jid = $1", jids[0])
	execute(t, s, "UPDATE devices SET tombstoned_at = now() - interval '31 days' WHERE jid = $1", jids[1])

	require.NoError(t, s.CleanUp(t.Context()))
	for table, owners := range rowsByTable(t, s) {
		require.ElementsMatch(t, []string{jids[0], jids[2]}, owners, table)
	}
	require.Zero(t, count(t, s, "SELECT count(*) FROM device_events WHERE ciphertext_hash = $1", old[:]))
	require.Equal(t, 2, count(t, s, "SELECT count(*) FROM device_events"), "the last 14 days stay")
}

func TestLoadErrors(t *testing.T) {
	t.Parallel()
	s, _ := openStore(t)
	pair(t, s, testJID, testLID)
	owner := s.owner(t, testJID)
	for name, jid := range map[string]string{"another device": "79001000001:2@s.whatsapp.net", "no device": "79001000001@s.whatsapp.net", "no jid": "", "not a jid": "a:b@c"} {
		_, err := s.Load(t.Context(), owner, jid)
		require.ErrorIs(t, err, ErrNoDevice, name)
	}
	_, err := s.Load(t.Context(), s.owner(t, "79001000002"), testJID)
	require.ErrorIs(t, err, ErrNoDevice, "of another company")
}

// One row is of no use; nobody else is concerned.
func TestAnUnreadableDevice(t *testing.T) {
	t.Parallel()
	for name, damage := range map[string]string{
		"damaged":                "UPDATE devices SET sealed_keys = overlay(sealed_keys PLACING '\\x00' FROM 30) WHERE jid = $1",
		"keys of another device": "UPDATE devices SET sealed_keys = (SELECT sealed_keys FROM devices WHERE jid <> $1) WHERE jid = $1",
		"lid":                    "UPDATE devices SET lid = 'a:b@lid' WHERE jid = $1",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, _ := openStore(t)
			other := "79001000002:1@s.whatsapp.net"
			pair(t, s, testJID, testLID)
			pair(t, s, other, "1002:1@lid")
			execute(t, s, damage, testJID)
			_, err := s.Load(t.Context(), s.owner(t, testJID), testJID)
			require.ErrorIs(t, err, ErrUnreadableDevice)
			require.NotErrorIs(t, err, ErrNoDevice)
			load(t, s, other)
		})
	}
}

// An outage must not pass for the end of a pairing.
func TestLoadDuringAnOutage(t *testing.T) {
	t.Parallel()
	s, _ := openStore(t)
	pair(t, s, testJID, testLID)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := s.Load(ctx, s.owner(t, testJID), testJID)
	require.ErrorIs(t, err, context.Canceled)
	require.NotErrorIs(t, err, ErrNoDevice)
	require.NotErrorIs(t, err, ErrUnreadableDevice)

	execute(t, s, "ALTER TABLE devices RENAME TO away")
	_, err = s.Load(t.Context(), s.owner(t, testJID), testJID)
	require.Error(t, err)
	require.NotErrorIs(t, err, ErrNoDevice)
	require.NotErrorIs(t, err, ErrUnreadableDevice)
}

// A cold start: one statement for all devices of a shard, each handed out once, and only under the fence it was read for.
func TestPreload(t *testing.T) {
	t.Parallel()
	s, traced := openStore(t)
	jids := []string{"79001000001:1@s.whatsapp.net", "79001000002:1@s.whatsapp.net", "79001000003:1@s.whatsapp.net"}
	for _, jid := range jids {
		pair(t, s, jid, testLID)
		execute(t, s, "UPDATE whatsapp_sessions SET jid = $2, desired_state = 'running' WHERE company_id = $1", s.owner(t, jid).CompanyID, jid)
	}
	traced.take()
	require.NoError(t, s.Preload(t.Context(), s.database.Fence))
	require.Len(t, traced.take(), 1)
	require.Equal(t, jids[0], load(t, s, jids[0]).ID.String())
	require.Empty(t, traced.take())
	load(t, s, jids[0])
	require.Len(t, traced.take(), 1, "the second time it is read again")

	require.NoError(t, s.Delete(t.Context(), s.owner(t, jids[1]), jids[1]))
	_, err := s.Load(t.Context(), s.owner(t, jids[1]), jids[1])
	require.ErrorIs(t, err, ErrNoDevice, "it has changed since it was read")

	s.database.Fence = s.database.Take(t, 0)
	traced.take()
	load(t, s, jids[2])
	require.Len(t, traced.take(), 1, "what was read under another lease is not used")

	require.NoError(t, s.Preload(t.Context(), s.database.Fence))
	require.Len(t, s.preloaded, 1)
	load(t, s, jids[0])
	load(t, s, jids[2])
	require.Empty(t, s.preloaded, "nothing stays behind")
}
