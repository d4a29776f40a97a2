package actor

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"wafleet/shared/rpc"
	"wafleet/shared/session"
	"wafleet/shared/webhook"
)

// pairing is how far the linking of a device has come.
type pairing struct {
	method session.PairingMethod
	phone  string
	codes  []string    // QR codes not yet shown
	given  int         // how many the socket brought; it takes the first one for longer
	shown  int         // QR codes shown since the pairing was asked for
	next   *time.Timer // when what is on show expires
	board  notice      // what is on show
	until  time.Time   // when the server closes the socket, and with it whatever is on show

	restart bool // the server has asked for a restart before the pairing was confirmed here
}

const (
	// socketLife is how long the server keeps a socket open that is not paired (whatsmeow pair-code.go).
	socketLife = 160 * time.Second
	// firstQRLife is how long the server takes the first QR code of a socket (whatsmeow qrchan.go).
	firstQRLife = time.Minute
)

// beginPairing starts to show QR codes, or asks for a pairing code.
func (a *Actor) beginPairing(ctx context.Context, codes []string) {
	a.pairing.codes, a.pairing.restart = codes, false
	a.pairing.given = len(codes)
	a.pairing.until = time.Now().Add(socketLife)
	if a.pairing.phone == "" {
		a.pairing.method = session.PairingQR // there is nobody to send a code to
	}
	if a.pairing.method == session.PairingCode {
		a.requestCode(ctx)
		return
	}
	a.showNext(ctx)
}

// showNext shows the next QR code. After the allowed number the company's number, if known, gets a pairing
// code instead; else the pairing has failed and waits to be asked for again.
func (a *Actor) showNext(ctx context.Context) {
	p := &a.pairing
	switch {
	case p.method == session.PairingCode:
		a.failPairing(ctx, session.ReasonPairingTimeout)
	case p.shown >= a.cfg.MaxQRAttempts && p.phone != "":
		p.method = session.PairingCode
		a.requestCode(ctx)
	case p.shown >= a.cfg.MaxQRAttempts || len(p.codes) == 0:
		a.failPairing(ctx, session.ReasonPairingTimeout)
	default:
		ttl := a.cfg.QRNextTTL
		if len(p.codes) == p.given {
			ttl = a.cfg.QRFirstTTL
		}
		code := p.codes[0]
		p.codes = p.codes[1:]
		p.shown++
		p.next.Reset(ttl)
		qr := rpc.QR{Code: code, Attempt: p.shown, ExpiresAt: time.Now().Add(ttl)}
		a.show(ctx, func(ctx context.Context) error { return a.board.PublishQR(ctx, a.companyID, qr) })
		a.record(ctx, Signal{State: session.Pairing, Event: webhook.SessionQR})
		if a.showQR != nil {
			a.showQR(a.companyID, code)
		}
	}
}

func (a *Actor) requestCode(ctx context.Context) {
	if a.budget != nil {
		if ok, wait := a.budget.Take(ctx, a.pairing.phone); !ok {
			a.logger.WarnContext(ctx, "no pairing code: too many were asked for the number", "retry_after", wait)
			a.failPairing(ctx, session.ReasonPairingRateLimited)
			return
		}
	}
	conn, phone, socket := a.conn, a.pairing.phone, a.socket.Load()
	a.asked.Store(&phone)
	a.workers.Go(func() {
		asking, cancel := context.WithTimeout(ctx, codeTimeout)
		defer cancel()
		code, err := conn.RequestPairingCode(asking, phone)
		a.post(ctx, codeReady{code, err, socket})
	})
}

// codeTimeout bounds the request for a pairing code.
const codeTimeout = 15 * time.Second

func (a *Actor) codeReady(ctx context.Context, code string, err error) {
	if a.state != session.Pairing {
		return
	}
	if err != nil {
		a.logger.WarnContext(ctx, "request pairing code", "error", err)
		a.failPairing(ctx, session.ReasonPairingRefused)
		return
	}
	ttl := min(a.cfg.PairingCodeTTL, time.Until(a.pairing.until))
	a.pairing.next.Reset(ttl)
	published := rpc.PairingCode{Code: code, Phone: a.pairing.phone, ExpiresAt: time.Now().Add(ttl)}
	a.show(ctx, func(ctx context.Context) error { return a.board.PublishPairingCode(ctx, a.companyID, published) })
	a.record(ctx, Signal{State: session.Pairing, Event: webhook.SessionPairingCode})
}

func (a *Actor) failPairing(ctx context.Context, reason string) {
	a.endPairing(ctx)
	a.forget()
	action := session.ActionRelink
	if reason == session.ReasonPairingRateLimited {
		action = session.ActionWait
	}
	a.record(ctx, Signal{State: session.Failed, Reason: reason, Action: action, Event: webhook.SessionDisconnected})
}

// admit says whether the company may be linked to the number that a phone offers. It runs on the connection's
// goroutine, while the phone waits.
func (a *Actor) admit(ctx context.Context, phone string) (reason string) {
	owner, err := a.store.Queries().FindCompanyByNumber(ctx, a.store.Pool(), phone)
	switch {
	case errors.Is(err, pgx.ErrNoRows), err == nil && owner == a.companyID:
		if asked := a.asked.Load(); asked != nil && !sameLine(*asked, phone) {
			return session.ReasonWrongNumber
		}
		return ""
	case err != nil:
		a.logger.WarnContext(ctx, "find owner of the number", "error", err)
		return session.ReasonPairingFailed
	}
	a.logger.WarnContext(ctx, "the number belongs to another company")
	return session.ReasonNumberTaken
}

// subscriberDigits is how many digits at the end of a number tell subscribers apart. WhatsApp knows some numbers by
// another form than people dial: without Brazil's ninth digit, Mexico's 1 or Argentina's 9 in front of the rest.
const subscriberDigits = 7

// sameLine says that two numbers are forms of one, as far as that shows.
func sameLine(a, b string) bool {
	tail := func(s string) string { return s[max(len(s)-subscriberDigits, 0):] }
	return tail(a) == tail(b)
}

// endPairing takes down whatever is on show.
func (a *Actor) endPairing(ctx context.Context) {
	a.pairing.next.Stop()
	a.pairing.board.withdraw()
	if a.pairing.codes == nil && a.pairing.shown == 0 && a.pairing.method != session.PairingCode {
		return
	}
	a.pairing.codes, a.pairing.shown = nil, 0
	if err := a.board.Clear(ctx, a.companyID); err != nil {
		a.logger.WarnContext(ctx, "clear board", "error", err)
	}
}
