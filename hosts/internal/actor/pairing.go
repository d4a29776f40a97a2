package actor

import (
	"context"
	"time"

	"wafleet/shared/rpc"
	"wafleet/shared/session"
	"wafleet/shared/webhook"
)

// pairing is how far the linking of a device has come.
type pairing struct {
	method session.PairingMethod
	phone  string
	codes  []string    // QR codes not yet shown
	shown  int         // QR codes shown since the pairing was asked for
	next   *time.Timer // when what is on show expires

	restart bool // the server has asked for a restart before the pairing was confirmed here
}

// beginPairing starts to show QR codes, or asks for a pairing code.
func (a *Actor) beginPairing(ctx context.Context, codes []string) {
	a.pairing.codes, a.pairing.restart = codes, false
	if a.pairing.method == session.PairingCode && a.pairing.phone != "" {
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
		a.failPairing(ctx, "pairing_timeout")
	case p.shown >= a.cfg.MaxQRAttempts && p.phone != "":
		p.method = session.PairingCode
		a.requestCode(ctx)
	case p.shown >= a.cfg.MaxQRAttempts || len(p.codes) == 0:
		a.failPairing(ctx, "pairing_timeout")
	default:
		ttl := a.cfg.QRNextTTL
		if p.shown == 0 {
			ttl = a.cfg.QRFirstTTL
		}
		code := p.codes[0]
		p.codes = p.codes[1:]
		p.shown++
		p.next.Reset(ttl)
		qr := rpc.QR{Code: code, Attempt: p.shown, ExpiresAt: time.Now().Add(ttl)}
		if err := a.board.PublishQR(ctx, a.companyID, qr); err != nil {
			a.logger.WarnContext(ctx, "publish qr", "error", err)
		}
		a.record(ctx, Signal{State: session.Pairing, Event: webhook.SessionQR})
		if a.showQR != nil {
			a.showQR(a.companyID, code)
		}
	}
}

func (a *Actor) requestCode(ctx context.Context) {
	conn, phone, socket := a.conn, a.pairing.phone, a.socket.Load()
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
		a.failPairing(ctx, "pairing_code_refused")
		return
	}
	a.pairing.next.Reset(a.cfg.PairingCodeTTL)
	published := rpc.PairingCode{Code: code, Phone: a.pairing.phone, ExpiresAt: time.Now().Add(a.cfg.PairingCodeTTL)}
	if err := a.board.PublishPairingCode(ctx, a.companyID, published); err != nil {
		a.logger.WarnContext(ctx, "publish pairing code", "error", err)
	}
	a.record(ctx, Signal{State: session.Pairing, Event: webhook.SessionPairingCode})
}

func (a *Actor) failPairing(ctx context.Context, reason string) {
	a.endPairing(ctx)
	a.forget()
	a.record(ctx, Signal{State: session.Failed, Reason: reason, Action: session.ActionRelink, Event: webhook.SessionDisconnected})
}

// endPairing takes down whatever is on show.
func (a *Actor) endPairing(ctx context.Context) {
	a.pairing.next.Stop()
	if a.pairing.codes == nil && a.pairing.shown == 0 && a.pairing.method != session.PairingCode {
		return
	}
	a.pairing.codes, a.pairing.shown = nil, 0
	if err := a.board.Clear(ctx, a.companyID); err != nil {
		a.logger.WarnContext(ctx, "clear board", "error", err)
	}
}
