package devicestore

import (
	"testing"

	"github.com/stretchr/testify/require"
	"go.mau.fi/whatsmeow/types"
)

// whatsmeow looks up the session of the own device with each send and would fetch a key bundle if there was none.
func TestTheOwnDeviceHasASession(t *testing.T) {
	t.Parallel()
	s, traced := openStore(t)
	device := pair(t, s, testJID, testLID)
	own := []string{device.ID.SignalAddress().String(), device.LID.SignalAddress().String()}

	traced.take()
	exist, _, err := device.WithCachedSessions(t.Context(), append(own, peer))
	require.NoError(t, err)
	require.Equal(t, map[string]bool{own[0]: true, own[1]: true, peer: false}, exist, "readable sessions, as whatsmeow reads them")
	require.Len(t, traced.take(), 1)

	exist, _, err = device.WithCachedSessions(t.Context(), own)
	require.NoError(t, err)
	require.Len(t, exist, 2)
	require.Empty(t, traced.take(), "nothing to ask Postgres for")
}

func TestTheOwnDeviceHasASessionOnceItsLIDIsKnown(t *testing.T) {
	t.Parallel()
	s, _ := openStore(t)
	device := unpairedDevice(t, s, testJID, testLID, bindNothing)
	device.LID = types.EmptyJID
	require.NoError(t, device.Save(t.Context()))

	address := mustJID(testLID).SignalAddress().String()
	exist, _, err := device.WithCachedSessions(t.Context(), []string{address})
	require.NoError(t, err)
	require.False(t, exist[address])

	device.LID = mustJID(testLID) // told at the first connect
	require.NoError(t, device.Save(t.Context()))
	exist, _, err = device.WithCachedSessions(t.Context(), []string{address})
	require.NoError(t, err)
	require.True(t, exist[address])

	// The other companions and the phone of the account are peers like any other.
	exist, _, err = device.WithCachedSessions(t.Context(), []string{"1001_1:0", "1001_1:2"})
	require.NoError(t, err)
	require.Equal(t, map[string]bool{"1001_1:0": false, "1001_1:2": false}, exist)
}

func TestPutManySessionsIsOneStatement(t *testing.T) {
	t.Parallel()
	s, traced := openStore(t)
	device := pair(t, s, testJID, testLID)
	traced.take()
	require.NoError(t, device.Sessions.PutManySessions(t.Context(), map[string][]byte{peer: {1}, companion: {2}, stranger: {3}}))
	require.Len(t, traced.take(), 1)
}

func TestMigrationThatFailedIsTriedAgain(t *testing.T) {
	t.Parallel()
	s, traced := openStore(t)
	device := pair(t, s, testJID, testLID)
	pn, lid := types.NewJID(peerPN, types.DefaultUserServer), types.NewJID("1002", types.HiddenUserServer)
	require.NoError(t, device.Sessions.PutSession(t.Context(), peerPN+":0", []byte("session")))

	execute(t, s, "ALTER TABLE device_sender_keys RENAME TO away")
	require.Error(t, device.Sessions.MigratePNToLID(t.Context(), pn, lid))
	execute(t, s, "ALTER TABLE away RENAME TO device_sender_keys")
	require.NoError(t, device.Sessions.MigratePNToLID(t.Context(), pn, lid))
	session, err := device.Sessions.GetSession(t.Context(), peer)
	require.NoError(t, err)
	require.Equal(t, []byte("session"), session)

	traced.take()
	require.NoError(t, device.Sessions.MigratePNToLID(t.Context(), pn, lid))
	require.Empty(t, traced.take(), "once per number and process")
}

func TestAPairingGeneratesItsPrekeysWithOneInsert(t *testing.T) {
	t.Parallel()
	s, traced := openStore(t)
	device := pair(t, s, testJID, testLID)
	traced.take()
	keys, err := device.PreKeys.GetOrGenPreKeys(t.Context(), 812)
	require.NoError(t, err)
	require.Len(t, keys, 812)
	require.Len(t, traced.take(), 3)
	require.Equal(t, 812, count(t, s, "SELECT count(*) FROM device_prekeys WHERE NOT uploaded"))
}

func TestPrekeysGeneratedAtTheSameTimeHaveTheirOwnIDs(t *testing.T) {
	t.Parallel()
	s, _ := openStore(t)
	device := pair(t, s, testJID, testLID)
	errs := make(chan error, 20)
	for range cap(errs) / 2 {
		go func() { _, err := device.PreKeys.GenOnePreKey(t.Context()); errs <- err }()
		go func() { _, err := device.PreKeys.GetOrGenPreKeys(t.Context(), 50); errs <- err }()
	}
	for range cap(errs) {
		require.NoError(t, <-errs)
	}
	require.Equal(t, 60, count(t, s, "SELECT count(*) FROM device_prekeys"))
}
