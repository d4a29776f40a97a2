package actor_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"wafleet/hosts/internal/actor"
	"wafleet/shared/session"
	"wafleet/shared/store/db"
	"wafleet/shared/webhook"
)

// farewells is how often the phone was told.
func (b *bundle) farewells() (n int) {
	b.set(func(s *script) { n = s.unlinked })
	return n
}

// down is a linked session whose socket is closed.
func down(t *testing.T) *bundle {
	t.Helper()
	b := setup(t, quick)
	b.online(t)
	b.want(t, session.DesiredStopped)
	b.awaitState(t, session.Stopped)
	return b
}

func (b *bundle) awaitObserved(t *testing.T) db.WhatsappSession {
	t.Helper()
	var row db.WhatsappSession
	require.Eventually(t, func() bool {
		row = b.session(t)
		return row.ObservedGeneration == row.DesiredGeneration
	}, await, time.Millisecond)
	return row
}

// A session whose socket is down is unlinked on the phone all the same: a socket is opened for that. What arrives on it is
// stored, and nobody is told of a login.
func TestALogoutWhileTheSocketIsDown(t *testing.T) {
	t.Parallel()
	b := down(t)
	dials, told := b.Dials(company), len(b.events(t))
	b.want(t, session.DesiredLoggedOut)
	c := b.AwaitDial(t)
	require.Equal(t, ownJID, b.opened[len(b.opened)-1])
	require.NoError(t, c.Receive(t.Context(), incoming("1", "one more")))
	c.Signal(connected())
	row := b.awaitObserved(t)
	require.Equal(t, string(session.LoggedOut), row.State)
	require.Equal(t, "asked", row.Reason)
	require.Nil(t, row.JID)
	require.Equal(t, 1, b.farewells())
	require.Equal(t, dials+1, b.Dials(company))
	require.Equal(t, []string{ownJID}, b.Destroyed())
	require.False(t, c.isOpen())
	require.Equal(t, []string{webhook.MessageReceived, webhook.SessionLoggedOut}, b.events(t)[told:])
	require.Empty(t, b.Broken())
}

// What is said instead of a login decides: whether the phone knows, and whether another attempt makes sense.
func TestWhatAFarewellIsAnswered(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		answer actor.Signal
		dials  int
		reason string
	}{
		"unlinked already": {halts["removed"], 1, "asked"},
		"outdated":         {actor.Signal{Reason: "client_outdated", Then: actor.Renew}, 1, "unlink_failed"},
		"banned":           {actor.Signal{Reason: "temporary_ban_101", Then: actor.Pause}, 1, "unlink_failed"},
		"refused":          {halts["outdated"], 1, "unlink_failed"},
		"closed":           {lost(), 3, "unlink_failed"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := down(t)
			b.want(t, session.DesiredLoggedOut)
			for range tc.dials {
				b.AwaitDial(t).Signal(tc.answer)
			}
			row := b.awaitObserved(t)
			require.Equal(t, string(session.LoggedOut), row.State)
			require.Equal(t, tc.reason, row.Reason)
			require.Zero(t, b.farewells())
			require.Equal(t, []string{ownJID}, b.Destroyed(), "the keys go in any case")
			require.Empty(t, b.conns, "no further dial")
		})
	}
}

// A WhatsApp that cannot be reached does not keep anybody from ending a session.
func TestADeletionWithoutWhatsApp(t *testing.T) {
	t.Parallel()
	b := down(t)
	b.set(func(s *script) { s.ConnectErr = func() error { return errOffline } })
	dials := b.Dials(company)
	b.remove(t)
	b.awaitNew(t)
	require.Equal(t, "unlink_failed", b.session(t).Reason)
	require.Equal(t, dials+3, b.Dials(company))
	require.Equal(t, []string{ownJID}, b.Destroyed())
}

// A socket that is up but does not take the farewell gets it on a new one.
func TestAFarewellThatDoesNotArrive(t *testing.T) {
	t.Parallel()
	b := setup(t, quick)
	b.online(t)
	b.set(func(s *script) { s.LogoutErr = errOffline })
	b.want(t, session.DesiredLoggedOut)
	c := b.AwaitDial(t)
	b.set(func(s *script) { s.LogoutErr = nil })
	c.Signal(connected())
	require.Equal(t, "asked", b.awaitObserved(t).Reason)
	require.Equal(t, 1, b.farewells())
	require.Empty(t, b.Broken(), "the old socket is closed first")
}

// An owner that goes in the middle of a farewell leaves it to the next one, keys and all.
func TestAFarewellOutlivesItsOwner(t *testing.T) {
	t.Parallel()
	b := down(t)
	b.want(t, session.DesiredLoggedOut)
	b.AwaitDial(t)
	require.NoError(t, b.fleet.Stop(context.Background()))
	row := b.session(t)
	require.Equal(t, string(session.Stopped), row.State)
	require.Less(t, row.ObservedGeneration, row.DesiredGeneration)
	require.Empty(t, b.Destroyed())

	b.own(t, quick)
	b.AwaitDial(t).Signal(connected())
	require.Equal(t, "asked", b.awaitObserved(t).Reason)
	require.Equal(t, 1, b.farewells())
}
