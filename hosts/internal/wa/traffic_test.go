package wa

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.mau.fi/libsignal/kdf"
	"go.mau.fi/libsignal/keys/chain"
	"go.mau.fi/libsignal/state/record"
	"go.mau.fi/whatsmeow/store"

	"wafleet/hosts/internal/actor"
	"wafleet/infra/wasim"
	"wafleet/shared/message"
)

func TestThereAndBack(t *testing.T) {
	t.Parallel()
	l, anna := paired(t), newPhone(t)
	require.NoError(t, l.text(t, "3EB0AA01", anna, "Здравствуйте!"))
	m := arrived(t, anna, "3EB0AA01")
	require.Equal(t, "Здравствуйте!", m.Text)
	require.Equal(t, l.number, m.From)
	require.Equal(t, actor.Receipt{MessageIDs: []string{"3EB0AA01"}, Status: message.Delivered}, <-l.receipts)
	require.NoError(t, whatsapp.SendReceipts(t.Context(), anna, "read", "3EB0AA01"))
	require.Equal(t, actor.Receipt{MessageIDs: []string{"3EB0AA01"}, Status: message.Read}, <-l.receipts)

	id, err := whatsapp.SendText(t.Context(), anna, l.number, "hello")
	require.NoError(t, err)
	in := l.got(t, 1)[0]
	require.Equal(t, id, in.WAMessageID)
	require.Equal(t, message.Said{Kind: message.Text, Text: "hello"}, in.Said)
	require.Equal(t, anna, in.Sender.Phone)
	require.NotEmpty(t, in.Sender.LID)
	require.Equal(t, "Anna", in.Sender.Name)
	require.False(t, in.FromMe)
	require.WithinDuration(t, time.Now(), in.Timestamp, time.Minute)
}

func refusal(t *testing.T, err error) *actor.SendError {
	t.Helper()
	var failed *actor.SendError
	require.ErrorAs(t, err, &failed)
	return failed
}

func TestASendThatIsRefused(t *testing.T) {
	t.Parallel()
	l, anna := paired(t), newPhone(t)
	l.fault(t, wasim.Error463)
	failed := refusal(t, l.text(t, "3EB0AA02", anna, "hi"))
	require.Equal(t, actor.Refused, failed.Outcome)
	require.Equal(t, "account_reachout_locked", failed.Reason)
	require.True(t, failed.Final)
	require.NoError(t, l.text(t, "3EB0AA03", anna, "hi"), "it says nothing about the next one")
}

func TestANumberThatIsNotOnWhatsApp(t *testing.T) {
	t.Parallel()
	l := paired(t)
	failed := refusal(t, l.text(t, "3EB0AA04", newNumber(), "anybody?"))
	require.Equal(t, actor.Refused, failed.Outcome)
	require.Equal(t, "recipient_not_on_whatsapp", failed.Reason)
	require.True(t, failed.Final)
}

// An ack that gets lost leaves a doubt; the resend under the same id settles it, and the other side sees one message.
func TestALostAck(t *testing.T) {
	t.Parallel()
	l, anna := paired(t), newPhone(t)
	require.NoError(t, l.text(t, "3EB0AA05", anna, "first"))
	l.ackTimeout = 200 * time.Millisecond
	l.fault(t, wasim.LoseAck)
	failed := refusal(t, l.text(t, "3EB0AA06", anna, "once"))
	require.Equal(t, actor.Unknown, failed.Outcome)
	require.Equal(t, "no_ack", failed.Reason)
	require.False(t, failed.Final)
	l.ackTimeout = ackTimeout
	require.NoError(t, l.text(t, "3EB0AA06", anna, "once"))
	require.NoError(t, l.text(t, "3EB0AA07", anna, "last"))
	arrived(t, anna, "3EB0AA07")
	all, err := whatsapp.Messages(anna)
	require.NoError(t, err)
	seen := 0
	for _, m := range all {
		if m.ID == "3EB0AA06" && !m.Duplicate {
			seen++
		}
	}
	require.Equal(t, 1, seen)
}

// A send through a socket that is not logged in writes nothing, and says so.
func TestSendsNeedALogin(t *testing.T) {
	t.Parallel()
	l, anna := paired(t), newPhone(t)
	require.NoError(t, l.text(t, "3EB0AA08", anna, "hi")) // so that nothing would have to be asked for
	l.hang()
	for _, when := range []string{"closed", "dialled, not logged in"} {
		failed := refusal(t, l.text(t, "3EB0AA09", anna, "hi"))
		require.Equal(t, actor.NotWritten, failed.Outcome, when)
		require.Equal(t, "connection_lost", failed.Reason, when)
		require.False(t, failed.Final)
		if when == "closed" {
			l.fault(t, wasim.TempBan402) // refuses the login of what comes next
			l.connect(t)
		}
	}
}

func TestAMessageThatCannotBeRead(t *testing.T) {
	t.Parallel()
	l := newLine(t)
	failed := refusal(t, l.Send(t.Context(), actor.Outgoing{ID: "3EB0", Phone: "79001111111", Wire: []byte{0xff}}))
	require.Equal(t, actor.NotWritten, failed.Outcome)
	require.True(t, failed.Final)
	_, err := shared.Build(message.Content{Kind: message.Text}, nil)
	require.Error(t, err)
}

// What a handler did not store is not acked, and comes again with the next connection: whether it said so or panicked.
func TestWhatIsNotStoredComesAgain(t *testing.T) {
	t.Parallel()
	for name, fail := range map[string]func() error{
		"an error": func() error { return errors.New("database is away") },
		"a panic":  func() error { panic("boom") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l, anna := paired(t), newPhone(t)
			var refused atomic.Int32
			l.set(func() {
				l.onReceive = func(actor.Incoming) error {
					refused.Add(1)
					return fail()
				}
			})
			id, err := whatsapp.SendText(t.Context(), anna, l.number, "important")
			require.NoError(t, err)
			require.Eventually(t, func() bool { return refused.Load() == 1 }, await, time.Millisecond)
			require.Positive(t, l.waiting(t), "not acked")
			l.hang()
			l.set(func() { l.onReceive = nil })
			l.reconnect(t)
			require.Equal(t, id, l.got(t, 1)[0].WAMessageID)
			require.Eventually(t, func() bool { return l.waiting(t) == 0 }, await, time.Millisecond, "acked")
			l.hang()
			l.reconnect(t)
			require.Len(t, l.got(t, 1), 1, "and does not come a third time")
		})
	}
}

func (l *line) set(change func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	change()
}

// Close lets a handler finish what it is writing: its message is stored, and acked or known when it comes again.
func TestCloseWaitsForHandlers(t *testing.T) {
	t.Parallel()
	l, anna := paired(t), newPhone(t)
	writing, release := make(chan struct{}), make(chan struct{})
	l.set(func() {
		l.onReceive = func(actor.Incoming) error {
			close(writing)
			<-release
			return nil
		}
	})
	_, err := whatsapp.SendText(t.Context(), anna, l.number, "hi")
	require.NoError(t, err)
	<-writing
	closed := make(chan struct{})
	go func() {
		defer close(closed)
		l.Close()
		l.Close() // twice is fine
	}()
	select {
	case <-closed:
		require.FailNow(t, "closed over a handler")
	case <-time.After(100 * time.Millisecond):
	}
	close(release)
	<-closed
	l.got(t, 1)
}

// A handler that hangs holds up Close for a while and no longer.
func TestCloseDoesNotWaitForEver(t *testing.T) {
	t.Parallel()
	c := &Conn{client: newLine(t).client} // whose handlers are ours to begin and to end
	c.begin()
	c.begin()
	c.end()
	start := time.Now()
	c.Close()
	require.GreaterOrEqual(t, time.Since(start), handlerGrace)
	require.Less(t, time.Since(start), 2*handlerGrace)
	c.end()
	c.Close()
	require.Less(t, time.Since(start), 2*handlerGrace, "nothing is under way any more")
}

func TestCloseBeforeAnything(t *testing.T) {
	t.Parallel()
	l := newLine(t)
	l.Close()
	l.Close()
	l.connect(t)
	l.await(t, then(actor.ShowQR))
}

// A device that cannot decrypt a message asks again, perhaps days later and from another host: the outbox answers.
func TestARetryReceiptAfterARestart(t *testing.T) {
	t.Parallel()
	l, anna := paired(t), newPhone(t)
	require.NoError(t, l.text(t, "3EB0AA10", anna, "readable"))
	arrived(t, anna, "3EB0AA10")
	l.hang()
	l.damageSessions(t)
	l.open(t)
	l.reconnect(t)
	require.NoError(t, whatsapp.SetOnline(t.Context(), anna, false))
	require.NoError(t, l.text(t, "3EB0AA11", anna, "unreadable at first"))
	l.hang()

	l.open(t) // a new process: nothing of the message is in memory
	l.reconnect(t)
	require.NoError(t, whatsapp.SetOnline(t.Context(), anna, true))
	select {
	case id := <-l.wires:
		require.Equal(t, "3EB0AA11", id)
	case <-time.After(await):
		require.FailNow(t, "nobody asked again")
	}
	require.Equal(t, "unreadable at first", arrived(t, anna, "3EB0AA11").Text)
}

// damageSessions makes what is encrypted next unreadable for the other side.
func (l *line) damageSessions(t *testing.T) {
	t.Helper()
	serializer := store.SignalProtobufSerializer
	l.database.RewriteSessions(t, company, func(raw []byte) []byte {
		session, err := record.NewSessionFromBytes(raw, serializer.Session, serializer.State)
		require.NoError(t, err)
		state := session.SessionState()
		state.SetSenderChainKey(chain.NewKey(kdf.DeriveSecrets, make([]byte, 32), state.SenderChainKey().Index()))
		return session.Serialize()
	})
}

// What nobody knows any more is not answered, and garbage in the outbox neither.
func TestARetryReceiptThatCannotBeAnswered(t *testing.T) {
	t.Parallel()
	l := newLine(t)
	l.stored["3EB0BAD"] = []byte{0xff}
	require.Nil(t, l.messageForRetry(l.client.Store.GetJID(), l.client.Store.GetJID(), "unknown"))
	require.Nil(t, l.messageForRetry(l.client.Store.GetJID(), l.client.Store.GetJID(), "3EB0BAD"))
}

// Many messages at once, over a socket that drops: what was acked arrives, once and in order.
func TestADropInTheMiddle(t *testing.T) {
	t.Parallel()
	l, anna := paired(t), newPhone(t)
	var want []string
	for i := range 12 {
		id := fmt.Sprintf("3EB0BB%02d", i)
		if i == 5 {
			l.fault(t, wasim.Drop)
			l.await(t, then(actor.Retry))
			failed := refusal(t, l.text(t, id, anna, id))
			require.Equal(t, actor.NotWritten, failed.Outcome)
			l.hang()
			l.reconnect(t)
		}
		require.NoError(t, l.text(t, id, anna, id))
		want = append(want, id)
	}
	arrived(t, anna, want[len(want)-1])
	all, err := whatsapp.Messages(anna)
	require.NoError(t, err)
	var got []string
	for _, m := range all {
		got = append(got, m.ID)
	}
	require.Equal(t, want, got)
}

// The context of a socket ends it, also without Close.
func TestALifeThatEnds(t *testing.T) {
	t.Parallel()
	l := paired(t)
	l.hangUp()
	require.Eventually(t, func() bool {
		phone, err := whatsapp.Phone(l.number)
		return err == nil && !phone.Companions[0].Connected
	}, await, time.Millisecond)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	l.Close()
	require.ErrorIs(t, l.Connect(ctx), context.Canceled)
}
