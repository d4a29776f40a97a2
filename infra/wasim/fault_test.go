package wasim_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.mau.fi/whatsmeow"
	"go.mau.fi/whatsmeow/proto/waE2E"
	"go.mau.fi/whatsmeow/types/events"

	"wafleet/infra/wasim"
)

// faulty is two phones and a company that is logged in.
func faulty(t *testing.T) (*bundle, *client) {
	t.Helper()
	b := start(t, wasim.Options{})
	b.phone(t, anna, "Anna")
	b.phone(t, boris, "Boris")
	company := b.pair(t, anna)
	company.forget()
	return b, company
}

func (b *bundle) fault(t *testing.T, fault wasim.Fault) {
	t.Helper()
	_, err := b.AddFault(t.Context(), fault)
	require.NoError(t, err)
}

func TestFaultsOfAConnection(t *testing.T) {
	t.Parallel()
	for kind, happens := range map[wasim.FaultKind]func(t *testing.T, c *client){
		wasim.Drop:      func(t *testing.T, c *client) { t.Helper(); await[*events.Disconnected](t, c, nil) },
		wasim.Stream503: func(t *testing.T, c *client) { t.Helper(); await[*events.Disconnected](t, c, nil) },
		wasim.Replaced:  func(t *testing.T, c *client) { t.Helper(); await[*events.StreamReplaced](t, c, nil) },
		wasim.Restart515: func(t *testing.T, c *client) {
			t.Helper()
			await[*events.Connected](t, c, nil)
		},
		wasim.LoggedOut401: func(t *testing.T, c *client) {
			t.Helper()
			await[*events.LoggedOut](t, c, nil)
		},
	} {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			b, company := faulty(t)
			b.fault(t, wasim.Fault{Kind: kind, Phone: anna})
			happens(t, company)
			require.Empty(t, b.Faults(), "once")
			phone, err := b.Phone(anna)
			require.NoError(t, err)
			if kind == wasim.LoggedOut401 {
				require.Empty(t, phone.Companions)
			} else {
				require.Len(t, phone.Companions, 1)
			}
		})
	}
}

func TestFaultsOfALogin(t *testing.T) {
	t.Parallel()
	for kind, happens := range map[wasim.FaultKind]func(t *testing.T, c *client){
		wasim.TempBan402: func(t *testing.T, c *client) {
			t.Helper()
			ban := await[*events.TemporaryBan](t, c, nil)
			require.Equal(t, time.Minute, ban.Expire)
		},
		wasim.Locked403: func(t *testing.T, c *client) {
			t.Helper()
			out := await[*events.LoggedOut](t, c, nil)
			require.Equal(t, events.ConnectFailureReason(403), out.Reason)
		},
		wasim.Outdated405: func(t *testing.T, c *client) { t.Helper(); await[*events.ClientOutdated](t, c, nil) },
		wasim.Refuse503:   func(t *testing.T, c *client) { t.Helper(); await[*events.Disconnected](t, c, nil) },
	} {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			b, company := faulty(t)
			b.fault(t, wasim.Fault{Kind: kind})
			require.True(t, company.IsLoggedIn(), "a fault of a login waits for one")
			require.Len(t, b.Faults(), 1)
			twin := b.twin(t, company)
			company.Disconnect()
			require.NoError(t, company.Connect())
			happens(t, company)
			require.Empty(t, b.Faults(), "once")
			twin.login(t)
		})
	}
}

func TestRefusedPairing(t *testing.T) {
	t.Parallel()
	b := start(t, wasim.Options{})
	b.fault(t, wasim.Fault{Kind: wasim.Outdated405})
	c := b.newClient(t)
	require.NoError(t, c.Connect())
	await[*events.ClientOutdated](t, c, nil)
}

func TestDeafConnection(t *testing.T) {
	t.Parallel()
	b, company := faulty(t)
	b.fault(t, wasim.Fault{Kind: wasim.Deaf, Phone: anna})
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	_, err := company.SendMessage(ctx, user(boris), &waE2E.Message{Conversation: new("lost")})
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.True(t, company.IsConnected())
	_, err = b.SendText(t.Context(), boris, anna, "later")
	require.NoError(t, err)
	b.ClearFaults()
	awaitIncoming(t, company, "later")
	rows, err := b.Messages(boris)
	require.NoError(t, err)
	require.Empty(t, rows, "a deaf connection takes nothing")
}

func TestDeafForAWhile(t *testing.T) {
	t.Parallel()
	b, company := faulty(t)
	b.fault(t, wasim.Fault{Kind: wasim.Deaf, ForMs: 50})
	_, err := b.SendText(t.Context(), boris, anna, "after a while")
	require.NoError(t, err)
	awaitIncoming(t, company, "after a while")
}

func TestAcks(t *testing.T) {
	t.Parallel()
	send := func(t *testing.T, company *client, text string, timeout time.Duration) error {
		t.Helper()
		_, err := company.SendMessage(t.Context(), user(boris), &waE2E.Message{Conversation: new(text)},
			whatsmeow.SendRequestExtra{Timeout: timeout})
		return err
	}
	t.Run("lost", func(t *testing.T) {
		t.Parallel()
		b, company := faulty(t)
		b.fault(t, wasim.Fault{Kind: wasim.LoseAck, Phone: anna, Count: 1})
		require.ErrorIs(t, send(t, company, "unconfirmed", 200*time.Millisecond), whatsmeow.ErrMessageTimedOut)
		b.awaitText(t, boris, "unconfirmed")
		require.NoError(t, send(t, company, "confirmed", patience))
	})
	t.Run("late", func(t *testing.T) {
		t.Parallel()
		b, company := faulty(t)
		b.fault(t, wasim.Fault{Kind: wasim.DelayAck, DelayMs: 300, Count: 1})
		begun := time.Now()
		require.NoError(t, send(t, company, "patience", patience))
		require.GreaterOrEqual(t, time.Since(begun), 300*time.Millisecond)
		b.awaitText(t, boris, "patience")
	})
	t.Run("463", func(t *testing.T) {
		t.Parallel()
		b, company := faulty(t)
		b.fault(t, wasim.Fault{Kind: wasim.Error463, Phone: anna})
		require.ErrorContains(t, send(t, company, "refused", patience), "463")
		b.ClearFaults()
		require.NoError(t, send(t, company, "allowed", patience))
		b.awaitText(t, boris, "allowed")
		rows, err := b.Messages(boris)
		require.NoError(t, err)
		require.Len(t, rows, 1)
	})
	t.Run("slow", func(t *testing.T) {
		t.Parallel()
		b, company := faulty(t)
		b.fault(t, wasim.Fault{Kind: wasim.Slow, DelayMs: 100})
		begun := time.Now()
		require.NoError(t, send(t, company, "slowly", patience))
		require.GreaterOrEqual(t, time.Since(begun), 100*time.Millisecond)
	})
}

func TestRedeliver(t *testing.T) {
	t.Parallel()
	b, company := faulty(t)
	id, err := b.SendText(t.Context(), boris, anna, "twice")
	require.NoError(t, err)
	awaitIncoming(t, company, "twice")
	requireEmptyBox(t, b, anna)
	sent := func() (n int) {
		for _, row := range b.Journal(0, 0) {
			if row.ID == id && row.Tag == "message" && row.Direction == "out" {
				n++
			}
		}
		return n
	}
	require.Equal(t, 1, sent())
	b.fault(t, wasim.Fault{Kind: wasim.Redeliver, Phone: anna})
	require.Eventually(t, func() bool { return sent() == 2 }, patience, time.Millisecond)
	requireEmptyBox(t, b, anna)
	require.Equal(t, 1, count[*events.Message](company, nil), "whatsmeow knows that it had it")
}

func TestPoison(t *testing.T) {
	t.Parallel()
	b, company := faulty(t)
	b.fault(t, wasim.Fault{Kind: wasim.Poison})
	await[*events.UndecryptableMessage](t, company, nil)
	_, err := b.SendText(t.Context(), boris, anna, "life goes on")
	require.NoError(t, err)
	awaitIncoming(t, company, "life goes on")
	requireEmptyBox(t, b, anna)
}

func TestFaultForEveryone(t *testing.T) {
	t.Parallel()
	b, first := faulty(t)
	second := b.pair(t, boris)
	b.fault(t, wasim.Fault{Kind: wasim.Drop})
	await[*events.Disconnected](t, first, nil)
	await[*events.Disconnected](t, second, nil)
	require.Empty(t, b.Faults())
	first.login(t)
	require.True(t, first.IsLoggedIn(), "once")
}

func TestFaultWaitsForALogin(t *testing.T) {
	t.Parallel()
	b, company := faulty(t)
	company.Disconnect()
	require.Eventually(t, func() bool { return b.Stats().Connections.Open == 0 }, patience, time.Millisecond)
	b.fault(t, wasim.Fault{Kind: wasim.Replaced, Phone: anna, Count: 2})
	for range 2 {
		company.Disconnect()
		company.forget()
		require.NoError(t, company.Connect())
		await[*events.StreamReplaced](t, company, nil)
	}
	company.Disconnect()
	company.login(t)
}

func TestFaultsAreChecked(t *testing.T) {
	t.Parallel()
	b := start(t, wasim.Options{})
	_, err := b.AddFault(t.Context(), wasim.Fault{Kind: "fire"})
	require.ErrorIs(t, err, wasim.ErrInvalid)
	_, err = b.AddFault(t.Context(), wasim.Fault{Kind: wasim.Drop, Phone: anna})
	require.ErrorIs(t, err, wasim.ErrNotFound)
}
