package actor

import (
	"context"
	"errors"
	"time"

	"wafleet/shared/session"
	"wafleet/shared/store"
	"wafleet/shared/store/db"
	"wafleet/shared/webhook"
)

// loginTimeout is Config.LoginTimeout where none is given.
const loginTimeout = 30 * time.Second

// restartTimeout is Config.RestartTimeout where none is given. whatsmeow expects the socket to close after a
// pairing, so that a restart that gets lost would leave no event at all (pair.go, handlePair).
const restartTimeout = 5 * time.Second

var errLoginTimeout = errors.New("no login after the handshake")

// probeInterval is how often a session that gave up is tried all the same.
const probeInterval = time.Hour

// reconcile brings the session to the state that was asked for. At boot it also resumes what the session's
// former owner was doing.
func (a *Actor) reconcile(ctx context.Context, boot bool) bool {
	var row db.WhatsappSession
	ok := a.durably(ctx, "read session", func(ctx context.Context) (err error) {
		row, err = a.store.Queries().GetSession(ctx, a.store.Pool(), a.companyID)
		return err
	})
	if !ok {
		return false
	}
	asked := row.DesiredGeneration > row.ObservedGeneration
	a.desired = session.Desired(row.DesiredState)
	if boot {
		a.become(session.State(row.State))
		a.jid = deref(row.JID)
	}
	if asked || boot {
		a.pairing.method, a.pairing.phone = session.PairingMethod(row.PairingMethod), deref(row.PairingPhone)
	}
	switch {
	case asked && a.desired == session.DesiredStopped:
		a.hang()
		a.record(ctx, Signal{State: session.Stopped, Event: webhook.SessionDisconnected})
	case asked && a.desired == session.DesiredLoggedOut:
		a.logout(ctx)
	case asked:
		a.begin(ctx)
	case boot && a.desired == session.DesiredRunning && a.resumes():
		a.dial(ctx)
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

// resumes says whether a session goes on by itself when it gets a new owner.
func (a *Actor) resumes() bool {
	switch a.state {
	case session.Pairing, session.Connecting, session.Connected, session.Reconnecting:
		return true
	case session.Created, session.LoggedOut, session.Banned, session.Failed, session.Stopped:
	}
	return false
}

// begin starts a session that somebody asked to run. One that is online stays as it is; a pairing under way
// starts over, because it may now be another method or number.
func (a *Actor) begin(ctx context.Context) {
	if a.state == session.Connected && a.link != down { // dialing: a restart, or a login that overtook the dial's end
		return
	}
	a.failures = 0
	a.pairing.shown = 0
	if a.jid == "" {
		a.hang()
		a.conn = nil
		a.record(ctx, Signal{State: session.Pairing})
	} else {
		a.record(ctx, Signal{State: session.Connecting})
	}
	a.dial(ctx)
}

// logout unlinks the device on the phone, as far as it can be reached, and forgets it.
func (a *Actor) logout(ctx context.Context) {
	if a.conn != nil && a.link == up {
		if err := a.conn.Logout(ctx); err != nil {
			a.logger.WarnContext(ctx, "unlink on the phone", "error", err)
		}
	}
	a.forget()
	a.record(ctx, Signal{State: session.LoggedOut, Reason: "asked", Action: session.ActionRelink, Event: webhook.SessionLoggedOut})
}

// hear applies a signal, unless it is of a socket that is gone already: whatsmeow tells of a login or a drop even
// when it just ended. What is true of the device, whichever socket said it, counts always.
func (a *Actor) hear(ctx context.Context, s said) {
	stale := a.link == down || s.socket != a.socket.Load()
	if stale && (s.Then != Carry && s.Then != Halt || s.State == a.state) {
		return
	}
	a.apply(ctx, s.Signal)
}

// apply carries out a row of the signal table.
func (a *Actor) apply(ctx context.Context, s Signal) {
	if s.JID != "" && a.jid == "" {
		a.paired(ctx, s)
		if a.pairing.restart {
			s.Then = Redial
		}
	}
	if s.State == session.Reconnecting && a.jid == "" {
		s.State = session.Pairing // an unpaired socket that drops is still a pairing
	}
	if s.Then == ShowQR {
		a.greeted = true
		a.retry.Stop()
		a.beginPairing(ctx, s.Codes)
		return
	}
	if s.State != "" || s.Event != "" {
		a.record(ctx, s)
	}
	switch s.Then {
	case Carry, ShowQR:
	case Drain:
		a.greeted = true
		a.retry.Stop()
		a.failures = 0
		a.endPairing(ctx)
		a.sender.online(a.conn)
	case Settle:
		a.sender.settle()
	case Redial:
		a.restart(ctx)
	case Retry:
		a.hang()
		a.failures++
		a.again(ctx, s.After)
	case Halt:
		if s.State == session.LoggedOut {
			a.forget()
		} else {
			a.hang()
		}
	}
}

// paired takes over the device that was just linked, also at the last moment: after its codes had run out, or
// after the session was asked to stop.
func (a *Actor) paired(ctx context.Context, s Signal) {
	if a.desired == session.DesiredLoggedOut {
		return
	}
	a.jid, a.failures = s.JID, 0
	a.endPairing(ctx)
	if a.desired == session.DesiredRunning {
		a.record(ctx, Signal{State: session.Connecting, JID: s.JID, LID: s.LID}) // bind did; a code may have been shown since
		a.retry.Reset(a.cfg.RestartTimeout)
	}
}

// restart answers the server's wish for a new socket: at once the first time, later when no login came of it.
// While a pairing is being confirmed it waits for that: closing the socket under the confirmation would make
// whatsmeow undo the pairing.
func (a *Actor) restart(ctx context.Context) {
	if a.pairing.restart = a.jid == ""; a.pairing.restart {
		return
	}
	a.hang()
	if a.failures++; a.failures > 1 {
		a.again(ctx, 0)
		return
	}
	a.dial(ctx)
}

// dial opens a socket in the background; the outcome comes back through the mailbox.
func (a *Actor) dial(ctx context.Context) {
	if a.link != down || a.desired != session.DesiredRunning {
		return
	}
	a.retry.Stop()
	if a.conn == nil {
		conn, err := a.dialer.Open(ctx, Owner{CompanyID: a.companyID, JID: a.jid, Fence: a.fence}, a.handlers(ctx))
		if errors.Is(err, ErrNoDevice) {
			a.apply(ctx, Signal{
				State: session.LoggedOut, Reason: "device_gone", Action: session.ActionRelink,
				Event: webhook.SessionLoggedOut, Then: Halt,
			})
			return
		}
		if errors.Is(err, ErrDeviceUnreadable) {
			a.jid = "" // so that asking to run pairs anew
			a.apply(ctx, Signal{
				State: session.Failed, Reason: "device_unreadable", Action: session.ActionRelink,
				Event: webhook.SessionDisconnected, Then: Halt,
			})
			return
		}
		if err != nil {
			a.dialed(ctx, err)
			return
		}
		a.conn = conn
	}
	a.link, a.greeted = dialing, false
	life, hangUp := context.WithCancel(ctx)
	a.hangUp = hangUp
	conn, socket := a.conn, a.socket.Add(1)
	a.workers.Go(func() {
		err := a.pacer.Wait(life)
		if err == nil {
			err = conn.Connect(life)
		}
		a.post(ctx, dialed{err, socket})
	})
}

// redial is what the retry timer does: dial, or end a socket whose login led to nothing.
func (a *Actor) redial(ctx context.Context) {
	if a.link == up && a.state != session.Connected {
		if a.failures > 0 {
			a.dialed(ctx, errLoginTimeout)
			return
		}
		a.failures++
		a.hang()
	}
	a.dial(ctx)
}

func (a *Actor) dialed(ctx context.Context, err error) {
	if err == nil {
		a.link = up
		if !a.greeted { // what it says may have overtaken this
			a.retry.Reset(a.cfg.LoginTimeout)
		}
		return
	}
	a.logger.InfoContext(ctx, "dial", "error", err, "failures", a.failures+1)
	if a.state == session.Connected {
		a.record(ctx, Signal{State: session.Reconnecting, Reason: reasonOffline, Event: webhook.SessionDisconnected})
	}
	a.hang()
	a.failures++
	a.again(ctx, 0)
}

// again arms the retry timer, or gives up and only probes from time to time.
func (a *Actor) again(ctx context.Context, atLeast time.Duration) {
	if a.failures > a.cfg.MaxReconnects {
		if a.state != session.Failed {
			a.record(ctx, Signal{State: session.Failed, Reason: "reconnect_exhausted", Event: webhook.SessionDisconnected})
		}
		a.retry.Reset(probeInterval + backoff(a.cfg.ReconnectDelay, 1))
		return
	}
	// The first failure of a socket that worked comes back soon; the delay grows only with what follows.
	a.retry.Reset(atLeast + backoff(a.cfg.ReconnectDelay, a.failures))
}

// hang closes the socket but keeps the device.
func (a *Actor) hang() {
	a.sender.offline()
	a.retry.Stop()
	a.pairing.next.Stop() // codes belong to the socket that brought them
	if a.link == dialing {
		a.hangUp() // nothing is handled yet; Close would wait for the dial
	}
	if a.conn != nil {
		a.conn.Close() // lets handlers finish what they are writing
	}
	if a.hangUp != nil {
		a.hangUp()
		a.hangUp = nil
	}
	a.link = down
	a.socket.Add(1)
}

// forget drops a device that is no longer linked.
func (a *Actor) forget() {
	a.hang()
	a.conn, a.jid = nil, ""
}

// become changes the state as the actor and its metrics see it.
func (a *Actor) become(s session.State) {
	a.metrics.moved(a.state, s)
	a.state = s
}

// record writes the session's state and tells of it.
func (a *Actor) record(ctx context.Context, s Signal) {
	if s.State == "" {
		s.State = a.state
	}
	if s.Action == "" {
		s.Action = session.ActionNone
	}
	a.become(s.State)
	change := store.SessionChange{
		CompanyID: a.companyID, State: s.State, Reason: s.Reason, Action: s.Action, Event: s.Event,
		JID: optional(s.JID), LID: optional(s.LID), PushName: optional(s.Name), QRAttempts: a.pairing.shown,
	}
	a.durably(ctx, "record state", func(ctx context.Context) error {
		deliveries, err := a.store.ChangeSession(ctx, a.fence, change)
		if err == nil {
			a.announce(ctx, deliveries)
		}
		return err
	})
	a.logger.InfoContext(ctx, "session", "state", s.State, "reason", s.Reason)
}

func optional(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

func deref(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}
