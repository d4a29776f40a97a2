package actor

import (
	"context"
	"errors"
	"time"

	"wafleet/shared/session"
	"wafleet/shared/store"
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

// hear applies a signal, unless it is of a socket that is gone already: whatsmeow tells of a login or a drop even
// when it just ended. What is true of the device, whichever socket said it, counts always.
func (a *Actor) hear(ctx context.Context, s said) {
	stale := a.link == down || s.socket != a.socket.Load()
	if stale && (s.Then != Carry && s.Then != Halt || s.State == a.state || a.held.Load()) {
		return
	}
	if s.State == session.LoggedOut && a.jid == "" {
		return // the echo of a farewell of our own
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
	switch {
	case s.Then == ShowQR:
		a.greet()
		a.beginPairing(ctx, s.Codes)
		return
	case s.Then == Hint:
		if a.state == session.Pairing {
			a.record(ctx, Signal{Reason: s.Reason})
		}
		return
	case s.State == session.LoggedOut && a.holds(ctx, s):
		return
	}
	if s.State != "" || s.Event != "" {
		a.record(ctx, s)
	}
	switch s.Then {
	case Carry, ShowQR, Hint:
	case Drain:
		a.greet()
		a.forgive()
		if !a.online.Swap(true) {
			a.pacer.Up(a.companyID)
		}
		a.due.Store(false)
		a.endPairing(ctx)
		a.passed(ctx)
		a.sender.online(a.conn)
		a.files.online(a.conn)
	case Settle:
		a.sender.settle()
	case Redial:
		a.restart(ctx)
	case Retry:
		if a.online.Load() {
			a.drop()
		} else {
			a.fail()
		}
		a.hang()
		a.again(ctx, a.growing(s))
	case Pause:
		a.hang()
		a.pause(s.After)
	case Yield:
		a.yield(ctx, s.After)
	case Renew:
		a.unanswered()
		a.renew(ctx, s.Version)
	case Suspect:
		a.suspect(ctx)
	case Halt:
		a.endPairing(ctx)
		if s.State == session.LoggedOut {
			a.forget()
		} else {
			a.hang()
		}
	}
}

// greet notes that the server has answered the handshake.
func (a *Actor) greet() {
	a.greeted = true
	a.arrive()
	a.retry.Stop()
	a.pacer.Answered()
	a.metrics.connected("answered")
}

// drop counts a socket that ended after it had worked. It says nothing about the next connect.
func (a *Actor) drop() {
	a.failures++
	a.attempts++
}

// fail counts a connect that led to nothing. It counts towards the limit only where it says something about this
// session, and not about the way that all of them take.
func (a *Actor) fail() {
	a.arrive()
	a.failures++
	if a.unanswered() {
		a.attempts++
	}
}

// unanswered tells the pacer of a connect that led to nothing, and says whether that is this session's own failure.
func (a *Actor) unanswered() (own bool) {
	a.metrics.connected("failed")
	return a.pacer.Failed(a.companyID)
}

// forgive begins to count anew.
func (a *Actor) forgive() { a.failures, a.attempts, a.outdated = 0, 0, "" }

// growing is the least wait of a Retry: it doubles with every failure where the signal says so.
func (a *Actor) growing(s Signal) time.Duration {
	after := s.After
	for range a.failures - 1 {
		if after *= 2; after >= s.UpTo {
			break
		}
	}
	if s.UpTo == 0 {
		return s.After
	}
	return min(after, s.UpTo)
}

// paired takes over the device that was just linked, also at the last moment: after its codes had run out, or
// after the session was asked to stop.
func (a *Actor) paired(ctx context.Context, s Signal) {
	if a.desired == session.DesiredLoggedOut {
		return
	}
	a.jid = s.JID
	a.forgive()
	a.endPairing(ctx)
	if a.desired == session.DesiredRunning {
		a.record(ctx, Signal{State: session.Connecting, JID: s.JID, LID: s.LID}) // bind did; a code may have been shown since
		a.retry.Reset(a.cfg.RestartTimeout)
		return
	}
	a.record(ctx, Signal{State: session.Stopped, JID: s.JID, LID: s.LID}) // bind had it coming up
}

// restart answers the server's wish for a new socket: at once the first time, later when no login came of it.
// While a pairing is being confirmed it waits for that: closing the socket under the confirmation would make
// whatsmeow undo the pairing.
func (a *Actor) restart(ctx context.Context) {
	if a.pairing.restart = a.jid == ""; a.pairing.restart {
		return
	}
	a.hang()
	if a.drop(); a.failures > 1 {
		a.again(ctx, 0)
		return
	}
	a.dial(ctx)
}

// dial opens a socket in the background; the outcome comes back through the mailbox.
func (a *Actor) dial(ctx context.Context) {
	if a.link != down || a.desired != session.DesiredRunning || a.held.Load() && !a.trial {
		return
	}
	a.retry.Stop()
	if a.conn == nil {
		conn, err := a.dialer.Open(ctx, a.owner(a.jid), a.handlers(ctx))
		if errors.Is(err, ErrNoDevice) {
			a.apply(ctx, Signal{
				State: session.LoggedOut, Reason: "device_gone", Action: session.ActionRelink,
				Event: webhook.SessionLoggedOut, Then: Halt,
			})
			return
		}
		if errors.Is(err, ErrDeviceUnreadable) {
			a.jid, a.unreadable = "", a.jid // so that asking to run pairs anew
			a.apply(ctx, Signal{
				State: session.Failed, Reason: session.ReasonDeviceUnreadable, Action: session.ActionRelink,
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
	a.asked.Store(nil)
	life, hangUp := context.WithCancel(ctx)
	a.hangUp = hangUp
	conn, socket := a.conn, a.socket.Add(1)
	pairing := a.jid == "" // somebody is waiting for the code
	a.workers.Go(func() {
		err := a.pacer.Wait(life, func() bool { return pairing || a.due.Load() })
		if err == nil {
			err = conn.Connect(life)
		}
		a.post(ctx, dialed{err, socket})
	})
}

// owner is the right to work with one of the company's devices.
func (a *Actor) owner(jid string) Owner {
	return Owner{CompanyID: a.companyID, JID: jid, Fence: a.fence}
}

// redial is what the retry timer does: dial, or end a socket whose login led to nothing.
func (a *Actor) redial(ctx context.Context) {
	if a.link == up && a.state != session.Connected {
		if a.failures > 0 {
			a.dialed(ctx, errLoginTimeout)
			return
		}
		a.fail()
		a.hang()
	}
	if a.outdated != "" && a.outdated == a.dialer.Version() {
		a.renew(ctx, a.outdated) // asking for the version spares a connect that would be refused
		return
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
	a.fail()
	a.again(ctx, 0)
}

// again arms the retry timer, or gives up and only probes from time to time.
func (a *Actor) again(ctx context.Context, atLeast time.Duration) {
	if a.attempts > a.cfg.MaxReconnects {
		if a.state != session.Failed {
			a.record(ctx, Signal{State: session.Failed, Reason: reasonExhausted, Event: webhook.SessionDisconnected})
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
	a.files.offline()
	a.retry.Stop()
	a.pairing.next.Stop() // codes belong to the socket that brought them
	a.pairing.board.withdraw()
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
	if a.online.Swap(false) {
		a.pacer.Down()
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
	a.linking.Store(s == session.Pairing)
	a.state = s
}

// record writes the session's state and tells of it.
func (a *Actor) record(ctx context.Context, s Signal) { a.recordAs(ctx, s, func(*change) {}) }

// change is what record writes.
type change = store.SessionChange

// recordAs is record with something special about it.
func (a *Actor) recordAs(ctx context.Context, s Signal, special func(c *change)) {
	if s.State == "" {
		s.State = a.state
	}
	if s.Action == "" {
		s.Action = session.ActionNone
	}
	a.become(s.State)
	c := change{
		CompanyID: a.companyID, State: s.State, Reason: s.Reason, Action: s.Action, Event: s.Event,
		JID: optional(s.JID), LID: optional(s.LID), PushName: optional(s.Name), QRAttempts: a.pairing.shown,
	}
	if s.State == session.Banned {
		c.BanFor = s.After
	}
	special(&c)
	a.durably(ctx, "record state", func(ctx context.Context) error {
		deliveries, err := a.store.ChangeSession(ctx, a.fence, c)
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
