package devicestore

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.mau.fi/libsignal/protocol"
	"go.mau.fi/libsignal/session"
	"go.mau.fi/whatsmeow/store"
)

// A send reads its sessions, and before it stores them a message of the recipient is decrypted.
func TestADecryptionDuringASend(t *testing.T) {
	t.Parallel()
	alice, bob, _ := acquainted(t)
	incoming, err := encrypt(t.Context(), bob, alice, "from bob")
	require.NoError(t, err)

	ctx, end := WithAbort(t.Context())
	_, sending, err := alice.WithCachedSessions(ctx, []string{addressOf(bob).String()})
	require.NoError(t, err)
	_, err = encrypt(sending, alice, bob, "from alice")
	require.NoError(t, err)

	text, err := decrypt(t.Context(), alice, bob, incoming)
	require.NoError(t, err)
	require.Equal(t, "from bob", text)

	require.ErrorIs(t, alice.PutCachedSessions(sending), ErrStale, "what the decryption has learned would be lost")
	require.ErrorIs(t, end(), ErrStale)
	deliver(t, alice, bob, "from alice") // tried again
	deliver(t, bob, alice, "from bob again")
}

// A decryption has read the session, and before it stores it a send goes out. Stock stores the session from before the
// send, so that the next message has the counter of this one: the recipient drops it, and reports it as delivered.
func TestASendDuringADecryption(t *testing.T) {
	t.Parallel()
	alice, bob, _ := acquainted(t)
	incoming, err := encrypt(t.Context(), bob, alice, "from bob")
	require.NoError(t, err)

	attempts, got := 0, ""
	var sent protocol.CiphertextMessage
	err = alice.EventBuffer.DoDecryptionTxn(t.Context(), func(ctx context.Context) error {
		attempts++
		plaintext, err := decryptBetween(ctx, alice, bob, incoming, func() {
			if attempts > 1 {
				return
			}
			sent = mustSend(t, alice, bob, "from alice")
		})
		got = string(plaintext)
		return err
	})
	require.NoError(t, err)
	require.Equal(t, "from bob", got)
	require.Equal(t, 2, attempts, "it starts over with the session as the send left it")

	text, err := decrypt(t.Context(), bob, alice, sent)
	require.NoError(t, err)
	require.Equal(t, "from alice", text)
	deliver(t, alice, bob, "the next one")
	deliver(t, bob, alice, "the next one of bob")
}

// mustSend is an encryption in the way of whatsmeow's SendMessage.
func mustSend(t *testing.T, from, to *store.Device, text string) protocol.CiphertextMessage {
	t.Helper()
	message, err := trySend(t.Context(), from, to, text)
	require.NoError(t, err)
	return message
}

func trySend(ctx context.Context, from, to *store.Device, text string) (protocol.CiphertextMessage, error) {
	ctx, end := WithAbort(ctx)
	_, sending, err := from.WithCachedSessions(ctx, []string{addressOf(to).String()})
	if err != nil {
		return nil, errors.Join(err, end())
	}
	message, err := encrypt(sending, from, to, text)
	if err != nil {
		return nil, errors.Join(err, end())
	}
	return message, errors.Join(from.PutCachedSessions(sending), end())
}

// decryptBetween is a decryption with something that happens after it has read the session.
func decryptBetween(ctx context.Context, to, from *store.Device, message protocol.CiphertextMessage, happens func()) ([]byte, error) {
	paused := *to
	paused.Sessions = &interrupted{SessionStore: to.Sessions, beforePut: happens}
	builder := session.NewBuilderFromSignal(&paused, addressOf(from), store.SignalProtobufSerializer)
	return session.NewCipher(builder, addressOf(from)).Decrypt(ctx, message.(*protocol.SignalMessage))
}

type interrupted struct {
	store.SessionStore
	beforePut func()
}

func (i *interrupted) PutSession(ctx context.Context, address string, session []byte) error {
	i.beforePut()
	return i.SessionStore.PutSession(ctx, address, session)
}

// The answer to a retry receipt is encrypted without whatsmeow's lock for sends, and whatsmeow does not try again if it
// fails; so others wait for it.
func TestOthersWaitForTheAnswerToARetryReceipt(t *testing.T) {
	t.Parallel()
	for name, other := range map[string]func(ctx context.Context, alice, bob *store.Device) (protocol.CiphertextMessage, error){
		"a send": func(ctx context.Context, alice, bob *store.Device) (protocol.CiphertextMessage, error) {
			return trySend(ctx, alice, bob, "other")
		},
		"another answer": func(ctx context.Context, alice, bob *store.Device) (protocol.CiphertextMessage, error) {
			return encrypt(ctx, alice, bob, "other")
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			alice, bob, _ := acquainted(t)
			var second protocol.CiphertextMessage
			done := make(chan error, 1)
			paused := *alice
			paused.Sessions = &interrupted{SessionStore: alice.Sessions, beforePut: func() {
				go func() {
					var err error
					second, err = other(t.Context(), alice, bob)
					done <- err
				}()
				require.Never(t, func() bool { return len(done) > 0 }, 50*time.Millisecond, tick, "did not wait")
			}}
			first, err := encrypt(t.Context(), &paused, bob, "the answer")
			require.NoError(t, err)
			require.NoError(t, <-done)
			for _, message := range []protocol.CiphertextMessage{first, second} {
				_, err := decrypt(t.Context(), bob, alice, message)
				require.NoError(t, err)
			}
		})
	}
}

// They do not wait for ever: it may have failed after it has read the session.
func TestAnAnswerToARetryReceiptThatTakesTooLong(t *testing.T) {
	t.Parallel()
	alice, bob, _ := acquainted(t)
	var sent protocol.CiphertextMessage
	paused := *alice
	paused.Sessions = &interrupted{SessionStore: alice.Sessions, beforePut: func() { sent = mustSend(t, alice, bob, "a send") }}
	_, err := encrypt(t.Context(), &paused, bob, "the answer")
	require.ErrorIs(t, err, ErrStale)

	text, err := decrypt(t.Context(), bob, alice, sent)
	require.NoError(t, err)
	require.Equal(t, "a send", text)
	deliver(t, alice, bob, "the answer")
	steps := alice.Sessions.(*device).steps
	require.Empty(t, steps.writing)
	require.Empty(t, steps.leases)
}

// Whoever finds a session being written waits for the end of that without holding a connection.
func TestADecryptionWaitsForASendThatIsBeingStored(t *testing.T) {
	t.Parallel()
	alice, bob, s := acquainted(t)
	incoming, err := encrypt(t.Context(), bob, alice, "from bob")
	require.NoError(t, err)
	steps, address := alice.Sessions.(*device).steps, addressOf(bob).String()

	finish := hold(t, steps, address)
	attempts := make(chan int, maxDecryptions)
	decrypted := make(chan error)
	go func() {
		decrypted <- alice.EventBuffer.DoDecryptionTxn(t.Context(), func(ctx context.Context) error {
			_, err := decryptBetween(ctx, alice, bob, incoming, func() { attempts <- len(attempts) + 1 })
			return err
		})
	}()
	require.Equal(t, 1, <-attempts)
	require.Eventually(t, func() bool { return s.pool.Stat().AcquiredConns() == 0 }, 10*time.Second, time.Millisecond)
	finish()
	require.NoError(t, <-decrypted)
	require.Len(t, attempts, 1, "it has read the session again")
}

func TestASendWaitsForADecryption(t *testing.T) {
	t.Parallel()
	alice, bob, _ := acquainted(t)
	steps, address := alice.Sessions.(*device).steps, addressOf(bob).String()
	finish := hold(t, steps, address)
	sent := make(chan error, 1)
	go func() {
		_, err := trySend(t.Context(), alice, bob, "from alice")
		sent <- err
	}()
	require.Never(t, func() bool { return len(sent) > 0 }, 50*time.Millisecond, tick, "did not wait")
	finish()
	require.NoError(t, <-sent)
}

func TestWhoeverWaitsCanBeCancelled(t *testing.T) {
	t.Parallel()
	alice, bob, _ := acquainted(t)
	steps, address := alice.Sessions.(*device).steps, addressOf(bob).String()
	incoming, err := encrypt(t.Context(), bob, alice, "from bob")
	require.NoError(t, err)
	finish := hold(t, steps, address)
	ctx, cancel := context.WithCancel(t.Context())
	err = alice.EventBuffer.DoDecryptionTxn(ctx, func(ctx context.Context) error {
		_, err := decryptBetween(ctx, alice, bob, incoming, func() {})
		cancel()
		return err
	})
	require.ErrorIs(t, err, context.Canceled)
	_, err = trySend(ctx, alice, bob, "from alice")
	require.ErrorIs(t, err, context.Canceled)
	finish()
}

// hold writes a session until the returned function is called.
func hold(t *testing.T, steps *ratchets, address string) (finish func()) {
	t.Helper()
	ctx, end := WithAbort(t.Context())
	require.NoError(t, steps.read(ctx, address))
	writing, released, written := make(chan struct{}), make(chan struct{}), make(chan error)
	go func() {
		written <- steps.write(ctx, []string{address}, func() error {
			close(writing)
			<-released
			return nil
		})
	}()
	<-writing
	return func() {
		close(released)
		require.NoError(t, <-written)
		require.NoError(t, end())
	}
}

// A session that never settles must not be decrypted for ever; the message comes again later.
func TestADecryptionStartsOverOnlySoOften(t *testing.T) {
	t.Parallel()
	alice, bob, _ := acquainted(t)
	attempts := 0
	err := alice.EventBuffer.DoDecryptionTxn(t.Context(), func(context.Context) error {
		attempts++
		return &storeError{err: &staleError{address: addressOf(bob).String()}}
	})
	require.ErrorIs(t, err, ErrStale)
	require.ErrorIs(t, err, context.Canceled, "so whatsmeow does not ack it")
	require.Equal(t, maxDecryptions, attempts)
}

// An identity change deletes the sessions of a user while a send is on its way with one of them.
func TestASessionThatIsDeletedDuringASendStaysDeleted(t *testing.T) {
	t.Parallel()
	for name, drop := range map[string]func(ctx context.Context, d, peer *store.Device) error{
		"all of the user": func(ctx context.Context, d, peer *store.Device) error {
			return d.Sessions.DeleteAllSessions(ctx, peer.LID.SignalAddressUser())
		},
		"one": func(ctx context.Context, d, peer *store.Device) error {
			return d.Sessions.DeleteSession(ctx, addressOf(peer).String())
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			alice, bob, _ := acquainted(t)
			address := addressOf(bob).String()
			ctx, end := WithAbort(t.Context())
			_, sending, err := alice.WithCachedSessions(ctx, []string{address})
			require.NoError(t, err)
			_, err = encrypt(sending, alice, bob, "from alice")
			require.NoError(t, err)
			require.NoError(t, drop(t.Context(), alice, bob))
			require.ErrorIs(t, alice.PutCachedSessions(sending), ErrStale)
			require.ErrorIs(t, end(), ErrStale)
			has, err := alice.Sessions.HasSession(t.Context(), address)
			require.NoError(t, err)
			require.False(t, has)
		})
	}
}

// whatsmeow itself deletes a session in the middle of a send, when the recipient has a new identity, and goes on.
func TestASendMayDeleteItsOwnSession(t *testing.T) {
	t.Parallel()
	alice, bob, _ := acquainted(t)
	ctx, end := WithAbort(t.Context())
	_, sending, err := alice.WithCachedSessions(ctx, []string{addressOf(bob).String()})
	require.NoError(t, err)
	require.NoError(t, alice.Sessions.DeleteSession(sending, addressOf(bob).String()))
	_, err = encrypt(sending, alice, bob, "from alice")
	require.NoError(t, err)
	require.NoError(t, alice.PutCachedSessions(sending))
	require.NoError(t, end())
}

// The table of steps is bounded: when it is full, what was read before counts as stale, and no more than that.
func TestManySessions(t *testing.T) {
	t.Parallel()
	steps := newRatchets()
	early, endEarly := WithAbort(t.Context())
	late, endLate := WithAbort(t.Context())
	require.NoError(t, steps.read(early, "early"))
	for i := range 2*maxSteps + 1 {
		address := strconv.Itoa(i)
		require.NoError(t, steps.read(late, address))
		require.NoError(t, steps.write(late, []string{address}, func() error { return nil }))
	}
	require.LessOrEqual(t, len(steps.stepped), maxSteps)
	require.ErrorIs(t, steps.write(early, []string{"early"}, func() error { return nil }), ErrStale)
	require.NoError(t, steps.read(early, "early"))
	require.NoError(t, steps.write(early, []string{"early"}, func() error { return nil }))
	require.NoError(t, errors.Join(endEarly(), endLate()))
	require.Empty(t, steps.writing)

	for i := range 2*maxSteps + 1 {
		require.NoError(t, steps.read(t.Context(), strconv.Itoa(i)))
	}
	require.LessOrEqual(t, len(steps.loose.readAt), maxSteps)
}

func TestAWriteTakesAllOfItsSessionsOrNone(t *testing.T) {
	t.Parallel()
	steps := newRatchets()
	ctx, end := WithAbort(t.Context())
	require.NoError(t, steps.read(ctx, "a", "b"))
	require.NoError(t, steps.read(t.Context(), "b"))
	require.NoError(t, steps.write(t.Context(), []string{"b"}, func() error { return nil }))
	require.ErrorIs(t, steps.write(ctx, []string{"a", "b"}, func() error { t.Error("wrote"); return nil }), ErrStale)
	require.Empty(t, steps.writing)
	require.NoError(t, end())
}

// Two devices write to each other as fast as they can. Nothing may be lost, and nothing may arrive twice.
func TestTrafficInBothDirections(t *testing.T) {
	t.Parallel()
	const messages = 60
	alice, bob, _ := acquainted(t)
	type outcome struct {
		stale int
		err   error
	}
	results := make(chan outcome, 4)
	toBob, toAlice := make(chan protocol.CiphertextMessage, messages), make(chan protocol.CiphertextMessage, messages)
	writes := func(from, to *store.Device, wire chan<- protocol.CiphertextMessage) {
		defer close(wire)
		out := outcome{}
		for i := 0; i < messages; {
			message, err := trySend(t.Context(), from, to, strconv.Itoa(i))
			switch {
			case errors.Is(err, ErrStale):
				out.stale++
			case err != nil:
				out.err = err
				results <- out
				return
			default:
				wire <- message
				i++
			}
		}
		results <- out
	}
	reads := func(to, from *store.Device, wire <-chan protocol.CiphertextMessage) {
		out := outcome{}
		i := 0
		for message := range wire {
			text, err := decrypt(t.Context(), to, from, message)
			if err == nil && text != strconv.Itoa(i) {
				err = fmt.Errorf("got %q as message %d", text, i)
			}
			out.err = errors.Join(out.err, err)
			i++
		}
		results <- out
	}
	go writes(alice, bob, toBob)
	go writes(bob, alice, toAlice)
	go reads(bob, alice, toBob)
	go reads(alice, bob, toAlice)
	stale := 0
	for range cap(results) {
		out := <-results
		require.NoError(t, out.err)
		stale += out.stale
	}
	t.Logf("%d messages, %d sends tried again", 2*messages, stale)
}
