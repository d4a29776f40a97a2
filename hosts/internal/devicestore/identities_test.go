package devicestore

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"go.mau.fi/whatsmeow/store"
)

func TestKnownIdentitiesCostNothing(t *testing.T) {
	t.Parallel()
	s, traced := openStore(t)
	device := pair(t, s, testJID, testLID)
	require.NoError(t, device.Identities.PutIdentity(t.Context(), peer, [32]byte{1}))
	require.True(t, isTrusted(t, device, peer, 1))
	traced.take()
	for range 3 { // as with every message
		require.True(t, isTrusted(t, device, peer, 1))
		require.NoError(t, device.Identities.PutIdentity(t.Context(), peer, [32]byte{1}))
		require.False(t, isTrusted(t, device, peer, 2))
	}
	require.Empty(t, traced.take())
}

// That no key is stored is asked each time: trusting a key does not store it.
func TestAnIdentityIsStoredThoughItWasTrusted(t *testing.T) {
	t.Parallel()
	s, _ := openStore(t)
	device := pair(t, s, testJID, testLID)
	require.True(t, isTrusted(t, device, peer, 1))
	require.NoError(t, device.Identities.PutIdentity(t.Context(), peer, [32]byte{1}))
	require.False(t, isTrusted(t, stockDevice(t, s, testJID), peer, 2), "stored")
}

func TestIdentitiesInATransaction(t *testing.T) {
	t.Parallel()
	for name, failure := range map[string]error{"commit": nil, "rollback": errors.New("mismatching MAC")} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, _ := openStore(t)
			device := pair(t, s, testJID, testLID)
			require.NoError(t, device.Identities.PutIdentity(t.Context(), peer, [32]byte{1}))
			require.True(t, isTrusted(t, device, peer, 1))

			err := device.EventBuffer.DoDecryptionTxn(t.Context(), func(ctx context.Context) error {
				require.NoError(t, device.Identities.DeleteIdentity(ctx, peer))
				require.NoError(t, device.Identities.PutIdentity(ctx, peer, [32]byte{2}))
				require.True(t, isTrusted(t, device, peer, 1), "nobody else sees that")
				trusted, err := device.Identities.IsTrustedIdentity(ctx, peer, [32]byte{2})
				require.NoError(t, err)
				require.True(t, trusted, "it sees its own writes")
				return failure
			})
			require.ErrorIs(t, err, failure)
			agrees(t, s, device)
			require.Equal(t, failure == nil, isTrusted(t, device, peer, 2))
		})
	}
}

// A write begins and ends while a read has the old key on its way: that must not be cached.
func TestASlowReadOfAnIdentity(t *testing.T) {
	t.Parallel()
	s, traced := openStore(t)
	device := pair(t, s, testJID, testLID)
	require.NoError(t, device.Identities.PutIdentity(t.Context(), peer, [32]byte{1}))
	traced.next(func() {
		require.NoError(t, device.Identities.PutIdentity(t.Context(), peer, [32]byte{2}))
	})
	require.True(t, isTrusted(t, device, peer, 1), "the old key, for once")
	require.True(t, isTrusted(t, device, peer, 2))
	agrees(t, s, device)
}

// A read happens while a write is on its way: what it brought must not stay.
func TestAReadOfAnIdentityDuringAWrite(t *testing.T) {
	t.Parallel()
	s, traced := openStore(t)
	device := pair(t, s, testJID, testLID)
	require.NoError(t, device.Identities.PutIdentity(t.Context(), peer, [32]byte{1}))
	written := device.Identities.(*identities).written(t.Context(), peer)
	require.True(t, isTrusted(t, device, peer, 1), "the old key, still")
	execute(t, s, "UPDATE whatsmeow_identity_keys SET identity = $1", make([]byte, 32))
	written()
	traced.take()
	require.False(t, isTrusted(t, device, peer, 1))
	require.Len(t, traced.take(), 1)
	agrees(t, s, device)
}

func TestTheCacheIsBounded(t *testing.T) {
	t.Parallel()
	s, _ := openStore(t)
	device := pair(t, s, testJID, testLID)
	execute(t, s, `INSERT INTO whatsmeow_identity_keys SELECT $1, '1002_1:' || i, $2 FROM generate_series(1, $3::int) i`,
		testJID, make([]byte, 32), maxIdentities+10)
	for i := range maxIdentities + 10 {
		require.True(t, isTrusted(t, device, fmt.Sprintf("1002_1:%d", i+1), 0))
	}
	require.Len(t, device.Identities.(*identities).known, maxIdentities)
}

// isTrusted asks outside of any transaction.
func isTrusted(t *testing.T, device *store.Device, address string, key byte) bool {
	t.Helper()
	trusted, err := device.Identities.IsTrustedIdentity(t.Context(), address, [32]byte{key})
	require.NoError(t, err)
	return trusted
}

// agrees compares what a device answers, twice so that the cache gets its say, with what is stored.
func agrees(t *testing.T, s *Store, device *store.Device) {
	t.Helper()
	stock := stockDevice(t, s, testJID)
	for key := range byte(4) {
		want := isTrusted(t, stock, peer, key)
		require.Equal(t, want, isTrusted(t, device, peer, key), "key %d", key)
		require.Equal(t, want, isTrusted(t, device, peer, key), "key %d, cached", key)
	}
}
