package wasim

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"go.mau.fi/whatsmeow/types"

	"wafleet/infra/wasim/internal/fault"
	"wafleet/infra/wasim/internal/journal"
	"wafleet/infra/wasim/internal/roster"
	"wafleet/infra/wasim/internal/stanza"
)

// AddFault makes something go wrong and returns the fault with its id. A fault of a connection happens at once to those
// who are connected. The error is ErrInvalid for a fault that makes no sense and ErrNotFound for one of an unknown phone.
func (s *Server) AddFault(_ context.Context, added Fault) (Fault, error) {
	if added.Phone != "" {
		if _, err := s.account(added.Phone); err != nil {
			return Fault{}, err
		}
	}
	armed, err := s.faults.Arm(added, s.faultTargets(added.Kind))
	if err != nil {
		if errors.Is(err, fault.ErrInvalid) {
			err = fmt.Errorf("%w: %w", ErrInvalid, err)
		}
		return Fault{}, err
	}
	if armed.Kind == fault.DropPreKeys {
		s.eachDevice(func(device *roster.Device) {
			if _, hit := s.faults.Hit(fault.DropPreKeys, targetOf(device)); hit {
				s.dropPreKeys(device)
			}
		})
		return armed, nil
	}
	s.eachConn(s.connectionFaults)
	return armed, nil
}

// Faults are those in force, in the order in which they were added.
func (s *Server) Faults() []Fault { return s.faults.List() }

// ClearFaults ends all faults. Connections that had become deaf hear again.
func (s *Server) ClearFaults() {
	s.faults.Clear()
	s.eachConn((*conn).hearAgain)
}

// deafen stops a connection from answering, for a time or, if that is zero, for good.
func (s *Server) deafen(c *conn, duration time.Duration) {
	c.deaf.Store(true)
	if duration == 0 {
		return
	}
	s.tasks.start(func() {
		c.pause(duration)
		c.hearAgain()
	})
}

func (c *conn) hearAgain() {
	if c.deaf.CompareAndSwap(true, false) {
		c.Wake()
	}
}

// faultTargets are those whom a fault could hit right now.
func (s *Server) faultTargets(kind FaultKind) []fault.Target {
	var targets []fault.Target
	s.eachDevice(func(device *roster.Device) {
		if !kind.NeedsConnection() || device.Box.Attached() != nil {
			targets = append(targets, targetOf(device))
		}
	})
	return targets
}

func (s *Server) eachDevice(visit func(*roster.Device)) {
	for _, account := range s.roster.Accounts() {
		for _, device := range account.Devices() {
			visit(device)
		}
	}
}

func targetOf(device *roster.Device) fault.Target {
	return fault.Target{Phone: device.Account.Number, Device: device.ID}
}

// connectionFaults carries out the faults that are meant for a connection.
func (s *Server) connectionFaults(c *conn) {
	device := c.loggedIn()
	if device == nil {
		return
	}
	for _, kind := range fault.OfConnection() {
		if armed, hit := s.faults.Hit(kind, targetOf(device)); hit {
			s.log.InfoContext(s.ctx, "fault", "kind", string(kind), "connection", c.id)
			s.carryOut(armed, c, device)
		}
	}
}

func (s *Server) carryOut(armed Fault, c *conn, device *roster.Device) {
	switch armed.Kind { //nolint:exhaustive // The others do not hit a connection.
	case fault.Drop:
		c.reset()
	case fault.Deaf:
		s.deafen(c, time.Duration(armed.ForMs)*time.Millisecond)
	case fault.Stream503:
		c.finish("fault", closeGrace, streamError(503))
	case fault.Restart515:
		c.finish("fault", restartGrace, streamError(515))
	case fault.Replaced:
		c.finish("fault", closeGrace, streamConflict())
	case fault.LoggedOut401:
		if err := s.unlink(s.ctx, device.Account, device.ID); err != nil {
			s.log.WarnContext(s.ctx, "companion not removed", "error", err)
		}
	case fault.Redeliver:
		device.Box.Redeliver()
	case fault.Poison:
		s.poison(c, device)
	case fault.DropPreKeys:
		s.dropPreKeys(device)
	}
}

// poison sends what a client cannot parse: a frame that is no stanza, and a message from nobody whose ciphertext is
// noise. Neither is kept, so that a client which gets over them is done with them.
func (s *Server) poison(c *conn, device *roster.Device) {
	garbage := make([]byte, 64)
	_, _ = rand.Read(garbage)
	garbage[0], garbage[1] = 0, 0xFF // Not compressed, and not a list.
	c.enqueue(outgoing{frame: garbage, row: &journal.Row{
		Connection: c.id, Device: device.Name(), Direction: journal.Out, Tag: "poison",
	}})
	noise := make([]byte, 96)
	_, _ = rand.Read(noise)
	noise[0] = 0x33 // The version of the Signal protocol.
	c.send(stanza.New("message",
		stanza.Attrs{
			"from": types.NewJID("10000000", types.DefaultUserServer), "id": newMessageID(), "type": "text",
			"t": stanza.Unix(time.Now()), "notify": "poison",
		},
		stanza.Node{Tag: "enc", Attrs: stanza.Attrs{"v": "2", "type": "msg"}, Content: noise}))
}
