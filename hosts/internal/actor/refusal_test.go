package actor_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"wafleet/hosts/internal/actor"
	"wafleet/shared/message"
	"wafleet/shared/session"
	"wafleet/shared/webhook"
)

func banned(d time.Duration) actor.Signal {
	return actor.Signal{
		State: session.Banned, Reason: "temporary_ban_101", Action: session.ActionWait, Event: webhook.SessionBanned,
		Then: actor.Pause, After: d,
	}
}

func loggedOut() actor.Signal {
	return actor.Signal{
		State: session.LoggedOut, Reason: "logged_out", Action: session.ActionRelink, Event: webhook.SessionLoggedOut,
		Then: actor.Halt,
	}
}

func outdated(version string) actor.Signal {
	return actor.Signal{
		State: session.Reconnecting, Reason: "client_outdated", Event: webhook.SessionDisconnected, Then: actor.Renew,
		Version: version,
	}
}

// A ban ends by itself, and what was accepted meanwhile goes out after it.
func TestABanIsSatOut(t *testing.T) {
	t.Parallel()
	b := setup(t, quick)
	b.online(t).Signal(banned(300 * time.Millisecond))
	row := b.awaitState(t, session.Banned)
	require.Equal(t, "wait", row.UserAction)
	require.NotNil(t, row.BannedUntil)
	id := b.accept(t, "79001111111", "after the ban")
	require.Equal(t, string(message.Queued), b.message(t, id).Status)
	b.AwaitDial(t).Signal(connected())
	row = b.awaitState(t, session.Connected)
	require.Nil(t, row.BannedUntil)
	b.awaitStatus(t, id, message.Sent)
}

// The next owner sits the rest of the ban out, and no more.
func TestABanOutlivesItsOwner(t *testing.T) {
	t.Parallel()
	b := setup(t, quick)
	b.online(t).Signal(banned(time.Hour))
	b.awaitState(t, session.Banned)
	require.NoError(t, b.fleet.Stop(t.Context()))
	dials := b.Dials(company)
	b.own(t, quick)
	require.Never(t, func() bool { return b.Dials(company) > dials }, 150*time.Millisecond, 5*time.Millisecond)
	require.NoError(t, b.fleet.Stop(t.Context()))
	_, err := b.store.Pool().Exec(t.Context(), `UPDATE whatsapp_sessions SET banned_until = now() - interval '1 second'`)
	require.NoError(t, err)
	b.own(t, quick)
	b.AwaitDial(t).Signal(connected())
	b.awaitState(t, session.Connected)
}

// Another program with the same keys is given way to three times; then it is an alarm.
func TestAFightOverTheKeysEnds(t *testing.T) {
	t.Parallel()
	b := setup(t, quick)
	c := b.online(t)
	replaced := actor.Signal{
		State: session.Reconnecting, Reason: "stream_replaced", Event: webhook.SessionReplaced, Then: actor.Yield, After: time.Millisecond,
	}
	for range 3 {
		c.Signal(replaced)
		c = b.AwaitDial(t)
		c.Signal(connected())
		b.awaitState(t, session.Connected)
	}
	dials := b.Dials(company)
	c.Signal(replaced)
	row := b.awaitState(t, session.Failed)
	require.Equal(t, "duplicate_session", row.Reason)
	require.Equal(t, "relink", row.UserAction)
	require.NotNil(t, row.JID, "the keys are still there")
	require.Equal(t, 1, b.log.count("another program uses the keys of this session"))
	require.Never(t, func() bool { return b.Dials(company) > dials }, 100*time.Millisecond, 5*time.Millisecond)
}

// A socket that leaves a ping unanswered is asked once more. Found dead, it is replaced.
func TestADeadSocketIsFound(t *testing.T) {
	t.Parallel()
	cfg := quick
	cfg.PingPause, cfg.PingTimeout = 10*time.Millisecond, 50*time.Millisecond
	b := setup(t, cfg)
	c := b.online(t)
	dials := b.Dials(company)
	c.Signal(actor.Signal{Then: actor.Suspect})
	require.Never(t, func() bool { return b.Dials(company) > dials }, 150*time.Millisecond, 5*time.Millisecond, "it answers")
	b.set(func(s *script) { s.Deaf = true })
	c.Signal(actor.Signal{Then: actor.Suspect})
	row := b.awaitState(t, session.Reconnecting)
	require.Equal(t, "keepalive_timeout", row.Reason)
	b.AwaitDial(t).Signal(connected())
	b.awaitState(t, session.Connected)
}

// However many sessions are refused with a version, WhatsApp is asked for its successor once; then all are back.
func TestAnOutdatedVersionIsRenewedOnce(t *testing.T) {
	t.Parallel()
	b := setup(t, quick)
	b.set(func(s *script) { s.Obliging, s.version, s.newest = true, "2.3000.1", "2.3000.2" })
	const companies = 8
	for i := range companies {
		id := fmt.Sprintf("company-%d", i)
		b.create(t, id, shardNo)
		b.declare(t, id, session.DesiredRunning)
		b.fleet.Reconcile(t.Context(), id)
	}
	b.agree(t, map[string]int{"connected": companies})
	for i := range companies {
		b.latestOf(fmt.Sprintf("company-%d", i)).Signal(outdated("2.3000.1"))
	}
	require.Eventually(t, func() bool { return b.log.count("session") >= 5*companies }, await, time.Millisecond)
	b.agree(t, map[string]int{"connected": companies})
	b.set(func(s *script) {
		require.Equal(t, 1, s.fetched)
		require.Equal(t, "2.3000.2", s.version)
	})
}

// A version that has no successor needs an update of ours. The session looks again by itself when there may be one.
func TestAVersionWithoutASuccessor(t *testing.T) {
	t.Parallel()
	for name, newest := range map[string]string{"the same": "2.3000.1", "unknown": ""} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t, quick)
			c := b.online(t)
			b.set(func(s *script) { s.version, s.newest = "2.3000.1", newest })
			dials := b.Dials(company)
			c.Signal(outdated("2.3000.1"))
			row := b.awaitState(t, session.Failed)
			require.Equal(t, "client_outdated", row.Reason)
			require.Equal(t, "update", row.UserAction)
			require.NotNil(t, row.JID)
			require.Equal(t, dials, b.Dials(company))
			b.want(t, session.DesiredRunning)
			b.AwaitDial(t).Signal(connected())
			b.awaitState(t, session.Connected)
		})
	}
}

// What one host found out, the others use.
func TestAnotherHostsVersion(t *testing.T) {
	t.Parallel()
	b := setup(t, quick)
	c := b.online(t)
	b.set(func(s *script) { s.version = "2.3000.1" })
	require.NoError(t, b.store.Queries().SaveVersion(t.Context(), b.store.Pool(), "2.3000.7"))
	c.Signal(outdated("2.3000.1"))
	b.AwaitDial(t)
	b.set(func(s *script) {
		require.Zero(t, s.fetched)
		require.Equal(t, "2.3000.7", s.version)
	})
}

// Refusals that will not pass at once are tried ever more rarely.
func TestRefusalsGrowApart(t *testing.T) {
	t.Parallel()
	cfg := quick
	cfg.MaxReconnects, cfg.ReconnectDelay = 10, time.Millisecond
	b := setup(t, cfg)
	c := b.online(t)
	refusal := lost()
	refusal.After, refusal.UpTo = 20*time.Millisecond, 80*time.Millisecond
	var waits []time.Duration
	for range 4 {
		start := time.Now()
		c.Signal(refusal)
		c = b.AwaitDial(t)
		waits = append(waits, time.Since(start))
	}
	for i, atLeast := range []int64{20, 40, 80, 80} {
		require.GreaterOrEqual(t, waits[i].Milliseconds(), atLeast)
	}
}

// breakerFleet is a host with many sessions that are online.
func breakerFleet(t *testing.T, companies int) (*bundle, []string) {
	t.Helper()
	cfg := quick
	cfg.PollInterval = 20 * time.Millisecond
	b := setup(t, cfg)
	b.set(func(s *script) { s.Obliging = true })
	ids := make([]string, companies)
	for i := range ids {
		ids[i] = fmt.Sprintf("company-%d", i)
		b.create(t, ids[i], shardNo)
		b.declare(t, ids[i], session.DesiredRunning)
		b.fleet.Reconcile(t.Context(), ids[i])
	}
	b.agree(t, map[string]int{"connected": companies})
	return b, ids
}

// breakerOpen reads the gauge of the latest host.
func (b *bundle) breakerOpen(t *testing.T) bool {
	t.Helper()
	families, err := b.registry.Gather()
	require.NoError(t, err)
	for _, family := range families {
		if family.GetName() == "wafleet_breaker_open" {
			return family.GetMetric()[0].GetGauge().GetValue() == 1
		}
	}
	require.FailNow(t, "no gauge")
	return false
}

// A burst of log-outs is not believed, those that began it included: no company loses its keys, one probe after the other
// asks whether the bad day is over, and then all come back.
func TestABurstOfLogOutsIsNotBelieved(t *testing.T) {
	t.Parallel()
	b, ids := breakerFleet(t, 12)
	b.set(func(s *script) { s.Obliging = false })
	for _, id := range ids {
		b.latestOf(id).Signal(loggedOut())
	}
	b.agree(t, map[string]int{"reconnecting": len(ids)})
	require.Equal(t, 1, b.log.count("breaker opened: so many log-outs at once are not believed"))
	for _, id := range ids {
		row := b.sessionOf(t, id)
		require.Equal(t, "breaker_open", row.Reason)
		require.Equal(t, jidOf(id), *row.JID)
	}
	require.Eventually(t, func() bool { return b.breakerOpen(t) }, await, time.Millisecond)
	require.Empty(t, b.Destroyed())

	dials := func() (n int) {
		for _, id := range ids {
			n += b.Dials(id)
		}
		return n
	}
	require.Eventually(t, func() bool { return dials() == 3*len(ids)-len(ids)+1 }, await, time.Millisecond, "one probe")
	require.Never(t, func() bool { return dials() > 2*len(ids)+1 }, 150*time.Millisecond, 5*time.Millisecond, "one at a time")
	var probing *conn
	for _, id := range ids {
		if b.Dials(id) == 3 {
			probing = b.latestOf(id)
		}
	}
	b.set(func(s *script) { s.Obliging = true })
	s := connected()
	s.JID, s.LID = jidOf(probing.companyID), ""
	probing.Signal(s)
	b.agree(t, map[string]int{"connected": len(ids)})
	require.Eventually(t, func() bool { return !b.breakerOpen(t) }, await, time.Millisecond)
	b.set(func(s *script) {
		slices.Sort(s.restored)
		require.Len(t, slices.Compact(s.restored), len(ids))
	})
}

// When others can log in again, the log-out of a session that cannot is believed.
func TestALogOutIsBelievedTheSecondTime(t *testing.T) {
	t.Parallel()
	b, ids := breakerFleet(t, 8)
	b.set(func(s *script) { s.Obliging = false })
	for _, id := range ids {
		b.latestOf(id).Signal(loggedOut())
	}
	b.agree(t, map[string]int{"reconnecting": len(ids)})
	_, err := b.store.CloseBreaker(t.Context())
	require.NoError(t, err)
	for _, id := range ids {
		require.Eventually(t, func() bool { return b.Dials(id) == 3 }, await, time.Millisecond)
	}
	for _, id := range ids {
		require.Eventually(t, func() bool {
			b.latestOf(id).Signal(loggedOut())
			return b.sessionOf(t, id).State == string(session.LoggedOut)
		}, await, 20*time.Millisecond)
	}
	require.False(t, b.breakerOpen(t))
}

// What the breaker holds it holds over a change of owners.
func TestTheBreakerOutlivesAnOwner(t *testing.T) {
	t.Parallel()
	b, ids := breakerFleet(t, 8)
	b.set(func(s *script) { s.Obliging = false })
	for _, id := range ids {
		b.latestOf(id).Signal(loggedOut())
	}
	b.agree(t, map[string]int{"reconnecting": len(ids)})
	require.NoError(t, b.fleet.Stop(t.Context()))
	_, err := b.store.Pool().Exec(t.Context(), `UPDATE fleet SET probe_until = now() + interval '1 hour'`)
	require.NoError(t, err)
	before := make(map[string]int)
	for _, id := range ids {
		before[id] = b.Dials(id)
	}
	b.own(t, quick)
	b.agree(t, map[string]int{"reconnecting": len(ids)})
	require.Never(t, func() bool {
		return slices.ContainsFunc(ids, func(id string) bool { return b.Dials(id) > before[id] })
	}, 200*time.Millisecond, 5*time.Millisecond)
	b.set(func(s *script) { s.Obliging = true })
	_, err = b.store.CloseBreaker(t.Context())
	require.NoError(t, err)
	b.agree(t, map[string]int{"connected": len(ids)})
}

// A few companies that unlink their devices are believed at once.
func TestAFewLogOutsAreBelieved(t *testing.T) {
	t.Parallel()
	b, ids := breakerFleet(t, 5)
	for _, id := range ids {
		b.latestOf(id).Signal(loggedOut())
	}
	b.agree(t, map[string]int{"logged_out": len(ids)})
	require.False(t, b.breakerOpen(t))
}
