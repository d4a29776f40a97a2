package actor

import (
	"context"
	"errors"
	"fmt"
	"time"

	"wafleet/shared/session"
)

const (
	// unlinkTimeout bounds the farewell to the phone over a socket that is up.
	unlinkTimeout = 10 * time.Second
	// farewellTimeout bounds all that is done to reach WhatsApp for a farewell: somebody waits for the session's end.
	farewellTimeout = 45 * time.Second
	// farewells is how often a socket is opened for it.
	farewells = 3
)

// errNoFarewell says that another attempt to reach the phone would end like the last one.
var errNoFarewell = errors.New("the phone cannot be told")

// unlink ends the link with the phone as far as it can be reached, and destroys the keys in any case. It says whether the
// phone knows. While it lasts the wish for it is in the session's row: a successor begins anew.
func (a *Actor) unlink(ctx context.Context) (told bool) {
	told = a.jid == "" || a.farewell(ctx)
	if ctx.Err() != nil {
		return false
	}
	devices := []string{a.jid, a.unreadable}
	a.endPairing(ctx)
	a.forget()
	a.unreadable = ""
	a.held.Store(false)
	a.refused.Store(nil)
	for _, jid := range devices {
		if jid != "" {
			a.durably(ctx, "destroy keys", func(ctx context.Context) error { return a.dialer.Destroy(ctx, a.owner(jid)) })
		}
	}
	return told
}

// farewell unlinks the device on the phone: over the socket that is up, or else over one of its own.
func (a *Actor) farewell(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, farewellTimeout)
	defer cancel()
	if a.conn != nil && a.online.Load() {
		err := logOut(ctx, a.conn)
		if err == nil {
			return true
		}
		a.logger.WarnContext(ctx, "unlink on the phone", "error", err)
	}
	a.hang()
	a.conn = nil // one device in use at a time
	for try := 1; try <= farewells; try++ {
		if try > 1 && !sleep(ctx, backoff(a.cfg.ReconnectDelay, try)) {
			return false
		}
		err := a.dialFarewell(ctx)
		if err == nil {
			return true
		}
		a.logger.WarnContext(ctx, "connect to unlink on the phone", "try", try, "error", err)
		if errors.Is(err, errNoFarewell) {
			return false
		}
	}
	return false
}

// dialFarewell opens a socket only to unlink the device. What arrives on it is stored as always; what it says of the
// session is for here, not for the state machine.
func (a *Actor) dialFarewell(ctx context.Context) error {
	life, hangUp := context.WithCancel(ctx)
	defer hangUp()
	heard := make(chan Signal, mailboxSize)
	h := a.handlers(life)
	h.Signal = func(s Signal) {
		select {
		case heard <- s:
		default: // it has heard enough to decide
		}
	}
	conn, err := a.dialer.Open(life, a.owner(a.jid), h)
	if errors.Is(err, ErrNoDevice) || errors.Is(err, ErrDeviceUnreadable) {
		return fmt.Errorf("%w: %w", errNoFarewell, err)
	}
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := a.pacer.Wait(life, func() bool { return true }); err != nil {
		return err
	}
	if err := conn.Connect(life); err != nil {
		return err
	}
	login := time.NewTimer(a.cfg.LoginTimeout)
	defer login.Stop()
	for {
		select {
		case s := <-heard:
			if done, err := lastWord(s); done {
				return err
			}
			if s.Then == Drain {
				return logOut(life, conn)
			}
		case <-login.C:
			return errLoginTimeout
		case <-life.Done():
			return fmt.Errorf("wait for login: %w", context.Cause(life))
		}
	}
}

// lastWord says whether nothing more comes of a socket that was opened for a farewell.
func lastWord(s Signal) (done bool, err error) {
	switch s.Then {
	case Halt:
		if s.State == session.LoggedOut {
			return true, nil // the phone was faster
		}
		return true, fmt.Errorf("%w: %s", errNoFarewell, s.Reason)
	case Pause, Yield, Renew, ShowQR:
		return true, fmt.Errorf("%w: %s", errNoFarewell, s.Reason)
	case Retry, Redial:
		return true, fmt.Errorf("no login: %s", s.Reason)
	case Carry, Drain, Settle, Suspect, Hint:
	}
	return false, nil
}

func logOut(ctx context.Context, conn Conn) error {
	ctx, cancel := context.WithTimeout(ctx, unlinkTimeout)
	defer cancel()
	return conn.Logout(ctx)
}
