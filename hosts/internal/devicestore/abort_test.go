package devicestore

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"
	"go.mau.fi/whatsmeow/store"
	"go.mau.fi/whatsmeow/types"
)

// Each of these is used by some send. whatsmeow only logs the errors of some, and for others leaves out the device.
func TestEveryErrorOfAStoreAbortsTheSend(t *testing.T) {
	t.Parallel()
	s, _ := openStore(t)
	device := pair(t, s, testJID, testLID)
	s.pool.Close() // Postgres is gone
	pn, lid := mustJID("79001000002@s.whatsapp.net"), mustJID("1002@lid")
	for name, use := range map[string]func(ctx context.Context, d *store.Device) error{
		"GetSession": func(ctx context.Context, d *store.Device) error {
			_, err := d.Sessions.GetSession(ctx, peer)
			return err
		},
		"HasSession": func(ctx context.Context, d *store.Device) error {
			_, err := d.Sessions.HasSession(ctx, peer)
			return err
		},
		"GetManySessions": func(ctx context.Context, d *store.Device) error {
			_, err := d.Sessions.GetManySessions(ctx, []string{peer})
			return err
		},
		"PutSession": func(ctx context.Context, d *store.Device) error { return d.Sessions.PutSession(ctx, peer, nil) },
		"PutManySessions": func(ctx context.Context, d *store.Device) error {
			return d.Sessions.PutManySessions(ctx, map[string][]byte{peer: nil})
		},
		"DeleteSession":     func(ctx context.Context, d *store.Device) error { return d.Sessions.DeleteSession(ctx, peer) },
		"DeleteAllSessions": func(ctx context.Context, d *store.Device) error { return d.Sessions.DeleteAllSessions(ctx, peer) },
		"MigratePNToLID":    func(ctx context.Context, d *store.Device) error { return d.Sessions.MigratePNToLID(ctx, pn, lid) },
		"PutIdentity": func(ctx context.Context, d *store.Device) error { // it goes with the sessions
			if err := d.Identities.PutIdentity(ctx, peer, [32]byte{}); err != nil {
				return err
			}
			return d.Sessions.PutManySessions(ctx, nil)
		},
		"IsTrustedIdentity": func(ctx context.Context, d *store.Device) error {
			_, err := d.Identities.IsTrustedIdentity(ctx, peer, [32]byte{})
			return err
		},
		"DeleteIdentity":      func(ctx context.Context, d *store.Device) error { return d.Identities.DeleteIdentity(ctx, peer) },
		"DeleteAllIdentities": func(ctx context.Context, d *store.Device) error { return d.Identities.DeleteAllIdentities(ctx, peer) },
		"GetOrGenPreKeys": func(ctx context.Context, d *store.Device) error {
			_, err := d.PreKeys.GetOrGenPreKeys(ctx, 1)
			return err
		},
		"GenOnePreKey": func(ctx context.Context, d *store.Device) error { _, err := d.PreKeys.GenOnePreKey(ctx); return err },
		"GetPreKey":    func(ctx context.Context, d *store.Device) error { _, err := d.PreKeys.GetPreKey(ctx, 1); return err },
		"RemovePreKey": func(ctx context.Context, d *store.Device) error { return d.PreKeys.RemovePreKey(ctx, 1) },
		"MarkPreKeys":  func(ctx context.Context, d *store.Device) error { return d.PreKeys.MarkPreKeysAsUploaded(ctx, 1) },
		"UploadedPreKeyCount": func(ctx context.Context, d *store.Device) error {
			_, err := d.PreKeys.UploadedPreKeyCount(ctx)
			return err
		},
		"GetSenderKey": func(ctx context.Context, d *store.Device) error {
			_, err := d.SenderKeys.GetSenderKey(ctx, "group", peer)
			return err
		},
		"PutSenderKey": func(ctx context.Context, d *store.Device) error {
			return d.SenderKeys.PutSenderKey(ctx, "group", peer, nil)
		},
		"PutLIDMapping": func(ctx context.Context, d *store.Device) error { return d.LIDs.PutLIDMapping(ctx, lid, pn) },
		"PutManyLIDMappings": func(ctx context.Context, d *store.Device) error {
			return d.LIDs.PutManyLIDMappings(ctx, []store.LIDMapping{{LID: lid, PN: pn}})
		},
		"GetPNForLID": func(ctx context.Context, d *store.Device) error { _, err := d.LIDs.GetPNForLID(ctx, lid); return err },
		"GetLIDForPN": func(ctx context.Context, d *store.Device) error { _, err := d.LIDs.GetLIDForPN(ctx, pn); return err },
		"GetManyLIDsForPNs": func(ctx context.Context, d *store.Device) error {
			_, err := d.LIDs.GetManyLIDsForPNs(ctx, []types.JID{pn})
			return err
		},
		"PutMessageSecret": func(ctx context.Context, d *store.Device) error { // so does this
			if err := d.MsgSecrets.PutMessageSecret(ctx, pn, pn, "A", nil); err != nil {
				return err
			}
			return d.Sessions.PutManySessions(ctx, nil)
		},
		"PutMessageSecret of a group": func(ctx context.Context, d *store.Device) error {
			return d.MsgSecrets.PutMessageSecret(ctx, mustJID("1@g.us"), pn, "A", nil)
		},
		"PutMessageSecrets": func(ctx context.Context, d *store.Device) error {
			return d.MsgSecrets.PutMessageSecrets(ctx, []store.MessageSecretInsert{{Chat: pn, Sender: pn}})
		},
		"GetMessageSecret": func(ctx context.Context, d *store.Device) error {
			_, _, err := d.MsgSecrets.GetMessageSecret(ctx, pn, pn, "A")
			return err
		},
		"GetPrivacyToken": func(ctx context.Context, d *store.Device) error {
			_, err := d.PrivacyTokens.GetPrivacyToken(ctx, pn)
			return err
		},
		"PutPrivacyTokens": func(ctx context.Context, d *store.Device) error {
			return d.PrivacyTokens.PutPrivacyTokens(ctx, store.PrivacyToken{User: pn})
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, end := WithAbort(t.Context())
			err := use(ctx, device)
			require.Error(t, err)
			require.ErrorIs(t, ctx.Err(), context.Canceled)
			require.ErrorIs(t, context.Cause(ctx), err)
			require.ErrorIs(t, end(), err)
		})
	}
}

func TestWithAbort(t *testing.T) {
	t.Parallel()
	t.Run("nothing happened", func(t *testing.T) {
		t.Parallel()
		ctx, end := WithAbort(t.Context())
		require.NoError(t, ctx.Err())
		require.NoError(t, end())
		require.Error(t, ctx.Err(), "released")
		require.NoError(t, end(), "may be called again")
	})
	t.Run("the caller gave up", func(t *testing.T) {
		t.Parallel()
		parent, cancel := context.WithCancel(t.Context())
		ctx, end := WithAbort(parent)
		cancel()
		require.ErrorIs(t, ctx.Err(), context.Canceled)
		require.NoError(t, end(), "no store is to blame")
	})
	t.Run("the first error counts", func(t *testing.T) {
		t.Parallel()
		ctx, end := WithAbort(t.Context())
		first, second := errors.New("first"), errors.New("second")
		derived := context.WithValue(ctx, transactionKey{}, nil)
		require.ErrorIs(t, check(derived, first), first)
		require.ErrorIs(t, check(derived, second), second)
		require.ErrorIs(t, end(), first)
	})
	t.Run("other work goes on", func(t *testing.T) {
		t.Parallel()
		ctx, end := WithAbort(t.Context())
		require.Error(t, check(t.Context(), errors.New("of another")))
		require.NoError(t, ctx.Err())
		require.NoError(t, end())
	})
}
