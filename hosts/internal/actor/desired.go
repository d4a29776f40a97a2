package actor

import (
	"context"
	"math/rand/v2"

	"wafleet/shared/session"
	"wafleet/shared/store/db"
	"wafleet/shared/webhook"
)

// Reasons of a session that was ended on purpose.
const (
	reasonAsked       = "asked"
	reasonNotUnlinked = "unlink_failed"
)

// reconcile brings the session to the state that was asked for. At boot it also resumes what the session's
// former owner was doing.
func (a *Actor) reconcile(ctx context.Context, boot bool) bool {
	row, ok := a.row(ctx)
	if !ok {
		return false
	}
	asked := row.DesiredGeneration > row.ObservedGeneration
	a.desired = session.Desired(row.DesiredState)
	if boot {
		a.become(session.State(row.State))
		a.jid = deref(row.JID)
		if a.state == session.Failed && row.Reason == session.ReasonDeviceUnreadable {
			a.jid, a.unreadable = "", a.jid
		}
	}
	if asked || boot {
		a.pairing.method, a.pairing.phone = session.PairingMethod(row.PairingMethod), deref(row.PairingPhone)
	}
	if asked && a.jid == "" && a.unreadable == "" && session.State(row.State) == session.Stopped {
		a.jid = deref(row.JID) // linked meanwhile, by an import
		a.conn = nil
	}
	if row.DeleteAfterLogout {
		a.erase(ctx)
	}
	switch {
	case asked && a.desired == session.DesiredStopped:
		a.hang()
		a.record(ctx, Signal{State: session.Stopped, Event: webhook.SessionDisconnected})
	case asked && a.desired == session.DesiredLoggedOut:
		if !row.DeleteAfterLogout {
			a.logout(ctx)
		}
	case asked:
		a.begin(ctx, row.RestartGeneration > row.ObservedGeneration)
	case boot && a.desired == session.DesiredRunning:
		a.resume(ctx, row.Reason)
	}
	if !asked {
		return true
	}
	return a.durably(ctx, "observe generation", func(ctx context.Context) error {
		_, err := a.store.Queries().ObserveGeneration(ctx, a.store.Pool(), db.ObserveGenerationParams{
			CompanyID: a.companyID, Generation: row.DesiredGeneration, Shard: a.fence.Shard, Term: a.fence.Term,
		})
		return err
	})
}

// row reads the session, unless it came with the shard.
func (a *Actor) row(ctx context.Context) (row db.WhatsappSession, ok bool) {
	if a.found != nil {
		row, a.found = a.found.WhatsappSession, nil
		return row, true
	}
	ok = a.durably(ctx, "read session", func(ctx context.Context) (err error) {
		row, err = a.store.Queries().GetSession(ctx, a.store.Pool(), a.companyID)
		return err
	})
	return row, ok
}

// resume goes on with what the former owner of the session was at, as far as that goes by itself.
func (a *Actor) resume(ctx context.Context, reason string) {
	switch a.state {
	case session.Pairing, session.Connecting, session.Connected, session.Reconnecting:
		if reason == reasonBreaker {
			a.held.Store(true)
			return
		}
		a.dial(ctx)
	case session.Banned:
		if !a.sitOut(ctx) {
			a.dial(ctx)
		}
	case session.Failed:
		if reason == reasonExhausted || reason == reasonOutdated {
			a.retry.Reset(rand.N(probeInterval)) //nolint:gosec // not a secret; the probe that the former owner had in mind
		}
	case session.Created, session.LoggedOut, session.Stopped:
	}
}

// begin starts a session that somebody asked to run. One that is online stays as it is, unless a restart was asked
// for; a pairing under way starts over, because it may now be another method or number. What waits for the end of a
// ban or of the breaker goes on waiting.
func (a *Actor) begin(ctx context.Context, restart bool) {
	switch {
	case a.held.Load():
		a.hold(ctx)
		return
	case a.state == session.Banned && a.sitOut(ctx):
		return
	}
	if restart {
		a.hang()
	}
	if a.state == session.Connected && a.link != down { // dialing: a restart, or a login that overtook the dial's end
		return
	}
	a.refused.Store(nil)
	a.forgive()
	a.replaced = nil
	a.pairing.shown = 0
	a.giveUpKeys(ctx, restart)
	if a.jid == "" {
		a.hang()
		a.conn = nil
		a.record(ctx, Signal{State: session.Pairing})
	} else {
		a.record(ctx, Signal{State: session.Connecting})
	}
	a.dial(ctx)
}

// giveUpKeys ends the wait for keys that could not be read: a restart tries them again, in case that they were repaired;
// to be asked to run is to be linked anew, which frees the number from the old device.
func (a *Actor) giveUpKeys(ctx context.Context, restart bool) {
	jid := a.unreadable
	if a.unreadable = ""; jid == "" {
		return
	}
	if restart {
		a.jid = jid
		return
	}
	a.durably(ctx, "destroy unreadable keys", func(ctx context.Context) error { return a.dialer.Destroy(ctx, a.owner(jid)) })
}

// logout unlinks the device on the phone and forgets it.
func (a *Actor) logout(ctx context.Context) {
	reason := reasonAsked
	if !a.unlink(ctx) {
		reason = reasonNotUnlinked
	}
	a.record(ctx, Signal{State: session.LoggedOut, Reason: reason, Action: session.ActionRelink, Event: webhook.SessionLoggedOut})
}

// erase makes the session as new.
func (a *Actor) erase(ctx context.Context) {
	known := a.jid != ""
	s := Signal{State: session.Created}
	if !a.unlink(ctx) {
		s.Reason = reasonNotUnlinked
	}
	if known {
		s.Event = webhook.SessionLoggedOut
	}
	a.recordAs(ctx, s, func(c *change) { c.Erase = true })
}
