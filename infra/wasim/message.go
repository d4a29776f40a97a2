package wasim

import (
	"crypto/sha256"
	"encoding/base64"
	"slices"
	"strings"
	"time"

	"go.mau.fi/whatsmeow/types"

	"wafleet/infra/wasim/internal/fault"
	"wafleet/infra/wasim/internal/mailbox"
	"wafleet/infra/wasim/internal/roster"
	"wafleet/infra/wasim/internal/stanza"
)

// Codes with which the server refuses messages.
const (
	errorNoRecipient = 404
	errorRestricted  = 463
)

// handleMessage relays a message of a companion to every device that it is encrypted for.
func (s *Server) handleMessage(c *conn, node stanza.Node) {
	to := stanza.JID(node, "to")
	recipient, err := s.roster.ByJID(to)
	if err != nil {
		if to.Server != types.DefaultUserServer && to.Server != types.HiddenUserServer {
			s.unhandled(c, "message to "+to.Server)
		}
		c.send(ack(node, stanza.Attrs{"error": errorNoRecipient}))
		return
	}
	if _, hit := s.faults.Hit(fault.Error463, c.target()); hit {
		c.send(ack(node, stanza.Attrs{"error": errorRestricted}))
		return
	}
	var sh shipment
	if !stanza.Has(node, "participants") {
		s.relayDirect(c, &sh, node, recipient, to)
		return
	}
	if c.device.See(&sh.batch, recipient.Number, stanza.Str(node, "id")) {
		s.stats.duplicates.Add(1)
		if _, relay := s.faults.Hit(fault.NoDedup, c.target()); !relay {
			s.acknowledge(c, node, nil)
			return
		}
	}
	s.fanOut(c, &sh, node, recipient, to)
}

// fanOut relays a message that carries a ciphertext for each device.
func (s *Server) fanOut(c *conn, sh *shipment, node stanza.Node, recipient *roster.Account, to types.JID) {
	from := originOf(c.device, to.Server == types.HiddenUserServer)
	reached := map[string]bool{c.device.Name(): true}
	for _, target := range stanza.Children(stanza.Child(node, "participants")) {
		jid := stanza.JID(target, "jid")
		account, err := s.roster.ByJID(jid)
		if err != nil {
			continue
		}
		box, err := mailboxOf(account, jid.Device)
		self := account == c.device.Account && jid.Device == c.device.ID
		if err != nil || self || !stanza.Has(target, "enc") {
			continue
		}
		reached[roster.DeviceName(account.Number, jid.Device)] = true
		relayed := relayed(node, from, stanza.Child(target, "enc"))
		if account == c.device.Account {
			addRecipient(relayed.Attrs, recipient, from.lid)
		}
		s.note(relayed, from, jid.Device)
		if err := sh.put(box, relayed); err != nil {
			s.log.ErrorContext(s.ctx, "message lost", "error", err)
		}
	}
	c.device.Account.Meet(&sh.batch, recipient)
	_ = s.commit(sh, func() {
		s.countMessage(c.device.Account, recipient)
		s.acknowledge(c, node, s.missed(reached, c.device.Account, recipient, to))
	})
}

// relayDirect relays a message for a single device: an answer to a retry receipt, or one between devices of an account.
func (s *Server) relayDirect(c *conn, sh *shipment, node stanza.Node, recipient *roster.Account, to types.JID) {
	from := originOf(c.device, to.Server == types.HiddenUserServer)
	if box, err := mailboxOf(recipient, to.Device); err == nil && stanza.Has(node, "enc") {
		relayed := relayed(node, from, stanza.Child(node, "enc"))
		s.note(relayed, from, to.Device)
		if err := sh.put(box, relayed); err != nil {
			s.log.ErrorContext(s.ctx, "message lost", "error", err)
		}
	}
	_ = s.commit(sh, func() { s.acknowledge(c, node, nil) })
}

// acknowledge acks a message, or fails to, as the faults want it.
func (s *Server) acknowledge(c *conn, node stanza.Node, more stanza.Attrs) {
	if _, lost := s.faults.Hit(fault.LoseAck, c.target()); lost {
		return
	}
	answer := ack(node, more)
	if delay, hit := s.faults.Hit(fault.DelayAck, c.target()); hit {
		s.tasks.start(func() {
			c.pause(delay.Delay())
			s.stats.acks.Add(1)
			c.send(answer)
		})
		return
	}
	s.stats.acks.Add(1)
	c.send(answer)
}

func (s *Server) countMessage(from, to *roster.Account) {
	s.stats.messages.Add(1)
	s.stats.account(from.Number).sent.Add(1)
	s.stats.account(to.Number).received.Add(1)
}

// passedOn are the children of a message that the server hands on besides the ciphertext.
var passedOn = []string{"device-identity", "meta", "biz", "bot", "url_number", "multicast"}

// relayed is a message as one device gets it.
func relayed(node stanza.Node, from origin, enc stanza.Node) stanza.Node {
	attrs := from.attrs()
	attrs["id"] = stanza.Str(node, "id")
	attrs["t"] = stanza.Unix(time.Now())
	attrs["notify"] = from.account.Name
	for _, key := range []string{"type", "category", "edit", "push_priority", "recipient"} {
		if value, ok := node.Attrs[key]; ok {
			attrs[key] = value
		}
	}
	children := []stanza.Node{enc}
	for _, child := range node.GetChildren() {
		if child.Tag == "device-identity" && stanza.Str(enc, "type") != "pkmsg" {
			continue
		}
		if slices.Contains(passedOn, child.Tag) {
			children = append(children, child)
		}
	}
	return stanza.New("message", attrs, children...)
}

// addRecipient tells an own device whose chat a message belongs to.
func addRecipient(attrs stanza.Attrs, chat *roster.Account, lid bool) {
	if lid {
		attrs["recipient"], attrs["peer_recipient_pn"] = chat.LIDJID(), chat.JID()
	} else {
		attrs["recipient"], attrs["peer_recipient_lid"] = chat.JID(), chat.LIDJID()
	}
}

// peerAttr tells a phone under which name it keeps the session with the sender. Only phones get it: the companion may
// be gone, and its number in use again, when a phone that was off reads its mail.
const peerAttr = "wasim_peer"

func (s *Server) note(node stanza.Node, from origin, device uint16) {
	if device == 0 {
		node.Attrs[peerAttr] = from.peer
	}
}

// mailboxOf is the mailbox of a device; 0 is the phone.
func mailboxOf(account *roster.Account, device uint16) (*mailbox.Box, error) {
	if device == 0 {
		return account.Box, nil
	}
	found, err := account.Device(device)
	if err != nil {
		return nil, err
	}
	return found.Box, nil
}

// missed tells the sender which devices there are if its message did not reach all of them: it then asks for the list
// again.
func (s *Server) missed(reached map[string]bool, sender, recipient *roster.Account, to types.JID) stanza.Attrs {
	complete := true
	var devices []types.JID
	for _, account := range []*roster.Account{recipient, sender} {
		own := account.JID()
		if to.Server == types.HiddenUserServer {
			own = account.LIDJID()
		}
		ids := []uint16{0}
		for _, device := range account.Devices() {
			ids = append(ids, device.ID)
		}
		for _, id := range ids {
			complete = complete && reached[roster.DeviceName(account.Number, id)]
			own.Device = id
			devices = append(devices, own)
		}
		if sender == recipient {
			break
		}
	}
	if complete {
		return nil
	}
	return stanza.Attrs{"phash": devicesHash(devices)}
}

// devicesHash is the hash by which clients and servers compare lists of devices.
func devicesHash(devices []types.JID) string {
	names := make([]string, len(devices))
	for i, device := range devices {
		names[i] = device.ADString()
	}
	slices.Sort(names)
	hash := sha256.Sum256([]byte(strings.Join(names, "")))
	return "2:" + base64.RawStdEncoding.EncodeToString(hash[:6])
}
