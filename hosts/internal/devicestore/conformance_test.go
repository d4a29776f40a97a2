package devicestore

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.mau.fi/whatsmeow/store"
	"go.mau.fi/whatsmeow/types"

	"wafleet/shared/store/pgtest"
)

var serverTime = time.Unix(1_700_000_000, 0)

// TestConformance runs the wrapped methods on our stores and on those of stock, each on a database of its own, and
// compares what they return. What is meant to differ is not in here.
func TestConformance(t *testing.T) {
	t.Parallel()
	ours, _ := openStore(t)
	theirs, _ := openStore(t)
	for name, steps := range conformance {
		jid := fmt.Sprintf("79001%06d:1@s.whatsapp.net", lastNumber.Add(1))
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			pair(t, theirs, jid, testLID)
			wrapped, stock := pair(t, ours, jid, testLID), stockDevice(t, theirs, jid)
			for i, step := range steps {
				got, gotErr := step(t, wrapped)
				want, wantErr := step(t, stock)
				require.Equal(t, want, got, "step %d", i)
				require.Equal(t, wantErr == nil, gotErr == nil, "step %d: %v, %v", i, wantErr, gotErr)
			}
		})
	}
}

type step func(t *testing.T, d *store.Device) (any, error)

func does(do func(t *testing.T, d *store.Device) error) step {
	return func(t *testing.T, d *store.Device) (any, error) { t.Helper(); return nil, do(t, d) }
}

var (
	peer      = "1002_1:0"
	companion = "1002_1:7"
	stranger  = "1003_1:0"
	peerPN    = "79001000002"
)

var conformance = map[string][]step{
	"sessions": {
		func(t *testing.T, d *store.Device) (any, error) {
			t.Helper()
			return d.Sessions.GetSession(t.Context(), peer)
		},
		func(t *testing.T, d *store.Device) (any, error) {
			t.Helper()
			return d.Sessions.HasSession(t.Context(), peer)
		},
		does(func(t *testing.T, d *store.Device) error {
			t.Helper()
			return d.Sessions.PutSession(t.Context(), peer, []byte("one"))
		}),
		many(peer, companion, peer),
		does(func(t *testing.T, d *store.Device) error {
			t.Helper()
			return d.Sessions.PutManySessions(t.Context(), map[string][]byte{peer: []byte("two"), companion: []byte("three")})
		}),
		many(peer, companion, stranger),
		func(t *testing.T, d *store.Device) (any, error) {
			t.Helper()
			return d.Sessions.HasSession(t.Context(), peer)
		},
		does(func(t *testing.T, d *store.Device) error {
			t.Helper()
			return d.Sessions.DeleteSession(t.Context(), peer)
		}),
		many(peer, companion, stranger),
		does(func(t *testing.T, d *store.Device) error {
			t.Helper()
			return d.Sessions.DeleteAllSessions(t.Context(), "1002_1")
		}),
		many(peer, companion, stranger),
	},
	"identities": {
		trusts(peer, 1),
		puts(peer, 1), trusts(peer, 1), trusts(peer, 2), puts(peer, 1), trusts(peer, 1),
		puts(peer, 2), trusts(peer, 1), trusts(peer, 2),
		puts(companion, 3), trusts(companion, 3), puts(stranger, 4), trusts(stranger, 5),
		does(func(t *testing.T, d *store.Device) error {
			t.Helper()
			return d.Identities.DeleteIdentity(t.Context(), peer)
		}),
		trusts(peer, 1), trusts(companion, 1),
		puts(peer, 6), trusts(peer, 7),
		does(func(t *testing.T, d *store.Device) error {
			t.Helper()
			return d.Identities.DeleteAllIdentities(t.Context(), "1002_1")
		}),
		trusts(peer, 7), trusts(companion, 7), trusts(stranger, 7),
	},
	"migration to lid": {
		does(func(t *testing.T, d *store.Device) error {
			t.Helper()
			return d.Sessions.PutManySessions(t.Context(), map[string][]byte{peerPN + ":0": []byte("phone"), peerPN + ":7": []byte("web")})
		}),
		puts(peerPN+":0", 1), trusts(peerPN+":0", 1), puts(peer, 2), trusts(peer, 2),
		does(func(t *testing.T, d *store.Device) error {
			t.Helper()
			return d.Sessions.MigratePNToLID(t.Context(), types.NewJID(peerPN, types.DefaultUserServer), types.NewJID("1002", types.HiddenUserServer))
		}),
		many(peer, companion, peerPN+":0", peerPN+":7"),
		trusts(peer, 1), trusts(peer, 2), trusts(peerPN+":0", 2),
	},
	"prekeys": {
		ids(5), ids(3), ids(7),
		func(t *testing.T, d *store.Device) (any, error) {
			t.Helper()
			return d.PreKeys.UploadedPreKeyCount(t.Context())
		},
		does(func(t *testing.T, d *store.Device) error {
			t.Helper()
			return d.PreKeys.MarkPreKeysAsUploaded(t.Context(), 4)
		}),
		func(t *testing.T, d *store.Device) (any, error) {
			t.Helper()
			return d.PreKeys.UploadedPreKeyCount(t.Context())
		},
		ids(5),
		func(t *testing.T, d *store.Device) (any, error) {
			t.Helper()
			key, err := d.PreKeys.GenOnePreKey(t.Context())
			return key.KeyID, err
		},
		does(func(t *testing.T, d *store.Device) error { t.Helper(); return d.PreKeys.RemovePreKey(t.Context(), 2) }),
		func(t *testing.T, d *store.Device) (any, error) {
			t.Helper()
			key, err := d.PreKeys.GetPreKey(t.Context(), 2)
			return key == nil, err
		},
		ids(8), ids(0),
	},
	"sender keys": {
		func(t *testing.T, d *store.Device) (any, error) {
			t.Helper()
			return d.SenderKeys.GetSenderKey(t.Context(), "group", peer)
		},
		does(func(t *testing.T, d *store.Device) error {
			t.Helper()
			return d.SenderKeys.PutSenderKey(t.Context(), "group", peer, []byte("key"))
		}),
		func(t *testing.T, d *store.Device) (any, error) {
			t.Helper()
			return d.SenderKeys.GetSenderKey(t.Context(), "group", peer)
		},
	},
	"lids": {
		lidsOf(),
		does(func(t *testing.T, d *store.Device) error {
			t.Helper()
			return d.LIDs.PutLIDMapping(t.Context(), mustJID("1002@lid"), mustJID("79001000002@s.whatsapp.net"))
		}),
		does(func(t *testing.T, d *store.Device) error {
			t.Helper()
			return d.LIDs.PutManyLIDMappings(t.Context(), []store.LIDMapping{{LID: mustJID("1003@lid"), PN: mustJID("79001000003@s.whatsapp.net")}})
		}),
		lidsOf(),
		does(func(t *testing.T, d *store.Device) error {
			t.Helper()
			return d.LIDs.PutLIDMapping(t.Context(), mustJID("79001000002@s.whatsapp.net"), mustJID("1002@lid"))
		}),
	},
	"secrets": {
		func(t *testing.T, d *store.Device) (any, error) {
			t.Helper()
			return d.PrivacyTokens.GetPrivacyToken(t.Context(), mustJID("1002@lid"))
		},
		does(func(t *testing.T, d *store.Device) error {
			t.Helper()
			return d.PrivacyTokens.PutPrivacyTokens(t.Context(), store.PrivacyToken{User: mustJID("1002@lid"), Token: []byte("token"), Timestamp: serverTime})
		}),
		func(t *testing.T, d *store.Device) (any, error) {
			t.Helper()
			return d.PrivacyTokens.GetPrivacyToken(t.Context(), mustJID("1002@lid"))
		},
		does(func(t *testing.T, d *store.Device) error {
			t.Helper()
			return d.MsgSecrets.PutMessageSecrets(t.Context(), []store.MessageSecretInsert{{Chat: mustJID("1002@lid"), Sender: mustJID("1002@lid"), ID: "B", Secret: []byte("b")}})
		}),
		does(func(t *testing.T, d *store.Device) error {
			t.Helper()
			return d.MsgSecrets.PutMessageSecret(t.Context(), mustJID("1002@lid"), mustJID("1002@lid"), "A", []byte("a"))
		}),
		secret("A"), secret("B"), secret("C"),
	},
}

func many(addresses ...string) step {
	return func(t *testing.T, d *store.Device) (any, error) {
		t.Helper()
		return d.Sessions.GetManySessions(t.Context(), addresses)
	}
}

func puts(address string, key byte) step {
	return does(func(t *testing.T, d *store.Device) error {
		t.Helper()
		return d.Identities.PutIdentity(t.Context(), address, [32]byte{key})
	})
}

func trusts(address string, key byte) step {
	return func(t *testing.T, d *store.Device) (any, error) {
		t.Helper()
		return d.Identities.IsTrustedIdentity(t.Context(), address, [32]byte{key})
	}
}

// ids asks for prekeys, and returns their ids if each is also what is stored under its id.
func ids(n uint32) step {
	return func(t *testing.T, d *store.Device) (any, error) {
		t.Helper()
		found, err := d.PreKeys.GetOrGenPreKeys(t.Context(), n)
		ids := []uint32{}
		for _, key := range found {
			stored, err := d.PreKeys.GetPreKey(t.Context(), key.KeyID)
			require.NoError(t, err)
			require.Equal(t, stored.Priv, key.Priv)
			ids = append(ids, key.KeyID)
		}
		return ids, err
	}
}

func lidsOf() step {
	return func(t *testing.T, d *store.Device) (any, error) {
		t.Helper()
		lid, err := d.LIDs.GetLIDForPN(t.Context(), mustJID("79001000002:3@s.whatsapp.net"))
		require.NoError(t, err)
		pn, err := d.LIDs.GetPNForLID(t.Context(), mustJID("1002:3@lid"))
		require.NoError(t, err)
		found, err := d.LIDs.GetManyLIDsForPNs(t.Context(), []types.JID{
			mustJID("79001000002:3@s.whatsapp.net"), mustJID("79001000003@s.whatsapp.net"), mustJID("79001000004:1@s.whatsapp.net"), mustJID("1@g.us"),
		})
		return []any{lid, pn, found}, err
	}
}

func secret(id string) step {
	return func(t *testing.T, d *store.Device) (any, error) {
		t.Helper()
		secret, sender, err := d.MsgSecrets.GetMessageSecret(t.Context(), mustJID("1002@lid"), mustJID("1002@lid"), id)
		return []any{secret, sender}, err
	}
}

// The LID map as a process finds it that has just started, which is where stock differs.
func TestLIDsWithAColdCache(t *testing.T) {
	t.Parallel()
	url := pgtest.URL(t)
	first, _ := reopen(t, url)
	device := pair(t, first, testJID, testLID)
	require.NoError(t, device.LIDs.PutLIDMapping(t.Context(), mustJID("1002@lid"), mustJID("79001000002@s.whatsapp.net")))

	asked := []types.JID{mustJID("79001000002@s.whatsapp.net"), mustJID("79001000002:7@s.whatsapp.net")}
	want := map[types.JID]types.JID{asked[0]: mustJID("1002@lid"), asked[1]: mustJID("1002:7@lid")}
	restarted, _ := reopen(t, url)
	device, err := restarted.Load(t.Context(), testJID)
	require.NoError(t, err)
	for _, cache := range []string{"cold", "warm"} {
		found, err := device.LIDs.GetManyLIDsForPNs(t.Context(), asked)
		require.NoError(t, err)
		require.Equal(t, want, found, cache)
	}

	again, _ := reopen(t, url)
	found, err := again.stock.LIDMap.GetManyLIDsForPNs(t.Context(), asked)
	require.NoError(t, err)
	require.NotEqual(t, want, found, "whatsmeow is fixed: what GetManyLIDsForPNs does here can go")
}

// fill puts a row into every table that a device has.
func fill(t *testing.T, d *store.Device) {
	t.Helper()
	ctx, chat := t.Context(), mustJID("1002@lid")
	_, err := d.PreKeys.GenOnePreKey(ctx)
	require.NoError(t, err)
	_, _, err = d.Contacts.PutPushName(ctx, chat, "Anna")
	require.NoError(t, err)
	for _, err := range []error{
		d.Identities.PutIdentity(ctx, peer, [32]byte{1}),
		d.Sessions.PutSession(ctx, peer, []byte("session")),
		d.SenderKeys.PutSenderKey(ctx, "group", peer, []byte("key")),
		d.AppStateKeys.PutAppStateSyncKey(ctx, []byte("id"), store.AppStateSyncKey{Data: []byte("data"), Fingerprint: []byte("print"), Timestamp: 1}),
		d.AppState.PutAppStateVersion(ctx, "regular", 1, [128]byte{}),
		d.AppState.PutAppStateMutationMACs(ctx, "regular", 1, []store.AppStateMutationMAC{{IndexMAC: make([]byte, 32), ValueMAC: make([]byte, 32)}}),
		d.ChatSettings.PutPinned(ctx, chat, true),
		d.MsgSecrets.PutMessageSecret(ctx, chat, chat, "A", []byte("secret")),
		d.PrivacyTokens.PutPrivacyTokens(ctx, store.PrivacyToken{User: chat, Token: []byte("token"), Timestamp: serverTime}),
		d.EventBuffer.PutBufferedEvent(ctx, [32]byte{1}, []byte("plaintext"), serverTime),
	} {
		require.NoError(t, err)
	}
}

// rowsByTable returns whose rows there are in every table that belongs to a device.
func rowsByTable(t *testing.T, s *Store) map[string][]string {
	t.Helper()
	rows, err := s.db.Query(t.Context(), `SELECT table_name, column_name FROM information_schema.columns
		WHERE table_schema = 'whatsmeow' AND column_name IN ('jid', 'our_jid') AND table_name <> 'wafleet_tombstones'`)
	require.NoError(t, err)
	columns := map[string]string{}
	for rows.Next() {
		var table, column string
		require.NoError(t, rows.Scan(&table, &column))
		columns[table] = column
	}
	require.NoError(t, rows.Err())
	found := map[string][]string{}
	for table, column := range columns {
		var owners []string
		owned, err := s.db.Query(t.Context(), "SELECT DISTINCT "+column+" FROM "+table)
		require.NoError(t, err)
		for owned.Next() {
			var owner string
			require.NoError(t, owned.Scan(&owner))
			owners = append(owners, owner)
		}
		require.NoError(t, owned.Err())
		found[table] = owners
	}
	return found
}
