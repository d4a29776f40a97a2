package wasim

import (
	"errors"
	"fmt"
	"strconv"
	"time"

	"go.mau.fi/whatsmeow/types"

	"wafleet/infra/wasim/internal/fault"
	"wafleet/infra/wasim/internal/noise"
	"wafleet/infra/wasim/internal/stanza"
	"wafleet/infra/wasim/internal/wire"
)

// errRefused ends a connection that was not let in; the client has been told.
var errRefused = errors.New("refused")

// begin shakes hands and either logs the client in or offers it to be paired.
func (c *conn) begin() error {
	options := c.server.options
	if err := c.socket.SetReadDeadline(c.since.Add(options.HandshakeTimeout)); err != nil {
		return err
	}
	c.socket.Limit(handshakeFrame)
	if _, err := c.socket.ReadPrologue(); err != nil {
		return err
	}
	peer, err := c.server.identity.Accept(c.socket, wire.Prologue)
	if err != nil {
		return fmt.Errorf("handshake: %w", err)
	}
	c.in, c.out = peer.In, peer.Out
	c.mu.Lock()
	c.ready = true
	c.mu.Unlock()
	c.socket.Limit(options.MaxFrame)
	if peer.Payload.GetDevicePairingData() != nil {
		err = c.server.register(c, peer)
	} else {
		err = c.server.login(c, peer)
	}
	if errors.Is(err, errRefused) {
		return c.drain()
	}
	return err
}

// login lets a companion in that is linked and holds its key.
func (s *Server) login(c *conn, peer *noise.Peer) error {
	number := strconv.FormatUint(peer.Payload.GetUsername(), 10)
	id := uint16(min(peer.Payload.GetDevice(), 1<<16-1))
	account, err := s.roster.Account(number)
	if err != nil {
		return c.refuse(failure(401))
	}
	device, err := account.Device(id)
	if err != nil || device.Noise != peer.Static {
		return c.refuse(failure(401))
	}
	c.identify(device)
	if refusal, refused := s.loginFault(c.target()); refused {
		return c.refuse(refusal)
	}
	c.open()
	if previous, ok := device.Box.Attach(c).(*conn); ok {
		previous.finish("replaced", closeGrace, streamConflict())
	}
	if device.Gone() { // Unlinked in the meantime.
		return c.refuse(failure(401))
	}
	s.stats.logins.Add(1)
	s.stats.account(number).logins.Add(1)
	c.send(stanza.New("success", stanza.Attrs{
		"t": stanza.Unix(time.Now()), "lid": device.LIDJID(), "props": "27", "abprops": "4", "location": "sim",
		"creation": stanza.Unix(device.LinkedAt), "companion_enc_static": "c2ltdWxhdGVk",
	}))
	if !peer.Payload.GetPassive() {
		device.Box.Activate(c)
	}
	s.connectionFaults(c)
	return nil
}

// refuse answers a login with a failure and closes.
func (c *conn) refuse(failure stanza.Node) error {
	c.finish("login refused", closeGrace, failure)
	return errRefused
}

// failure is the answer to a login that is not let in.
func failure(reason int) stanza.Node {
	return stanza.New("failure", stanza.Attrs{"reason": reason, "location": "sim"})
}

// loginFault looks for a fault that refuses the login.
func (s *Server) loginFault(target fault.Target) (stanza.Node, bool) {
	for _, kind := range fault.OfLogin() {
		armed, hit := s.faults.Hit(kind, target)
		if !hit {
			continue
		}
		switch kind {
		case fault.TempBan402:
			node := failure(402)
			node.Attrs["code"] = 101
			node.Attrs["expire"] = max(armed.ForMs/1000, 60)
			return node, true
		case fault.Locked403:
			return failure(403), true
		case fault.Outdated405:
			return failure(405), true
		default:
			return failure(503), true
		}
	}
	return stanza.Node{}, false
}

// streamError ends a stream. Children tell more about the reason.
func streamError(code int, children ...stanza.Node) stanza.Node {
	return stanza.New("stream:error", stanza.Attrs{"code": code}, children...)
}

func streamConflict() stanza.Node {
	return streamError(409, stanza.New("conflict", stanza.Attrs{"type": "replaced"}))
}

func streamRemoved() stanza.Node {
	return streamError(401, stanza.New("conflict", stanza.Attrs{"type": "device_removed"}))
}

// goActive begins the deliveries to a client that asks for them.
func (c *conn) goActive(active bool) {
	if c.device == nil {
		return
	}
	if active {
		c.device.Box.Activate(c)
	} else {
		c.device.Box.Pause(c)
	}
}

// serverJID is the address of the server itself. Clients ignore requests from any other.
var serverJID = types.ServerJID
