package devicestore

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"go.mau.fi/whatsmeow/store"
	"go.mau.fi/whatsmeow/types"
)

// TestConformance runs every method on our stores and on those of stock, and compares what they return. What is meant to differ is not in here.
func TestConformance(t *testing.T) {
	t.Parallel()
	for name, steps := range conformance {
		jid := fmt.Sprintf("79001%06d:1@s.whatsapp.net", lastNumber.Add(1))
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ours, _ := openStore(t) // of its own, because stock has one LID map for all
			container, _ := stock(t, ours)
			wrapped, stock := pair(t, ours, jid, testLID), withIdentity(container.NewDevice(), jid, testLID)
			require.NoError(t, stock.Save(t.Context()))
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
	"app state keys": {
		asks(func(ctx context.Context, d *store.Device) (any, error) {
			return d.AppStateKeys.GetLatestAppStateSyncKeyID(ctx)
		}),
		asks(func(ctx context.Context, d *store.Device) (any, error) {
			return d.AppStateKeys.GetAppStateSyncKey(ctx, []byte("a"))
		}),
		appStateKey("a", "one", 5), appStateKey("b", "two", 3),
		asks(func(ctx context.Context, d *store.Device) (any, error) {
			return d.AppStateKeys.GetLatestAppStateSyncKeyID(ctx)
		}),
		asks(func(ctx context.Context, d *store.Device) (any, error) {
			return d.AppStateKeys.GetAppStateSyncKey(ctx, []byte("a"))
		}),
		appStateKey("a", "older", 4), appStateKey("b", "newer", 9),
		asks(func(ctx context.Context, d *store.Device) (any, error) {
			return d.AppStateKeys.GetAppStateSyncKey(ctx, []byte("a"))
		}),
		asks(func(ctx context.Context, d *store.Device) (any, error) {
			return d.AppStateKeys.GetAppStateSyncKey(ctx, []byte("b"))
		}),
		asks(func(ctx context.Context, d *store.Device) (any, error) {
			return d.AppStateKeys.GetLatestAppStateSyncKeyID(ctx)
		}),
	},
	"app state": {
		appState(), mac(1), putMACs(1, 1), // no collection yet
		putAppState(3, 7), appState(), putAppState(4, 8), appState(),
		mac(1), putMACs(3, 1, 2), putMACs(4, 1), putMACs(4), mac(1), mac(2), mac(3),
		does(func(t *testing.T, d *store.Device) error {
			t.Helper()
			return d.AppState.DeleteAppStateMutationMACs(t.Context(), "regular", [][]byte{key32(1), key32(9)})
		}),
		does(func(t *testing.T, d *store.Device) error {
			t.Helper()
			return d.AppState.DeleteAppStateMutationMACs(t.Context(), "regular", nil)
		}),
		mac(1), mac(2), putMACs(3, 2), // the same again
		does(func(t *testing.T, d *store.Device) error {
			t.Helper()
			return d.AppState.DeleteAppStateVersion(t.Context(), "regular")
		}),
		appState(), mac(2),
	},
	"contacts": {
		contact(), pushName("Anna"), pushName("Anna"), pushName("Anja"), contact(), pushName(""), contact(), pushName("Anja"),
		asks(func(ctx context.Context, d *store.Device) (any, error) {
			changed, previous, err := d.Contacts.PutBusinessName(ctx, mustJID("1002@lid"), "Salon")
			return []any{changed, previous}, err
		}),
		contact(),
		asks(func(ctx context.Context, d *store.Device) (any, error) {
			return nil, d.Contacts.PutContactName(ctx, mustJID("1002@lid"), "Anna", "Anna B.")
		}),
		contact(),
		asks(func(ctx context.Context, d *store.Device) (any, error) {
			return nil, d.Contacts.PutAllContactNames(ctx, []store.ContactEntry{
				{JID: mustJID("1003@lid"), FirstName: "C", FullName: "C C"},
				{JID: mustJID("1003@lid"), FirstName: "D", FullName: "D D"},
				{JID: mustJID("1002@lid"), FirstName: "E", FullName: "E E"},
			})
		}),
		asks(func(ctx context.Context, d *store.Device) (any, error) {
			return nil, d.Contacts.PutAllContactNames(ctx, nil)
		}),
		asks(func(ctx context.Context, d *store.Device) (any, error) {
			return nil, d.Contacts.PutManyRedactedPhones(ctx, []store.RedactedPhoneEntry{{JID: mustJID("1002@lid"), RedactedPhone: "+7 ··· 02"}})
		}),
		asks(func(ctx context.Context, d *store.Device) (any, error) {
			return nil, d.Contacts.PutManyRedactedPhones(ctx, nil)
		}),
		contact(),
		asks(func(ctx context.Context, d *store.Device) (any, error) { return d.Contacts.GetAllContacts(ctx) }),
	},
	"chat settings": {
		settings(), muted(serverTime), settings(), muted(store.MutedForever), settings(), muted(time.Time{}), settings(),
		asks(func(ctx context.Context, d *store.Device) (any, error) {
			return nil, d.ChatSettings.PutPinned(ctx, mustJID("1002@lid"), true)
		}),
		asks(func(ctx context.Context, d *store.Device) (any, error) {
			return nil, d.ChatSettings.PutArchived(ctx, mustJID("1002@lid"), true)
		}),
		settings(),
		asks(func(ctx context.Context, d *store.Device) (any, error) {
			return nil, d.ChatSettings.PutPinned(ctx, mustJID("1002@lid"), false)
		}),
		settings(),
	},
	"event buffer": {
		buffered(1), buffer(1, []byte("one")), buffer(1, []byte("again")), buffered(1), buffer(2, nil), buffered(2),
		asks(func(ctx context.Context, d *store.Device) (any, error) {
			return nil, d.EventBuffer.ClearBufferedEventPlaintext(ctx, [32]byte{1})
		}),
		asks(func(ctx context.Context, d *store.Device) (any, error) {
			return nil, d.EventBuffer.ClearBufferedEventPlaintext(ctx, [32]byte{9})
		}),
		buffered(1),
	},
	"secrets under the other address": {
		asks(func(ctx context.Context, d *store.Device) (any, error) {
			return nil, d.LIDs.PutLIDMapping(ctx, mustJID("1002@lid"), mustJID("79001000002@s.whatsapp.net"))
		}),
		asks(func(ctx context.Context, d *store.Device) (any, error) {
			pn := mustJID("79001000002:4@s.whatsapp.net")
			return nil, d.MsgSecrets.PutMessageSecret(ctx, pn, pn, "A", []byte("a"))
		}),
		asks(func(ctx context.Context, d *store.Device) (any, error) {
			pn := mustJID("79001000002:4@s.whatsapp.net")
			return nil, d.MsgSecrets.PutMessageSecret(ctx, pn, pn, "A", []byte("the first one stays"))
		}),
		asks(func(ctx context.Context, d *store.Device) (any, error) {
			return nil, d.PrivacyTokens.PutPrivacyTokens(ctx, store.PrivacyToken{User: mustJID("79001000002@s.whatsapp.net"), Token: []byte("t"), Timestamp: serverTime})
		}),
		secret("A"),
		asks(func(ctx context.Context, d *store.Device) (any, error) {
			return d.PrivacyTokens.GetPrivacyToken(ctx, mustJID("1002:3@lid"))
		}),
	},
	"lids of others": {
		mapped("1002", "79001000002"), lidsOf(), mapped("1004", "79001000004"), lidsOf(),
		asks(func(ctx context.Context, d *store.Device) (any, error) {
			return nil, d.LIDs.PutManyLIDMappings(ctx, nil)
		}),
		asks(func(ctx context.Context, d *store.Device) (any, error) { return d.LIDs.GetManyLIDsForPNs(ctx, nil) }),
		asks(func(ctx context.Context, d *store.Device) (any, error) {
			return d.LIDs.GetLIDForPN(ctx, mustJID("1@g.us"))
		}),
		asks(func(ctx context.Context, d *store.Device) (any, error) {
			return d.LIDs.GetPNForLID(ctx, mustJID("1@g.us"))
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

func asks(ask func(ctx context.Context, d *store.Device) (any, error)) step {
	return func(t *testing.T, d *store.Device) (any, error) { t.Helper(); return ask(t.Context(), d) }
}

func key32(n byte) []byte { return append(make([]byte, 31), n) }

func appStateKey(id, data string, at int64) step {
	return asks(func(ctx context.Context, d *store.Device) (any, error) {
		return nil, d.AppStateKeys.PutAppStateSyncKey(ctx, []byte(id), store.AppStateSyncKey{Data: []byte(data), Fingerprint: []byte("print"), Timestamp: at})
	})
}

func putAppState(version uint64, hash byte) step {
	return asks(func(ctx context.Context, d *store.Device) (any, error) {
		return nil, d.AppState.PutAppStateVersion(ctx, "regular", version, [128]byte{hash})
	})
}

func appState() step {
	return asks(func(ctx context.Context, d *store.Device) (any, error) {
		version, hash, err := d.AppState.GetAppStateVersion(ctx, "regular")
		return []any{version, hash}, err
	})
}

// putMACs stores a MAC of a version for each index.
func putMACs(version uint64, indexes ...byte) step {
	return asks(func(ctx context.Context, d *store.Device) (any, error) {
		var all []store.AppStateMutationMAC
		for _, i := range indexes {
			all = append(all, store.AppStateMutationMAC{IndexMAC: key32(i), ValueMAC: key32(byte(version))})
		}
		return nil, d.AppState.PutAppStateMutationMACs(ctx, "regular", version, all)
	})
}

func mac(index byte) step {
	return asks(func(ctx context.Context, d *store.Device) (any, error) {
		return d.AppState.GetAppStateMutationMAC(ctx, "regular", key32(index))
	})
}

func pushName(name string) step {
	return asks(func(ctx context.Context, d *store.Device) (any, error) {
		changed, previous, err := d.Contacts.PutPushName(ctx, mustJID("1002@lid"), name)
		return []any{changed, previous}, err
	})
}

func contact() step {
	return asks(func(ctx context.Context, d *store.Device) (any, error) {
		return d.Contacts.GetContact(ctx, mustJID("1002@lid"))
	})
}

func muted(until time.Time) step {
	return asks(func(ctx context.Context, d *store.Device) (any, error) {
		return nil, d.ChatSettings.PutMutedUntil(ctx, mustJID("1002@lid"), until)
	})
}

func settings() step {
	return asks(func(ctx context.Context, d *store.Device) (any, error) {
		return d.ChatSettings.GetChatSettings(ctx, mustJID("1002@lid"))
	})
}

func buffer(n byte, plaintext []byte) step {
	return asks(func(ctx context.Context, d *store.Device) (any, error) {
		return nil, d.EventBuffer.PutBufferedEvent(ctx, [32]byte{n}, plaintext, serverTime)
	})
}

// buffered leaves out the time of the insert, which is another one for each.
func buffered(n byte) step {
	return asks(func(ctx context.Context, d *store.Device) (any, error) {
		found, err := d.EventBuffer.GetBufferedEvent(ctx, [32]byte{n})
		if found == nil {
			return nil, err
		}
		return []any{found.Plaintext, found.ServerTime}, err
	})
}

func mapped(lid, pn string) step {
	return asks(func(ctx context.Context, d *store.Device) (any, error) {
		return nil, d.LIDs.PutLIDMapping(ctx, types.NewJID(lid, types.HiddenUserServer), types.NewJID(pn, types.DefaultUserServer))
	})
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
	for name, opened := range keepers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k := opened(t)
			device := withIdentity(k.fresh(t, "79001000001"), testJID, testLID)
			require.NoError(t, device.Save(t.Context()))
			require.NoError(t, device.LIDs.PutLIDMapping(t.Context(), mustJID("1002@lid"), mustJID("79001000002@s.whatsapp.net")))

			asked := []types.JID{mustJID("79001000002@s.whatsapp.net"), mustJID("79001000002:7@s.whatsapp.net")}
			want := map[types.JID]types.JID{asked[0]: mustJID("1002@lid"), asked[1]: mustJID("1002:7@lid")}
			k, _ = k.restarted(t)
			device = k.loaded(t, testJID)
			found, err := device.LIDs.GetManyLIDsForPNs(t.Context(), asked)
			require.NoError(t, err)
			if name == "stock" {
				require.NotEqual(t, want, found, "whatsmeow is fixed: what GetManyLIDsForPNs does here can go")
				return
			}
			require.Equal(t, want, found, "cold")
			found, err = device.LIDs.GetManyLIDsForPNs(t.Context(), asked)
			require.NoError(t, err)
			require.Equal(t, want, found, "warm")
		})
	}
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
func rowsByTable(t *testing.T, p *process) map[string][]string {
	t.Helper()
	rows, err := p.database.Pool.Query(t.Context(), `SELECT table_name::text FROM information_schema.columns
		WHERE table_schema = 'public' AND column_name = 'jid' AND table_name LIKE 'device%'`)
	require.NoError(t, err)
	tables, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(t, err)
	found := map[string][]string{}
	for _, table := range tables {
		rows, err := p.database.Pool.Query(t.Context(), "SELECT DISTINCT jid FROM "+table)
		require.NoError(t, err)
		found[table], err = pgx.CollectRows(rows, pgx.RowTo[string])
		require.NoError(t, err)
	}
	return found
}
