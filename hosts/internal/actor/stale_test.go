package actor_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"wafleet/hosts/internal/actor"
	"wafleet/shared/message"
	"wafleet/shared/session"
	"wafleet/shared/webhook"
)

// halts are the rows of package wa's table after which a session needs somebody.
var halts = map[string]actor.Signal{
	"removed": {
		State: session.LoggedOut, Reason: "device_removed", Action: session.ActionRelink,
		Event: webhook.SessionLoggedOut, Then: actor.Halt,
	},
	"outdated": {
		State: session.Failed, Reason: "client_outdated", Action: session.ActionUpdate,
		Event: webhook.SessionDisconnected, Then: actor.Halt,
	},
	"not paired": {
		State: session.Failed, Reason: "pairing_failed", Action: session.ActionRelink,
		Event: webhook.SessionDisconnected, Then: actor.Halt,
	},
}

// stale is what a socket may still have to say when it is gone: whatsmeow tells of most things on goroutines of
// their own.
func stale() []actor.Signal {
	replaced := lost()
	replaced.Reason, replaced.Event, replaced.After = "stream_replaced", webhook.SessionReplaced, time.Nanosecond
	replaced.Then = actor.Yield
	return []actor.Signal{
		connected(),
		lost(),
		replaced,
		{State: session.Banned, Reason: "temporary_ban_101", Action: session.ActionWait, Event: webhook.SessionBanned, Then: actor.Pause, After: time.Nanosecond},
		{Then: actor.Settle},
		{Then: actor.Redial},
		{Then: actor.ShowQR, Codes: []string{"qr-1", "qr-2"}},
	}
}

// After a halt nothing dials until somebody asks, whatever the dead socket still says; and nobody is told of it.
func TestAHaltIsTheLastWord(t *testing.T) {
	t.Parallel()
	for name, halt := range halts {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t, quick)
			c := b.online(t)
			c.Signal(halt)
			b.awaitState(t, halt.State)
			dials, told := b.Dials(company), b.events(t)
			for _, s := range stale() {
				c.Signal(s)
			}
			require.Never(t, func() bool { return b.Dials(company) > dials }, 100*time.Millisecond, 5*time.Millisecond)
			row := b.session(t)
			require.Equal(t, string(halt.State), row.State)
			require.Equal(t, halt.Reason, row.Reason)
			require.Equal(t, string(halt.Action), row.UserAction)
			require.Equal(t, told, b.events(t))
			require.Equal(t, map[string]int{string(halt.State): 1}, b.seen(t))

			b.want(t, session.DesiredRunning)
			b.AwaitDial(t)
		})
	}
}

// A pause that was asked for is kept: the drop that follows a replaced stream must not cut it short, or two hosts
// would throw each other out as fast as they can.
func TestAPauseIsNotCutShort(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		state session.State
		then  actor.Then
	}{
		"refused":  {session.Reconnecting, actor.Retry},
		"replaced": {session.Reconnecting, actor.Yield},
		"banned":   {session.Banned, actor.Pause},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t, quick)
			c := b.online(t)
			state := tc.state
			pause := actor.Signal{State: state, Reason: name, Event: webhook.SessionDisconnected, Then: tc.then, After: time.Hour}
			c.Signal(pause)
			b.awaitState(t, state)
			dials := b.Dials(company)
			for _, s := range stale() {
				c.Signal(s)
			}
			require.Never(t, func() bool { return b.Dials(company) > dials }, 100*time.Millisecond, 5*time.Millisecond)
			require.Equal(t, name, b.session(t).Reason)
			b.want(t, session.DesiredRunning)
			if state != session.Banned { // but a wish ends it, where that does no harm
				b.AwaitDial(t)
				return
			}
			require.Eventually(t, func() bool { return b.session(t).ObservedGeneration == 2 }, await, time.Millisecond)
			require.Equal(t, dials, b.Dials(company))
			require.Equal(t, string(session.Banned), b.session(t).State)
		})
	}
}

// The pairing that succeeded in the moment in which its time ran out is good: it is taken up.
func TestAPairingThatSucceededAtTheLastMoment(t *testing.T) {
	t.Parallel()
	cfg := quick
	cfg.QRFirstTTL, cfg.RestartTimeout = 50*time.Millisecond, 50*time.Millisecond
	b := setup(t, cfg)
	b.want(t, session.DesiredRunning)
	c := b.AwaitDial(t)
	c.Signal(actor.Signal{Then: actor.ShowQR, Codes: []string{"qr-1"}})
	b.awaitState(t, session.Failed)
	require.NoError(t, c.Bind(t.Context(), ownJID, "1001@lid"))
	c.Signal(actor.Signal{JID: ownJID, LID: "1001@lid"})
	b.AwaitDial(t).Signal(connected())
	b.awaitState(t, session.Connected)
	require.Equal(t, ownJID, b.opened[len(b.opened)-1])
}

// A server that asks for a new socket again and again is not hammered.
func TestARestartThatNeverEnds(t *testing.T) {
	t.Parallel()
	b := setup(t, quick)
	b.online(t).Signal(actor.Signal{Then: actor.Redial})
	for range quick.MaxReconnects {
		b.AwaitDial(t).Signal(actor.Signal{Then: actor.Redial})
	}
	row := b.awaitState(t, session.Failed)
	require.Equal(t, "reconnect_exhausted", row.Reason)
	require.Zero(t, b.Sockets())
	require.LessOrEqual(t, b.Dials(company), 2+quick.MaxReconnects+1, "two of the pairing")
}

// A server that shakes hands and then says nothing is given up on like one that does not answer.
func TestASilentServer(t *testing.T) {
	t.Parallel()
	cfg := quick
	cfg.LoginTimeout = 20 * time.Millisecond
	b := setup(t, cfg)
	c := b.online(t)
	before := b.Dials(company)
	c.Signal(lost())
	row := b.awaitState(t, session.Failed)
	require.Equal(t, "reconnect_exhausted", row.Reason)
	require.Zero(t, b.Sockets())
	require.LessOrEqual(t, b.Dials(company)-before, cfg.MaxReconnects+1)
}

// Being asked once more while the login is awaited must not end the wait: it would be awaited for ever.
func TestAskedAgainWhileLoggingIn(t *testing.T) {
	t.Parallel()
	cfg := quick
	cfg.LoginTimeout = 100 * time.Millisecond
	b := setup(t, cfg)
	b.online(t).Signal(lost())
	b.AwaitDial(t) // says nothing
	b.want(t, session.DesiredRunning)
	b.awaitState(t, session.Connecting)
	b.AwaitDial(t).Signal(connected())
	b.awaitState(t, session.Connected)
}

// The device store that does not answer is no reason to unlink anybody.
func TestADeviceStoreThatIsAway(t *testing.T) {
	t.Parallel()
	b := setup(t, quick)
	b.online(t)
	require.NoError(t, b.fleet.Stop(t.Context()))
	b.set(func(s *script) { s.OpenErr = errors.New("connection refused") })
	b.own(t, quick)
	row := b.awaitState(t, session.Failed)
	require.Equal(t, "reconnect_exhausted", row.Reason)
	require.Equal(t, ownJID, *row.JID)
	b.set(func(s *script) { s.OpenErr = nil })
	b.want(t, session.DesiredRunning)
	b.AwaitDial(t).Signal(connected())
	b.awaitStatus(t, b.accept(t, "79001111111", "hi"), message.Sent)
}

// Logging out forgets the device; what was queued waits for the next one.
func TestLogoutIsAskedFor(t *testing.T) {
	t.Parallel()
	b := setup(t, quick)
	c := b.online(t)
	b.want(t, session.DesiredLoggedOut)
	row := b.awaitState(t, session.LoggedOut)
	require.Equal(t, "asked", row.Reason)
	require.Nil(t, row.JID)
	require.False(t, c.isOpen())
	require.Eventually(t, func() bool { return b.session(t).ObservedGeneration == b.session(t).DesiredGeneration }, await, time.Millisecond)
	c.Signal(halts["removed"]) // what WhatsApp says to that
	id := b.accept(t, "79001111111", "waits")
	b.online(t)
	b.awaitStatus(t, id, message.Sent)
	told := slices.DeleteFunc(b.events(t), func(event string) bool { return event != webhook.SessionLoggedOut })
	require.Len(t, told, 1, "nobody is told twice")
}
