package actor_test

import (
	"errors"
	"fmt"
	"maps"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"wafleet/hosts/internal/actor"
	"wafleet/shared/message"
	"wafleet/shared/rpc"
	"wafleet/shared/session"
	"wafleet/shared/store/db"
	"wafleet/shared/webhook"
)

func TestPairingByQR(t *testing.T) {
	t.Parallel()
	b := setup(t, quick)
	b.want(t, session.DesiredRunning)
	c := b.AwaitDial(t)
	require.Equal(t, []string{""}, b.opened)
	c.Signal(actor.Signal{Then: actor.ShowQR, Codes: []string{"qr-1", "qr-2"}})

	var qr rpc.QR
	require.Eventually(t, func() bool {
		var err error
		qr, err = b.board.QR(t.Context(), company)
		return err == nil
	}, await, time.Millisecond)
	require.Equal(t, "qr-1", qr.Code)
	require.Equal(t, 1, qr.Attempt)
	require.WithinDuration(t, time.Now().Add(time.Minute), qr.ExpiresAt, 5*time.Second)
	row := b.awaitState(t, session.Pairing)
	require.EqualValues(t, 1, row.ObservedGeneration)

	require.NoError(t, c.Bind(t.Context(), ownJID, "1001@lid"))
	require.Equal(t, ownJID, *b.session(t).JID, "bound before the pairing is confirmed")
	c.Signal(actor.Signal{JID: ownJID, LID: "1001@lid"})
	c.Signal(actor.Signal{Then: actor.Redial})
	b.AwaitDial(t).Signal(connected())
	row = b.awaitState(t, session.Connected)
	require.Equal(t, "connected", row.Status)
	require.Equal(t, "Salon", *row.PushName)
	require.NotNil(t, row.ConnectedAt)
	_, err := b.board.QR(t.Context(), company)
	require.ErrorIs(t, err, rpc.ErrNotPublished, "what was on show is taken down")
	require.Equal(t, []string{webhook.SessionQR, webhook.SessionConnected}, b.events(t))
}

// A fast server asks for the restart before the confirmation of the pairing has returned here.
func TestTheRestartThatOvertakesThePairing(t *testing.T) {
	t.Parallel()
	b := setup(t, quick)
	b.want(t, session.DesiredRunning)
	c := b.AwaitDial(t)
	c.Signal(actor.Signal{Then: actor.ShowQR, Codes: []string{"qr-1"}})
	require.NoError(t, c.Bind(t.Context(), ownJID, "1001@lid"))
	c.Signal(actor.Signal{Then: actor.Redial})
	c.Signal(actor.Signal{}) // one more through the mailbox, so that the restart is behind us
	require.Never(t, func() bool { return !c.isOpen() }, 50*time.Millisecond, 5*time.Millisecond, "the socket stays open until the pairing is confirmed")
	c.Signal(actor.Signal{JID: ownJID, LID: "1001@lid"})
	b.AwaitDial(t).Signal(connected())
	b.awaitState(t, session.Connected)
}

func TestPairingByCode(t *testing.T) {
	t.Parallel()
	b := setup(t, quick)
	method, phone := string(session.PairingCode), "79000000001"
	b.want(t, session.DesiredRunning, func(p *db.SetDesiredParams) { p.PairingMethod, p.PairingPhone = &method, &phone })
	b.AwaitDial(t).Signal(actor.Signal{Then: actor.ShowQR, Codes: []string{"qr-1"}})
	require.Eventually(t, func() bool {
		code, err := b.board.PairingCode(t.Context(), company)
		return err == nil && code.Code == "ABCD-EFGH" && code.Phone == phone
	}, await, time.Millisecond)
	_, err := b.board.QR(t.Context(), company)
	require.ErrorIs(t, err, rpc.ErrNotPublished)
}

func TestRefusedPairingCode(t *testing.T) {
	t.Parallel()
	b := setup(t, quick)
	method, phone := string(session.PairingCode), "70000000000"
	b.want(t, session.DesiredRunning, func(p *db.SetDesiredParams) { p.PairingMethod, p.PairingPhone = &method, &phone })
	b.AwaitDial(t).Signal(actor.Signal{Then: actor.ShowQR, Codes: []string{"qr-1"}})
	row := b.awaitState(t, session.Failed)
	require.Equal(t, "pairing_code_refused", row.Reason)
	require.Equal(t, "relink", row.UserAction)
}

func TestQRCodesRunOut(t *testing.T) {
	t.Parallel()
	cfg := quick
	cfg.QRFirstTTL, cfg.QRNextTTL = 20*time.Millisecond, 10*time.Millisecond

	t.Run("and the pairing fails", func(t *testing.T) {
		t.Parallel()
		b := setup(t, cfg)
		b.want(t, session.DesiredRunning)
		b.AwaitDial(t).Signal(actor.Signal{Then: actor.ShowQR, Codes: []string{"1", "2", "3", "4", "5", "6"}})
		row := b.awaitState(t, session.Failed)
		require.Equal(t, "pairing_timeout", row.Reason)
		require.Equal(t, []string{webhook.SessionQR, webhook.SessionQR, webhook.SessionQR, webhook.SessionDisconnected}, b.events(t))

		b.want(t, session.DesiredRunning) // asked again, it starts over
		b.AwaitDial(t).Signal(actor.Signal{Then: actor.ShowQR, Codes: []string{"7"}})
		b.awaitState(t, session.Pairing)
	})
	t.Run("and a known number gets a pairing code", func(t *testing.T) {
		t.Parallel()
		b := setup(t, cfg)
		phone := "79000000001"
		b.want(t, session.DesiredRunning, func(p *db.SetDesiredParams) { p.PairingPhone = &phone })
		b.AwaitDial(t).Signal(actor.Signal{Then: actor.ShowQR, Codes: []string{"1", "2", "3", "4"}})
		require.Eventually(t, func() bool {
			_, err := b.board.PairingCode(t.Context(), company)
			return err == nil
		}, await, time.Millisecond)
	})
}

// The codes that were not shown yet must not bring a stopped pairing back.
func TestAStoppedPairingStaysStopped(t *testing.T) {
	t.Parallel()
	cfg := quick
	cfg.QRFirstTTL, cfg.QRNextTTL = 200*time.Millisecond, 200*time.Millisecond
	b := setup(t, cfg)
	b.want(t, session.DesiredRunning)
	b.AwaitDial(t).Signal(actor.Signal{Then: actor.ShowQR, Codes: []string{"1", "2", "3", "4"}})
	b.awaitState(t, session.Pairing)
	b.want(t, session.DesiredStopped)
	b.awaitState(t, session.Stopped)
	require.Never(t, func() bool { return b.seen(t)["stopped"] != 1 }, 300*time.Millisecond, 10*time.Millisecond)
	require.Equal(t, string(session.Stopped), b.session(t).State)
}

func TestALostSocketComesBack(t *testing.T) {
	t.Parallel()
	b := setup(t, quick)
	c := b.online(t)
	c.Signal(lost())
	c = b.AwaitDial(t)
	c.Signal(connected())
	row := b.awaitState(t, session.Connected)
	require.EqualValues(t, 1, row.Reconnects)
	require.Contains(t, b.events(t), webhook.SessionDisconnected)

	id := b.accept(t, "79001111111", "after the gap")
	b.awaitStatus(t, id, message.Sent)
}

// What ends after it had worked is no failed connect: ten thousand sockets that drop at once say nothing about the rate at
// which they may come back. What ends before it was answered is one.
func TestWhatCountsAsAFailedConnect(t *testing.T) {
	t.Parallel()
	b := setup(t, quick)
	connects := func(want map[string]int) {
		t.Helper()
		require.Eventually(t, func() bool { return maps.Equal(want, b.connects(t)) }, await, time.Millisecond, "%v", want)
	}
	c := b.online(t) // by a pairing, with its restart
	connects(map[string]int{"answered": 2})
	c.Signal(lost())
	c = b.AwaitDial(t)
	c.Signal(connected())
	b.awaitState(t, session.Connected)
	connects(map[string]int{"answered": 3})
	c.Signal(lost())
	c = b.AwaitDial(t)
	c.Signal(lost())
	b.AwaitDial(t).Signal(connected())
	b.awaitState(t, session.Connected)
	connects(map[string]int{"answered": 4, "failed": 1})
}

// whatsmeow tells of a login even when the socket dropped while it was settling in; the session is not online then.
func TestALoginThatComesAfterTheDrop(t *testing.T) {
	t.Parallel()
	b := setup(t, quick)
	c := b.online(t)
	hold := make(chan struct{})
	b.set(func(s *script) { s.ConnectErr = func() error { <-hold; return errOffline } })
	c.Signal(lost())
	b.awaitState(t, session.Reconnecting)
	c.Signal(connected())
	b.set(func(s *script) { s.ConnectErr = nil })
	close(hold)
	b.AwaitDial(t).Signal(connected())
	b.awaitState(t, session.Connected)
	b.awaitStatus(t, b.accept(t, "79001111111", "hi"), message.Sent)
}

func TestGivingUpAndBeingAskedAgain(t *testing.T) {
	t.Parallel()
	b := setup(t, quick)
	c := b.online(t)
	b.set(func(s *script) { s.ConnectErr = func() error { return errors.New("no route") } })
	c.Signal(lost())
	row := b.awaitState(t, session.Failed)
	require.Equal(t, "reconnect_exhausted", row.Reason)
	require.Equal(t, ownJID, *row.JID, "the keys are still good")

	b.set(func(s *script) { s.ConnectErr = nil })
	b.want(t, session.DesiredRunning)
	b.AwaitDial(t).Signal(connected())
	b.awaitState(t, session.Connected)
}

func TestLoggedOut(t *testing.T) {
	t.Parallel()
	b := setup(t, quick)
	c := b.online(t)
	c.Signal(actor.Signal{
		State: session.LoggedOut, Reason: "device_removed", Action: session.ActionRelink,
		Event: webhook.SessionLoggedOut, Then: actor.Halt,
	})
	row := b.awaitState(t, session.LoggedOut)
	require.Equal(t, "device_removed", row.Reason)
	require.Equal(t, "relink", row.UserAction)
	require.Nil(t, row.JID)
	require.Nil(t, row.ConnectedAt)

	b.want(t, session.DesiredRunning) // pairs anew
	b.AwaitDial(t)
	require.Empty(t, b.opened[len(b.opened)-1])
}

func TestStopAndStartAgain(t *testing.T) {
	t.Parallel()
	b := setup(t, quick)
	c := b.online(t)
	b.want(t, session.DesiredStopped)
	b.awaitState(t, session.Stopped)
	require.Eventually(t, func() bool { return !c.isOpen() }, await, time.Millisecond)
	id := b.accept(t, "79001111111", "waits")
	b.want(t, session.DesiredRunning)
	b.AwaitDial(t).Signal(connected())
	b.awaitStatus(t, id, message.Sent)
}

func TestAnewOwnerResumes(t *testing.T) {
	t.Parallel()
	b := setup(t, quick)
	b.online(t)
	require.NoError(t, b.fleet.Stop(t.Context()))
	b.own(t, quick)
	c := b.AwaitDial(t)
	require.Equal(t, string(session.Reconnecting), b.session(t).State, "the former owner's socket is none")
	c.Signal(connected())
	b.awaitState(t, session.Connected)
	require.Equal(t, ownJID, b.opened[len(b.opened)-1])
}

func TestKeysThatAreGone(t *testing.T) {
	t.Parallel()
	b := setup(t, quick)
	b.online(t)
	require.NoError(t, b.fleet.Stop(t.Context()))
	b.set(func(s *script) { s.OpenErr = actor.ErrNoDevice })
	b.own(t, quick)
	row := b.awaitState(t, session.LoggedOut)
	require.Equal(t, "device_gone", row.Reason)
}

// Nothing tries again by itself. To be asked to run is to be linked anew, also by another owner than the one that found
// out, and frees the number; a restart tries the keys once more, in case that they were repaired.
func TestKeysThatAreUnreadable(t *testing.T) {
	t.Parallel()
	for name, moved := range map[string]bool{"same owner": false, "another owner": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t, quick)
			b.online(t)
			require.NoError(t, b.fleet.Stop(t.Context()))
			b.set(func(s *script) { s.OpenErr = fmt.Errorf("load device: %w", actor.ErrDeviceUnreadable) })
			b.own(t, quick)
			row := b.awaitState(t, session.Failed)
			require.Equal(t, "device_unreadable", row.Reason)
			require.Equal(t, string(session.ActionRelink), row.UserAction)
			require.Equal(t, ownJID, *row.JID, "they may come back")
			if moved {
				require.NoError(t, b.fleet.Stop(t.Context()))
				b.own(t, quick)
			}
			b.restart(t)
			require.Eventually(t, func() bool {
				row = b.session(t)
				return row.ObservedGeneration == row.DesiredGeneration && row.State == string(session.Failed)
			}, await, time.Millisecond)
			require.Equal(t, ownJID, *row.JID)
			require.Empty(t, b.Destroyed())

			b.set(func(s *script) { s.OpenErr = nil })
			b.want(t, session.DesiredRunning)
			b.AwaitDial(t)
			row = b.awaitState(t, session.Pairing)
			require.Nil(t, row.JID)
			require.Equal(t, []string{ownJID}, b.Destroyed())
			require.Empty(t, b.opened[len(b.opened)-1])
		})
	}
}

// Keys that were repaired are used again, without the phone.
func TestKeysThatWereRepaired(t *testing.T) {
	t.Parallel()
	b := setup(t, quick)
	b.online(t)
	require.NoError(t, b.fleet.Stop(t.Context()))
	b.set(func(s *script) { s.OpenErr = actor.ErrDeviceUnreadable })
	b.own(t, quick)
	b.awaitState(t, session.Failed)
	b.set(func(s *script) { s.OpenErr = nil })
	b.restart(t)
	b.AwaitDial(t).Signal(connected())
	b.awaitState(t, session.Connected)
	require.Equal(t, ownJID, b.opened[len(b.opened)-1])
}

func TestAFencedActorLetsGo(t *testing.T) {
	t.Parallel()
	b := setup(t, quick)
	c := b.online(t)
	_, err := b.store.Pool().Exec(t.Context(), `UPDATE shard_lease SET term = gen_random_uuid() WHERE shard = $1`, shardNo)
	require.NoError(t, err)
	b.accept(t, "79001111111", "not by us")
	require.Eventually(t, func() bool { return !c.isOpen() }, await, time.Millisecond, "the socket is closed")
	require.Empty(t, b.frames)
	require.Error(t, c.Receive(t.Context(), incoming("1", "late")), "nothing is acked any more")
}

func TestARebootingHostDoesNotWakeWhatNeedsItsUser(t *testing.T) {
	t.Parallel()
	for _, s := range []session.State{session.LoggedOut, session.Failed, session.Stopped} {
		t.Run(string(s), func(t *testing.T) {
			t.Parallel()
			b := setup(t, quick)
			b.online(t)
			require.NoError(t, b.fleet.Stop(t.Context()))
			_, err := b.store.Pool().Exec(t.Context(), `UPDATE whatsapp_sessions SET state = $1, connected_at = NULL`, string(s))
			require.NoError(t, err)
			dials := len(b.opened)
			b.own(t, quick)
			b.want(t, session.DesiredStopped) // goes through the same mailbox, so a dial would have come first
			b.awaitState(t, session.Stopped)
			require.Len(t, b.opened, dials)
		})
	}
}
