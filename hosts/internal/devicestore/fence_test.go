package devicestore

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"go.mau.fi/whatsmeow/store"
	"go.mau.fi/whatsmeow/types"

	fleet "wafleet/shared/store"
)

// writes has every way of writing, each as a call that writes under a lease that is held.
var writes = map[string]func(ctx context.Context, d *store.Device) error{
	"Save":   func(ctx context.Context, d *store.Device) error { d.PushName = "Anna"; return d.Save(ctx) },
	"Delete": func(ctx context.Context, d *store.Device) error { return d.Container.DeleteDevice(ctx, d) },
	"PutIdentity": func(ctx context.Context, d *store.Device) error {
		return d.Identities.PutIdentity(ctx, stranger, [32]byte{1})
	},
	"DeleteIdentity": func(ctx context.Context, d *store.Device) error { return d.Identities.DeleteIdentity(ctx, peer) },
	"DeleteAllIdentities": func(ctx context.Context, d *store.Device) error {
		return d.Identities.DeleteAllIdentities(ctx, "1002_1")
	},
	"PutSession": func(ctx context.Context, d *store.Device) error {
		if _, err := d.Sessions.GetSession(ctx, peer); err != nil {
			return err
		}
		return d.Sessions.PutSession(ctx, peer, []byte("new"))
	},
	"PutManySessions": func(ctx context.Context, d *store.Device) error {
		if _, err := d.Sessions.GetManySessions(ctx, []string{peer, stranger}); err != nil {
			return err
		}
		return d.Sessions.PutManySessions(ctx, map[string][]byte{peer: []byte("new"), stranger: []byte("new")})
	},
	"DeleteSession":     func(ctx context.Context, d *store.Device) error { return d.Sessions.DeleteSession(ctx, peer) },
	"DeleteAllSessions": func(ctx context.Context, d *store.Device) error { return d.Sessions.DeleteAllSessions(ctx, "1002_1") },
	"MigratePNToLID": func(ctx context.Context, d *store.Device) error {
		return d.Sessions.MigratePNToLID(ctx, mustJID(peerPN+"@s.whatsapp.net"), mustJID("1009@lid"))
	},
	"DoDecryptionTxn": func(ctx context.Context, d *store.Device) error {
		return d.EventBuffer.DoDecryptionTxn(ctx, func(ctx context.Context) error {
			if err := d.Sessions.PutSession(ctx, stranger, []byte("new")); err != nil {
				return err
			}
			return d.EventBuffer.PutBufferedEvent(ctx, [32]byte{7}, []byte("text"), serverTime)
		})
	},
	"GetOrGenPreKeys": func(ctx context.Context, d *store.Device) error {
		_, err := d.PreKeys.GetOrGenPreKeys(ctx, 3)
		return err
	},
	"GenOnePreKey": func(ctx context.Context, d *store.Device) error { _, err := d.PreKeys.GenOnePreKey(ctx); return err },
	"RemovePreKey": func(ctx context.Context, d *store.Device) error { return d.PreKeys.RemovePreKey(ctx, 1) },
	"MarkPreKeysAsUploaded": func(ctx context.Context, d *store.Device) error {
		return d.PreKeys.MarkPreKeysAsUploaded(ctx, 9)
	},
	"PutSenderKey": func(ctx context.Context, d *store.Device) error {
		return d.SenderKeys.PutSenderKey(ctx, "group", stranger, []byte("key"))
	},
	"PutAppStateSyncKey": func(ctx context.Context, d *store.Device) error {
		return d.AppStateKeys.PutAppStateSyncKey(ctx, []byte("new"), store.AppStateSyncKey{Data: []byte("data"), Fingerprint: []byte("print")})
	},
	"PutAppStateVersion": func(ctx context.Context, d *store.Device) error {
		return d.AppState.PutAppStateVersion(ctx, "regular", 9, [128]byte{})
	},
	"DeleteAppStateVersion": func(ctx context.Context, d *store.Device) error {
		return d.AppState.DeleteAppStateVersion(ctx, "regular")
	},
	"PutAppStateMutationMACs": func(ctx context.Context, d *store.Device) error {
		return d.AppState.PutAppStateMutationMACs(ctx, "regular", 2, []store.AppStateMutationMAC{{IndexMAC: key32(4), ValueMAC: key32(4)}})
	},
	"DeleteAppStateMutationMACs": func(ctx context.Context, d *store.Device) error {
		return d.AppState.DeleteAppStateMutationMACs(ctx, "regular", [][]byte{make([]byte, 32)})
	},
	"PutPushName": func(ctx context.Context, d *store.Device) error {
		_, _, err := d.Contacts.PutPushName(ctx, mustJID("1002@lid"), "Anja")
		return err
	},
	"PutBusinessName": func(ctx context.Context, d *store.Device) error {
		_, _, err := d.Contacts.PutBusinessName(ctx, mustJID("1002@lid"), "Salon")
		return err
	},
	"PutContactName": func(ctx context.Context, d *store.Device) error {
		return d.Contacts.PutContactName(ctx, mustJID("1002@lid"), "A", "A")
	},
	"PutManyRedactedPhones": func(ctx context.Context, d *store.Device) error {
		return d.Contacts.PutManyRedactedPhones(ctx, []store.RedactedPhoneEntry{{JID: mustJID("1002@lid"), RedactedPhone: "7"}})
	},
	"PutMutedUntil": func(ctx context.Context, d *store.Device) error {
		return d.ChatSettings.PutMutedUntil(ctx, mustJID("1002@lid"), serverTime)
	},
	"PutPinned": func(ctx context.Context, d *store.Device) error {
		return d.ChatSettings.PutPinned(ctx, mustJID("1003@lid"), true)
	},
	"PutArchived": func(ctx context.Context, d *store.Device) error {
		return d.ChatSettings.PutArchived(ctx, mustJID("1003@lid"), true)
	},
	"PutMessageSecret": func(ctx context.Context, d *store.Device) error {
		return d.MsgSecrets.PutMessageSecret(ctx, mustJID("1002@lid"), mustJID("1002@lid"), "new", []byte("s"))
	},
	"PutPrivacyTokens": func(ctx context.Context, d *store.Device) error {
		return d.PrivacyTokens.PutPrivacyTokens(ctx, store.PrivacyToken{User: mustJID("1003@lid"), Token: []byte("t")})
	},
	"PutBufferedEvent": func(ctx context.Context, d *store.Device) error {
		return d.EventBuffer.PutBufferedEvent(ctx, [32]byte{9}, []byte("text"), serverTime)
	},
	"ClearBufferedEventPlaintext": func(ctx context.Context, d *store.Device) error {
		for range maxHandled + 1 { // the last one writes
			if err := d.EventBuffer.ClearBufferedEventPlaintext(ctx, [32]byte{1}); err != nil {
				return err
			}
		}
		return nil
	},
	"PutLIDMapping": func(ctx context.Context, d *store.Device) error {
		return d.LIDs.PutLIDMapping(ctx, types.NewJID("1003", types.HiddenUserServer), types.NewJID("79001000003", types.DefaultUserServer))
	},
}

// furnished is a device with a row in every table.
func furnished(t *testing.T) (*process, *store.Device) {
	t.Helper()
	p, _ := openStore(t)
	device := pair(t, p, testJID, testLID)
	fill(t, device)
	require.NoError(t, device.Sessions.PutSession(t.Context(), peerPN+":0", []byte("session")))
	_, err := device.PreKeys.GetOrGenPreKeys(t.Context(), 1)
	require.NoError(t, err)
	return p, device
}

func TestAStaleTermWritesNothing(t *testing.T) {
	t.Parallel()
	for name, write := range writes {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, device := furnished(t)
			before := contents(t, p)
			p.database.Fence = p.database.Take(t, 0)
			require.ErrorIs(t, write(t.Context(), device), fleet.ErrFenced)
			require.Equal(t, before, contents(t, p))

			require.NoError(t, write(t.Context(), load(t, p, testJID)))
			require.NotEqual(t, before, contents(t, p), "the call has to be one that writes")
		})
	}
}

// The writes that have no device yet, or none any more.
func TestAStaleTermNeitherPairsNorDeletesNorRestores(t *testing.T) {
	t.Parallel()
	p, device := furnished(t)
	stale := p.owner(t, testJID)
	p.database.Fence = p.database.Take(t, 0)
	before := contents(t, p)
	require.ErrorIs(t, p.Delete(t.Context(), stale, testJID), fleet.ErrFenced)
	require.ErrorIs(t, p.Restore(t.Context(), stale, testJID), fleet.ErrFenced)
	pairing := withIdentity(p.New(stale, func(context.Context, string, string) error {
		t.Error("bound without keys")
		return nil
	}), testJID, testLID)
	require.ErrorIs(t, pairing.Save(t.Context()), fleet.ErrFenced)
	require.Equal(t, before, contents(t, p))
	require.NotNil(t, device.ID)
}

// A send of an owner that has lost its shard ends before its frame; a message that it decrypts is not acked.
func TestFencedWorkEnds(t *testing.T) {
	t.Parallel()
	alice, bob, p := acquainted(t)
	incoming, err := encrypt(t.Context(), bob, alice, "from bob")
	require.NoError(t, err)
	p.database.Take(t, 0)
	_, err = trySend(t.Context(), alice, bob, "from alice")
	require.ErrorIs(t, err, fleet.ErrFenced)
	_, err = decrypt(t.Context(), alice, bob, incoming)
	require.ErrorIs(t, err, fleet.ErrFenced)
	require.ErrorIs(t, err, context.Canceled, "so whatsmeow does not ack it")
}

// A write that comes during a take-over waits for how that ends, in its one statement.
func TestAWriteWaitsForATakeOver(t *testing.T) {
	t.Parallel()
	for name, commits := range map[string]bool{"commits": true, "rolls back": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, device := furnished(t)
			takeOver, err := p.database.Pool.Begin(t.Context())
			require.NoError(t, err)
			defer func() { _ = takeOver.Rollback(context.WithoutCancel(t.Context())) }()
			_, err = takeOver.Exec(t.Context(), `UPDATE shard_lease SET term = gen_random_uuid() WHERE shard = 0`)
			require.NoError(t, err)

			_, err = device.Sessions.GetSession(t.Context(), peer)
			require.NoError(t, err)
			written := make(chan error, 1)
			go func() { written <- device.Sessions.PutSession(t.Context(), peer, []byte("late")) }()
			require.Eventually(t, func() bool {
				return count(t, p, `SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`) > 0
			}, patience, tick)
			require.Empty(t, written)
			if commits {
				require.NoError(t, takeOver.Commit(t.Context()))
				require.ErrorIs(t, <-written, fleet.ErrFenced)
			} else {
				require.NoError(t, takeOver.Rollback(t.Context()))
				require.NoError(t, <-written)
			}
			session, err := load(t, p, testJID).Sessions.GetSession(t.Context(), peer)
			require.NoError(t, err)
			require.Equal(t, commits, string(session) != "late")
		})
	}
}

// And the other way round: a take-over waits for the write that has checked its term.
func TestATakeOverWaitsForTheWrite(t *testing.T) {
	t.Parallel()
	p, device := furnished(t)
	blocker, err := p.database.Pool.Begin(t.Context()) // holds the row that the write wants after its fence
	require.NoError(t, err)
	defer func() { _ = blocker.Rollback(context.WithoutCancel(t.Context())) }()
	_, err = blocker.Exec(t.Context(), `SELECT FROM device_sessions WHERE address = $1 FOR UPDATE`, peer)
	require.NoError(t, err)
	_, err = device.Sessions.GetSession(t.Context(), peer)
	require.NoError(t, err)
	written := make(chan error, 1)
	go func() { written <- device.Sessions.PutSession(t.Context(), peer, []byte("in time")) }()
	awaitLocks(t, p, 1)

	taken := make(chan error, 1)
	conn, err := pgx.Connect(t.Context(), p.database.Pool.Config().ConnString())
	require.NoError(t, err)
	defer func() { require.NoError(t, conn.Close(context.WithoutCancel(t.Context()))) }()
	go func() {
		_, err := conn.Exec(t.Context(), `UPDATE shard_lease SET term = gen_random_uuid() WHERE shard = 0`)
		taken <- err
	}()
	awaitLocks(t, p, 2)
	require.Empty(t, taken)
	require.NoError(t, blocker.Rollback(t.Context()))
	require.NoError(t, <-written)
	require.NoError(t, <-taken)
}

func awaitLocks(t *testing.T, p *process, n int) {
	t.Helper()
	require.Eventually(t, func() bool {
		return count(t, p, `SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`) == n
	}, patience, 2*time.Millisecond)
}

// contents is every row of every table of devices: equal before and after means that nothing was written.
func contents(t *testing.T, p *process) map[string]string {
	t.Helper()
	rows, err := p.database.Pool.Query(t.Context(), `SELECT tablename::text FROM pg_tables WHERE schemaname = 'public' AND tablename LIKE 'device%'`)
	require.NoError(t, err)
	tables, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(t, err)
	all := map[string]string{}
	for _, table := range tables {
		var content string
		require.NoError(t, p.database.Pool.QueryRow(t.Context(),
			fmt.Sprintf(`SELECT coalesce(string_agg(r::text, E'\n' ORDER BY r::text), '') FROM %s r`, table)).Scan(&content))
		all[table] = content
	}
	return all
}

var statementName = regexp.MustCompile(`(?m)^-- name: (\w+) :`)

// Every statement is bound to a company, and each that writes to the fence.
func TestStatementsAreBoundAndFenced(t *testing.T) {
	t.Parallel()
	across := map[string]string{
		"ListDevicesOfShard": "the owner of a shard starts all its companies",
		"CleanUpEvents":      "clean-up", "CleanUpDevices": "clean-up",
	}
	files, err := filepath.Glob("queries/*.sql")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		content, err := os.ReadFile(file)
		require.NoError(t, err)
		for _, statement := range strings.Split(string(content), "-- name: ")[1:] {
			name := statementName.FindStringSubmatch("-- name: " + statement)[1]
			if across[name] != "" {
				continue
			}
			require.Contains(t, statement, "@company_id", name)
			if strings.HasPrefix(name, "Import") {
				continue // under the lock of a session that nobody runs (shared/store.Link)
			}
			if regexp.MustCompile(`(INSERT INTO|UPDATE|DELETE FROM) device`).MatchString(statement) {
				require.Contains(t, statement, "l.term = @term::uuid FOR KEY SHARE", name)
				require.Contains(t, statement, "AS held", name)
			}
		}
	}
}
