package wasim

import (
	"maps"
	"time"

	"wafleet/infra/wasim/internal/ledger"
	"wafleet/infra/wasim/internal/mailbox"
	"wafleet/infra/wasim/internal/roster"
	"wafleet/infra/wasim/internal/stanza"
)

// handle acts on a stanza of a client. It runs in the reader of the connection: the next stanza waits for it.
func (s *Server) handle(c *conn, node stanza.Node) {
	if node.Tag == "iq" {
		s.handleIQ(c, node)
		return
	}
	if c.device == nil && node.Tag != "presence" && node.Tag != "ib" { // Baileys sends these while it pairs.
		if node.Tag != "ack" { // Of a notification about the pairing.
			s.unhandled(c, node.Tag+" before login")
		}
		return
	}
	switch node.Tag {
	case "message":
		s.handleMessage(c, node)
	case "receipt":
		s.handleReceipt(c, node)
	case "ack":
		s.handleAck(c, node)
	case "call":
		c.send(ack(node, nil))
	case "presence", "chatstate", "ib", "xmlstreamend":
		// WhatsApp answers nothing, and passes the first two on only to those who asked for it.
	default:
		s.unhandled(c, node.Tag)
	}
}

// unhandled counts what the simulator does not know. It is shown in the statistics and never swallowed.
func (s *Server) unhandled(c *conn, what string) {
	s.stats.unknown(what)
	s.log.WarnContext(s.ctx, "stanza is not handled", "what", what, "connection", c.id)
}

// ack acknowledges a stanza of a client.
func ack(node stanza.Node, more stanza.Attrs) stanza.Node {
	attrs := stanza.Attrs{
		"class": node.Tag, "id": stanza.Str(node, "id"), "from": node.Attrs["to"], "t": stanza.Unix(time.Now()),
	}
	if kind := stanza.Str(node, "type"); node.Tag != "message" && kind != "" {
		attrs["type"] = kind
	}
	if participant := stanza.Str(node, "participant"); participant != "" {
		attrs["participant"] = node.Attrs["participant"]
	}
	maps.Copy(attrs, more)
	return stanza.New("ack", attrs)
}

// shipment is a set of changes and the mail that they cause. The mail is delivered once the changes are kept.
type shipment struct {
	batch ledger.Batch
	mail  []parcel
}

type parcel struct {
	box  *mailbox.Box
	item *mailbox.Item
}

// put adds a stanza for a device.
func (sh *shipment) put(box *mailbox.Box, node stanza.Node) error {
	key := mailbox.Key{Class: node.Tag, ID: stanza.Str(node, "id"), From: stanza.Str(node, "from")}
	if node.Tag != "message" {
		key.Type = stanza.Str(node, "type")
	}
	item, err := box.Put(&sh.batch, key, node)
	if err != nil {
		return err
	}
	sh.mail = append(sh.mail, parcel{box, item})
	return nil
}

// commit waits until the changes are kept, calls acknowledge, and delivers the mail: in this order, because a client
// must not hear of a message's delivery before the message is acknowledged.
func (s *Server) commit(sh *shipment, acknowledge func()) error {
	return s.dispatch(sh, s.ledger.Append(sh.batch), acknowledge)
}

// dispatch is commit for changes that have been appended already.
func (s *Server) dispatch(sh *shipment, pending ledger.Pending, acknowledge func()) error {
	if err := pending.Wait(); err != nil {
		s.log.ErrorContext(s.ctx, "state is not kept", "error", err)
		return err
	}
	if acknowledge != nil {
		acknowledge()
	}
	for _, p := range sh.mail {
		p.box.Release(p.item)
	}
	return nil
}

// origin is a device that sends something, and how it is addressed in the chat.
type origin struct {
	account *roster.Account
	device  uint16 // 0 is the phone
	peer    string // its name in the sessions of phones
	lid     bool   // the chat uses hidden user ids
}

func originOf(device *roster.Device, lid bool) origin {
	return origin{account: device.Account, device: device.ID, peer: device.Peer(), lid: lid}
}

func originOfPhone(account *roster.Account, lid bool) origin {
	return origin{account: account, peer: roster.PeerName(account.Number, 0), lid: lid}
}

// attrs tell who sends a stanza: the device by the address of the chat, the account also by the other one.
func (o origin) attrs() stanza.Attrs {
	pn, lid := o.account.JID(), o.account.LIDJID()
	if o.lid {
		from := lid
		from.Device = o.device
		return stanza.Attrs{"from": from, "sender_pn": pn, "addressing_mode": "lid"}
	}
	from := pn
	from.Device = o.device
	return stanza.Attrs{"from": from, "sender_lid": lid}
}

// handleAck takes an acknowledged stanza out of the device's mailbox.
func (s *Server) handleAck(c *conn, node stanza.Node) {
	key := mailbox.Key{Class: stanza.Str(node, "class"), ID: stanza.Str(node, "id"), From: stanza.Str(node, "to")}
	if key.Class != "message" {
		key.Type = stanza.Str(node, "type")
	}
	var batch ledger.Batch
	c.device.Box.Ack(&batch, key)
	s.ledger.Append(batch) // Nobody waits for it; at worst the stanza is sent once more.
}
