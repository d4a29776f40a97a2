package app_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"wafleet/infra/wasim"
	"wafleet/shared/message"
	"wafleet/shared/rpc"
	"wafleet/shared/session"
	"wafleet/shared/store/db"
)

// The main job: a send leaves the queue and arrives decrypted on a phone; the answer comes back as an event.
func TestThereAndBack(t *testing.T) {
	t.Parallel()
	in := newInstallation(t)
	in.host(t)
	c, anna := in.company(t, "salon"), newPhone(t, wasim.NewPhone{Name: "Anna"})
	c.pair(t)

	id := c.send(t, anna, "Здравствуйте, Анна!")
	got, err := whatsapp.AwaitMessage(t.Context(), anna, func(m wasim.Message) bool { return m.ID == id })
	require.NoError(t, err)
	require.Equal(t, "Здравствуйте, Анна!", got.Text)
	require.Equal(t, c.number, got.From)
	require.NotZero(t, got.FromDevice)
	row := c.awaitStatus(t, id, message.Delivered)
	require.Equal(t, 1, row.Attempt)

	require.NoError(t, whatsapp.SendReceipts(t.Context(), anna, "read", id))
	c.awaitStatus(t, id, message.Read)

	reply, err := whatsapp.SendMessage(t.Context(), anna, wasim.Outgoing{To: c.number, Content: wasim.Content{Type: wasim.Text, Text: "hi!"}})
	require.NoError(t, err)
	require.Eventually(t, func() bool { return len(c.received(t)) == 1 }, await, 10*time.Millisecond)
	told := c.received(t)[0]
	require.Equal(t, reply, told.WAMessageID)
	require.Equal(t, "hi!", told.Text)
	require.Equal(t, anna, told.From.Phone)
	require.NotEmpty(t, told.From.LID)
	require.Equal(t, "Anna", told.From.Name)
}

func TestPairingByCode(t *testing.T) {
	t.Parallel()
	in := newInstallation(t)
	in.host(t)
	c := in.company(t, "by-code")
	method := string(session.PairingCode)
	c.want(t, db.SetDesiredParams{DesiredState: string(session.DesiredRunning), PairingMethod: &method, PairingPhone: &c.number})
	board := rpc.NewBoard(in.redis)
	var code rpc.PairingCode
	require.Eventually(t, func() bool {
		var err error
		code, err = board.PairingCode(t.Context(), c.id)
		return err == nil
	}, await, 10*time.Millisecond)
	_, err := whatsapp.EnterCode(t.Context(), c.number, code.Code)
	require.NoError(t, err)
	row := c.awaitState(t, session.Connected)
	require.Contains(t, *row.JID, c.number)
}

func TestANumberThatIsNotOnWhatsApp(t *testing.T) {
	t.Parallel()
	in := newInstallation(t)
	in.host(t)
	c := in.company(t, "salon")
	c.pair(t)
	row := c.awaitStatus(t, c.send(t, newNumber(), "anybody?"), message.Failed)
	require.Equal(t, "recipient_not_on_whatsapp", row.Reason)
}

// A host that goes and one that comes: what was accepted in between arrives, in order, and nothing twice.
func TestANewHostTakesOver(t *testing.T) {
	t.Parallel()
	in := newInstallation(t)
	first := in.host(t)
	c, anna := in.company(t, "salon"), newPhone(t, wasim.NewPhone{Name: "Anna"})
	c.pair(t)
	var ids []string
	for i := range 10 {
		ids = append(ids, c.send(t, anna, fmt.Sprint("before ", i)))
	}
	c.awaitStatus(t, ids[9], message.Delivered)
	require.NoError(t, first.Stop(t.Context()))
	for i := range 10 {
		ids = append(ids, c.send(t, anna, fmt.Sprint("between ", i)))
	}
	_, err := whatsapp.SendMessage(t.Context(), anna, wasim.Outgoing{To: c.number, Content: wasim.Content{Type: wasim.Text, Text: "are you there?"}})
	require.NoError(t, err)

	in.host(t)
	for _, id := range ids {
		c.awaitStatus(t, id, message.Delivered)
	}
	arrived, err := whatsapp.Messages(anna)
	require.NoError(t, err)
	var got []string
	for _, m := range arrived {
		require.False(t, m.Duplicate)
		got = append(got, m.ID)
	}
	require.Equal(t, ids, got)
	require.Eventually(t, func() bool { return len(c.received(t)) == 1 }, await, 10*time.Millisecond, "what came while nobody was online")
}

func TestADroppedSocketLosesNothing(t *testing.T) {
	t.Parallel()
	in := newInstallation(t)
	in.host(t)
	c, anna := in.company(t, "salon"), newPhone(t, wasim.NewPhone{Name: "Anna"})
	c.pair(t)
	var ids []string
	for i := range 30 {
		ids = append(ids, c.send(t, anna, fmt.Sprint("text ", i)))
		if i%10 == 5 {
			_, err := whatsapp.AddFault(t.Context(), wasim.Fault{Kind: wasim.Drop, Phone: c.number})
			require.NoError(t, err)
		}
	}
	for _, id := range ids {
		c.awaitStatus(t, id, message.Delivered)
	}
	arrived, err := whatsapp.Messages(anna)
	require.NoError(t, err)
	seen := map[string]int{}
	for _, m := range arrived {
		if !m.Duplicate {
			seen[m.ID]++
		}
	}
	require.Len(t, seen, len(ids))
}

func TestUnlinkedOnThePhone(t *testing.T) {
	t.Parallel()
	in := newInstallation(t)
	in.host(t)
	c := in.company(t, "salon")
	c.pair(t)
	companion := c.awaitState(t, session.Connected)
	var device uint16
	_, err := fmt.Sscanf(*companion.JID, c.number+":%d@", &device)
	require.NoError(t, err)
	require.NoError(t, whatsapp.Unlink(t.Context(), c.number, device))
	row := c.awaitState(t, session.LoggedOut)
	require.Equal(t, "device_removed", row.Reason)
	require.Equal(t, "relink", row.UserAction)
	c.pair(t) // and links again
}

// A session whose socket is down is unlinked on the phone as well, and its number may be linked again.
func TestALogoutOfAStoppedSession(t *testing.T) {
	t.Parallel()
	in := newInstallation(t)
	in.host(t)
	c := in.company(t, "salon")
	c.pair(t)
	c.want(t, db.SetDesiredParams{DesiredState: string(session.DesiredStopped)})
	c.awaitState(t, session.Stopped)
	c.want(t, db.SetDesiredParams{DesiredState: string(session.DesiredLoggedOut)})
	row := c.awaitState(t, session.LoggedOut)
	require.Equal(t, "asked", row.Reason)
	phone, err := whatsapp.Phone(c.number)
	require.NoError(t, err)
	require.Empty(t, phone.Companions)
	c.pair(t)
}

func TestANumberServesOneCompany(t *testing.T) {
	t.Parallel()
	in := newInstallation(t)
	in.host(t)
	first, second := in.company(t, "first"), in.company(t, "second")
	first.pair(t)
	second.number = first.number
	second.want(t, db.SetDesiredParams{DesiredState: string(session.DesiredRunning)})
	var qr rpc.QR
	require.Eventually(t, func() bool {
		var err error
		qr, err = rpc.NewBoard(in.redis).QR(t.Context(), second.id)
		return err == nil
	}, await, 10*time.Millisecond)
	_, _ = whatsapp.Scan(t.Context(), second.number, qr.Code) // the phone learns of it or not; the session must
	row := second.awaitState(t, session.Failed)
	require.Equal(t, "number_taken", row.Reason)
	first.awaitState(t, session.Connected)
}
