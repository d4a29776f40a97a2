package devicestore

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"
	"go.mau.fi/libsignal/signalerror"
)

// whatsmeow acks what it cannot decrypt, and asks the sender for another encryption. It does neither for a cancelled
// context.
func TestADecryptionThatFailsForTheDatabaseIsPostponed(t *testing.T) {
	t.Parallel()
	for name, broken := range map[string]string{
		"session":  "ALTER TABLE device_sessions RENAME TO away",
		"identity": "ALTER TABLE device_identities RENAME TO away",
		"buffer":   "ALTER TABLE device_events RENAME TO away",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			alice, bob, s := acquainted(t)
			message, err := encrypt(t.Context(), bob, alice, "from bob")
			require.NoError(t, err)
			execute(t, s, broken)
			err = alice.EventBuffer.DoDecryptionTxn(t.Context(), func(ctx context.Context) error {
				if _, err := decryptBetween(ctx, alice, bob, message, func() {}); err != nil {
					return err
				}
				return alice.EventBuffer.PutBufferedEvent(ctx, [32]byte{1}, nil, serverTime)
			})
			require.ErrorIs(t, err, context.Canceled)
		})
	}
}

func TestADecryptionThatCannotBeginIsPostponed(t *testing.T) {
	t.Parallel()
	s, _ := openStore(t)
	device := pair(t, s, testJID, testLID)
	s.pool.Close()
	_, err := device.EventBuffer.GetBufferedEvent(t.Context(), [32]byte{1})
	require.ErrorIs(t, err, context.Canceled)
	err = device.EventBuffer.DoDecryptionTxn(t.Context(), func(ctx context.Context) error {
		_, err := device.Sessions.HasSession(ctx, peer)
		return err
	})
	require.ErrorIs(t, err, context.Canceled)
	err = device.EventBuffer.DoDecryptionTxn(t.Context(), func(context.Context) error { return nil })
	require.ErrorIs(t, err, context.Canceled, "what it has brought could not be stored")
}

// A commit can fail, too: here because a constraint is checked only then.
func TestADecryptionThatCannotBeCommittedIsPostponed(t *testing.T) {
	t.Parallel()
	alice, bob, s := acquainted(t)
	message, err := encrypt(t.Context(), bob, alice, "from bob")
	require.NoError(t, err)
	execute(t, s, "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'refused'; END $$")
	execute(t, s, `CREATE CONSTRAINT TRIGGER refuse AFTER UPDATE ON device_sessions
		DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION refuse()`)
	_, err = decrypt(t.Context(), alice, bob, message)
	require.ErrorContains(t, err, "refused")
	require.ErrorIs(t, err, context.Canceled)

	execute(t, s, "DROP TRIGGER refuse ON device_sessions")
	text, err := decrypt(t.Context(), alice, bob, message) // it has come again
	require.NoError(t, err)
	require.Equal(t, "from bob", text)
}

// What is wrong with the message itself has to be told to its sender.
func TestADecryptionThatFailsForTheMessageIsNotPostponed(t *testing.T) {
	t.Parallel()
	alice, bob, _ := acquainted(t)
	message, err := encrypt(t.Context(), bob, alice, "from bob")
	require.NoError(t, err)
	_, err = decrypt(t.Context(), alice, bob, message)
	require.NoError(t, err)
	_, err = decrypt(t.Context(), alice, bob, message)
	require.ErrorIs(t, err, signalerror.ErrOldCounter)
	require.NotErrorIs(t, err, context.Canceled)
}

func TestClientsDoNotSweepTheBuffersOfOthers(t *testing.T) {
	t.Parallel()
	s, traced := openStore(t)
	device := pair(t, s, testJID, testLID)
	traced.take()
	require.NoError(t, device.EventBuffer.DeleteOldBufferedHashes(t.Context()))
	require.Empty(t, traced.take())
}

// A handled message is known as such at once; its plaintext goes with the next write, whichever that is.
func TestThePlaintextOfAHandledMessageGoesWithTheNextWrite(t *testing.T) {
	t.Parallel()
	s, traced := openStore(t)
	device := pair(t, s, testJID, testLID)
	require.NoError(t, device.EventBuffer.PutBufferedEvent(t.Context(), [32]byte{1}, []byte("text"), serverTime))
	traced.take()
	require.NoError(t, device.EventBuffer.ClearBufferedEventPlaintext(t.Context(), [32]byte{1}))
	require.Empty(t, traced.take())
	found, err := device.EventBuffer.GetBufferedEvent(t.Context(), [32]byte{1})
	require.NoError(t, err)
	require.Nil(t, found.Plaintext)

	const kept = "SELECT count(*) FROM device_events WHERE sealed_plaintext IS NOT NULL"
	require.Equal(t, 1, count(t, s, kept))
	execute(t, s, "ALTER TABLE device_identities RENAME TO away")
	require.Error(t, device.Identities.PutIdentity(t.Context(), peer, [32]byte{1}))
	execute(t, s, "ALTER TABLE away RENAME TO device_identities")
	require.NoError(t, device.Identities.PutIdentity(t.Context(), peer, [32]byte{1}), "a write that failed forgets nothing")
	require.Zero(t, count(t, s, kept))
}

// A decryption needs one read if the last message came from the same peer, and two if not.
func TestTheGuessOfADecryption(t *testing.T) {
	t.Parallel()
	for name, likely := range map[string]struct {
		address string
		reads   int
	}{"right": {"1002_1:2", 1}, "wrong": {"1003_1:0", 2}, "none": {"", 2}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			alice, bob, s := acquainted(t)
			message, err := encrypt(t.Context(), bob, alice, "from bob")
			require.NoError(t, err)
			again, traced := reopen(t, s)
			alice = load(t, again, alice.ID.String())
			alice.Sessions.(*device).likely = likely.address
			traced.take()
			_, err = alice.EventBuffer.GetBufferedEvent(t.Context(), [32]byte{1})
			require.NoError(t, err)
			text, err := decrypt(t.Context(), alice, bob, message)
			require.NoError(t, err)
			require.Equal(t, "from bob", text)
			require.Len(t, traced.take(), likely.reads+1)
		})
	}
}

// A guess that somebody has stepped since it was read is not stored.
func TestAGuessThatIsStale(t *testing.T) {
	t.Parallel()
	alice, bob, _ := acquainted(t)
	message, err := encrypt(t.Context(), bob, alice, "from bob")
	require.NoError(t, err)
	_, err = alice.EventBuffer.GetBufferedEvent(t.Context(), [32]byte{1})
	require.NoError(t, err)
	require.NotNil(t, alice.Sessions.(*device).guess)
	sent := mustSend(t, alice, bob, "from alice")
	text, err := decrypt(t.Context(), alice, bob, message)
	require.NoError(t, err)
	require.Equal(t, "from bob", text)
	_, err = decrypt(t.Context(), bob, alice, sent)
	require.NoError(t, err)
	deliver(t, alice, bob, "the next one")
}
