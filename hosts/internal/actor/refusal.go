package actor

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"wafleet/shared/session"
	"wafleet/shared/store"
	"wafleet/shared/webhook"
)

const (
	// replacedWindow and maxReplaced are how often a session may be thrown out by another socket with its keys: beyond
	// that somebody else has them, and both would fight for ever.
	replacedWindow = 10 * time.Minute
	maxReplaced    = 3
	// pingPause and pingTimeout belong to the second opinion on a socket that left a ping unanswered. With whatsmeow's
	// own ping, at most HEALTH_CHECK_INTERVAL apart and waited for 10 s, a dead socket is found 25 s after it: in
	// 30 + 10 + 5 + 10 s at the latest.
	pingPause   = 5 * time.Second
	pingTimeout = 10 * time.Second
	// banJitter bounds the random time that is added to a ban.
	banJitter = 5 * time.Minute
)

// Reasons that this package gives or acts upon. The others are package wa's.
const (
	reasonBreaker   = "breaker_open"
	reasonExhausted = "reconnect_exhausted"
	reasonOutdated  = "client_outdated"
	reasonDuplicate = "duplicate_session"
	reasonNoAnswer  = "keepalive_timeout"
)

// refused is a log-out that was believed, in case that it turns out to be one of a burst.
type refused struct {
	jid string
	at  time.Time
}

// sitOut says that the session's ban is not over, and arms the timer for its end by the database's clock.
func (a *Actor) sitOut(ctx context.Context) bool {
	var seconds float64
	a.durably(ctx, "read ban", func(ctx context.Context) (err error) {
		seconds, err = a.store.Queries().BanLeft(ctx, a.store.Pool(), a.companyID)
		return err
	})
	if seconds <= 0 {
		return false
	}
	a.pause(time.Duration(seconds * float64(time.Second)))
	return true
}

// pause arms the timer for the end of a ban, and a random while more.
func (a *Actor) pause(d time.Duration) {
	a.retry.Reset(d + rand.N(min(d/10, banJitter)+a.cfg.ReconnectDelay) + 1) //nolint:gosec // jitter, not a secret
}

// yield makes room for another socket with the same keys. The lease was checked by the write before: it is no other
// host of ours.
func (a *Actor) yield(ctx context.Context, after time.Duration) {
	a.hang()
	now := time.Now()
	for len(a.replaced) > 0 && now.Sub(a.replaced[0]) > replacedWindow {
		a.replaced = a.replaced[1:]
	}
	a.replaced = append(a.replaced, now)
	if len(a.replaced) <= maxReplaced {
		a.again(ctx, after)
		return
	}
	a.replaced = nil
	a.logger.ErrorContext(ctx, "another program uses the keys of this session")
	a.record(ctx, Signal{
		State: session.Failed, Reason: reasonDuplicate, Action: session.ActionRelink, Event: webhook.SessionDisconnected,
	})
}

// suspect gets a second opinion on a socket that left a ping unanswered.
func (a *Actor) suspect(ctx context.Context) {
	conn, socket := a.conn, a.socket.Load()
	a.workers.Go(func() {
		if !sleep(ctx, a.cfg.PingPause) {
			return
		}
		asking, cancel := context.WithTimeout(ctx, a.cfg.PingTimeout)
		defer cancel()
		if err := conn.Ping(asking); err != nil && ctx.Err() == nil {
			a.post(ctx, said{Signal{
				State: session.Reconnecting, Reason: reasonNoAnswer, Event: webhook.SessionDisconnected, Then: Retry,
			}, socket})
		}
	})
}

// renew waits for another version to introduce itself as.
func (a *Actor) renew(ctx context.Context, version string) {
	a.hang()
	socket := a.socket.Load()
	a.workers.Go(func() {
		a.post(ctx, renewed{a.versions.renew(ctx, version), version, socket})
	})
}

func (a *Actor) renewed(ctx context.Context, m renewed) {
	if m.ok {
		a.outdated = ""
		a.again(ctx, 0)
		return
	}
	a.outdated = m.version
	if a.state != session.Failed {
		a.record(ctx, Signal{
			State: session.Failed, Reason: reasonOutdated, Action: session.ActionUpdate, Event: webhook.SessionDisconnected,
		})
	}
	a.retry.Reset(probeInterval + backoff(a.cfg.ReconnectDelay, 1))
}

// holds says that a log-out is not to be believed, because the fleet's breaker is open, and holds the session back. The
// second log-out of a session, after others could log in again, is believed.
func (a *Actor) holds(ctx context.Context, s Signal) bool {
	if a.jid == "" || a.desired != session.DesiredRunning {
		return false
	}
	var open, tripped bool
	ok := a.durably(ctx, "ask breaker", func(ctx context.Context) (err error) {
		if a.held.Load() {
			open, err = a.store.BreakerOpen(ctx)
			return err
		}
		open, tripped, err = a.store.Refuse(ctx, a.companyID)
		return err
	})
	if !ok {
		return true // the actor is ending; whoever comes next hears it again
	}
	if tripped {
		a.logger.ErrorContext(ctx, "breaker opened: so many log-outs at once are not believed", "reason", s.Reason)
	}
	if !open {
		if !a.held.Swap(false) {
			a.refused.Store(&refused{a.jid, time.Now()})
		}
		return false
	}
	a.hold(ctx)
	return true
}

// hold keeps a session, with its keys, for the end of the breaker.
func (a *Actor) hold(ctx context.Context) {
	a.hang()
	a.conn = nil // whatsmeow has taken the keys out of its device
	a.trial = false
	s := Signal{State: session.Reconnecting, Reason: reasonBreaker, JID: a.jid}
	if !a.held.Swap(true) {
		s.Event = webhook.SessionDisconnected
	}
	a.record(ctx, s)
}

// revive takes a log-out back that was believed before the breaker opened.
func (a *Actor) revive(ctx context.Context) {
	r := a.refused.Swap(nil)
	if r == nil || a.state != session.LoggedOut || a.desired != session.DesiredRunning {
		return
	}
	a.jid = r.jid
	a.hold(ctx)
}

// try lets a held session log in: as a probe while the breaker is open, or because it was closed.
func (a *Actor) try(ctx context.Context) {
	if !a.held.Load() || a.trial || a.desired != session.DesiredRunning {
		return
	}
	err := a.dialer.Restore(ctx, a.owner(a.jid))
	if err != nil && !errors.Is(err, ErrNoDevice) { // those that were never deleted have nothing to restore
		a.logger.WarnContext(ctx, "restore device", "error", err)
		return
	}
	a.trial = true
	a.forgive()
	a.dial(ctx)
}

// passed ends the time of a held session that could log in, and the breaker with it.
func (a *Actor) passed(ctx context.Context) {
	a.refused.Store(nil)
	if !a.held.Swap(false) {
		return
	}
	a.trial = false
	a.durably(ctx, "close breaker", func(ctx context.Context) error {
		closed, err := a.store.CloseBreaker(ctx)
		if closed {
			a.logger.InfoContext(ctx, "breaker closed: a session that it held could log in")
		}
		return err
	})
}

// guard carries the breaker's state to the sessions that it is about: it offers one of the held the turn to try, or lets
// them all go.
func (f *Fleet) guard(ctx context.Context) error {
	open, err := f.deps.store.BreakerOpen(ctx)
	if err != nil {
		return err
	}
	f.deps.metrics.breakerOpen(open)
	var held []*Actor
	f.mu.RLock()
	for _, a := range f.actors {
		if r := a.refused.Load(); open && r != nil && time.Since(r.at) < store.RefusalWindow+2*f.deps.cfg.PollInterval {
			a.offer(revive{})
		}
		if a.held.Load() {
			held = append(held, a)
		}
	}
	f.mu.RUnlock()
	if len(held) == 0 {
		return nil
	}
	mine, unheld, err := f.deps.store.ClaimProbe(ctx)
	if err != nil {
		return err
	}
	if mine {
		held[rand.N(len(held))].offer(try{}) //nolint:gosec // whichever
	}
	if unheld {
		for _, a := range held {
			a.offer(try{})
		}
	}
	return nil
}
