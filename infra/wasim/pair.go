package wasim

import (
	"context"
	"errors"
	"fmt"
	"time"

	"wafleet/infra/wasim/internal/pairing"
	"wafleet/infra/wasim/internal/roster"
	"wafleet/infra/wasim/internal/stanza"
)

// errDeclined is a companion's refusal of the certificate it was sent.
var errDeclined = errors.New("companion declined the pairing")

// Scan lets a phone scan a QR and waits until the companion has confirmed the pairing. QRs of whatsmeow and of Baileys
// are understood. The error is ErrNotFound for an unknown phone, ErrInvalid for a text that is no QR and ErrConflict
// for a QR that is used up or was not answered.
func (s *Server) Scan(ctx context.Context, number, qr string) (Companion, error) {
	account, err := s.account(number)
	if err != nil {
		return Companion{}, err
	}
	code, err := pairing.ParseQR(qr)
	if err != nil {
		return Companion{}, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	found, ok := s.refs.Load(code.Ref)
	if !ok {
		return Companion{}, fmt.Errorf("%w: the QR is used up", ErrConflict)
	}
	c := found.(*conn) //nolint:forcetypeassert // Nothing else is stored.
	r := c.awaitingPairing()
	if r == nil || r.noise != code.Noise || r.identity != code.Identity {
		return Companion{}, fmt.Errorf("%w: the QR does not belong to the companion that shows it", ErrInvalid)
	}
	return s.link(ctx, c, r, account, code.Secret)
}

// awaitingPairing is the registration of a connection, for others than its own goroutine.
func (c *conn) awaitingPairing() *registration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.registration
}

// link certifies the companion and waits for it to confirm.
func (s *Server) link(ctx context.Context, c *conn, r *registration, account *roster.Account, secret []byte) (Companion, error) {
	id, keyIndex, err := account.Reserve(s.ledger)
	if err != nil {
		return Companion{}, fmt.Errorf("%w: %w", ErrConflict, err)
	}
	device := roster.NewDevice(account, id, keyIndex, r.noise, r.keys)
	device.Platform = r.platform
	certificate, err := pairing.Issue(account.Phone.Identity(), r.identity, secret, keyIndex, time.Now())
	if err != nil {
		return Companion{}, fmt.Errorf("certify companion: %w", err)
	}
	l := &linking{id: c.nextID(), device: device, certificate: certificate, result: make(chan error, 1)}
	if err := r.begin(l); err != nil {
		return Companion{}, err
	}
	defer r.abandon(l)
	c.send(pairSuccess(l, device))
	ctx, cancel := context.WithTimeout(ctx, s.options.ConfirmTimeout)
	defer cancel()
	select {
	case err = <-l.result:
	case <-c.done:
		err = fmt.Errorf("%w: the companion went away", ErrConflict)
		select { // It may have confirmed just before.
		case err = <-l.result:
		default:
		}
	case <-ctx.Done():
		err = fmt.Errorf("%w: the companion does not answer: %w", ErrConflict, context.Cause(ctx))
	}
	if err != nil {
		return Companion{}, err
	}
	return companion(device), nil
}

func pairSuccess(l *linking, device *roster.Device) stanza.Node {
	return stanza.New("iq", stanza.Attrs{"from": serverJID, "type": "set", "xmlns": "md", "id": l.id},
		stanza.New("pair-success", nil,
			stanza.Leaf("device-identity", l.certificate.Container),
			stanza.New("device", stanza.Attrs{"jid": device.JID(), "lid": device.LIDJID()}),
			stanza.New("platform", stanza.Attrs{"name": "android"})))
}

// confirmPairing handles the companion's answer to its certificate: it links the device and asks it to connect again.
func (s *Server) confirmPairing(c *conn, node stanza.Node) {
	if c.registration == nil {
		return
	}
	l := c.registration.awaited(stanza.Str(node, "id"))
	if l == nil {
		return // The answer to the QRs.
	}
	if stanza.Str(node, "type") != "result" {
		l.result <- fmt.Errorf("%w: %w: %s", ErrConflict, errDeclined, stanza.Str(stanza.Child(node, "error"), "text"))
		return
	}
	identity := stanza.Child(stanza.Child(node, "pair-device-sign"), "device-identity")
	if err := l.certificate.Confirm(stanza.Bytes(identity)); err != nil {
		c.send(iqError(node, 401, "not-authorized"))
		l.result <- fmt.Errorf("%w: %w", ErrConflict, err)
		return
	}
	account := l.device.Account
	var sh shipment
	err := account.Link(&sh.batch, l.device)
	if err == nil {
		s.announceDevice(&sh, account, l.device, "add")
		err = s.commit(&sh, nil)
	}
	if err != nil {
		l.result <- fmt.Errorf("link companion: %w", err)
		c.finish("not linked", 0)
		return
	}
	l.result <- nil
	c.finish("paired", restartGrace, streamError(515))
}
