package wasim

import (
	"time"

	"wafleet/infra/wasim/internal/mailbox"
	"wafleet/infra/wasim/internal/roster"
	"wafleet/infra/wasim/internal/stanza"
)

// Types of receipts that the server treats in a way of their own.
const (
	receiptRetry  = "retry"
	receiptSender = "sender"
)

// takes lists the receipts which say that a device has a message now, so that it need not be kept for it.
var takes = map[string]bool{"": true, "inactive": true, receiptSender: true, "peer_msg": true, "hist_sync": true}

// private lists the receipts which are for the server only, or for the own account.
var private = map[string]bool{
	receiptSender: true, "peer_msg": true, "hist_sync": true, "read-self": true, "played-self": true,
}

// handleReceipt takes messages out of the device's mailbox and passes the receipt on to the sender of the messages.
func (s *Server) handleReceipt(c *conn, node stanza.Node) {
	var sh shipment
	to, kind := stanza.JID(node, "to"), stanza.Str(node, "type")
	if takes[kind] {
		for _, id := range receiptIDs(node) {
			c.device.Box.Ack(&sh.batch, mailbox.Key{Class: "message", ID: id, From: to.String()})
		}
	}
	account, err := s.roster.ByJID(to)
	if err == nil && !private[kind] {
		s.relayReceipt(&sh, originOf(c.device, to.Server == "lid"), account, to.Device, node)
	}
	_ = s.commit(&sh, func() { c.send(ack(node, nil)) })
}

// receiptIDs are the messages that a receipt is about.
func receiptIDs(node stanza.Node) []string {
	ids := []string{stanza.Str(node, "id")}
	for _, item := range stanza.Children(stanza.Child(node, "list")) {
		ids = append(ids, stanza.Str(item, "id"))
	}
	return ids
}

// relayReceipt hands a receipt to those whom it concerns: a request for a retry to exactly the device that sent the
// message, everything else to all devices of the account.
func (s *Server) relayReceipt(sh *shipment, from origin, to *roster.Account, device uint16, node stanza.Node) {
	attrs := from.attrs()
	attrs["id"] = stanza.Str(node, "id")
	attrs["t"] = stanza.Unix(time.Now())
	for _, key := range []string{"type", "recipient", "category"} {
		if value, ok := node.Attrs[key]; ok {
			attrs[key] = value
		}
	}
	if attrs["type"] == receiptRetry {
		if box, err := mailboxOf(to, device); err == nil {
			relayed := stanza.New("receipt", attrs, node.GetChildren()...)
			s.note(relayed, from, device)
			s.putReceipt(sh, box, relayed)
		}
		return
	}
	relayed := stanza.New("receipt", attrs, node.GetChildren()...)
	if to != from.account {
		s.putReceipt(sh, to.Box, relayed)
	}
	for _, companion := range to.Devices() {
		if to != from.account || companion.ID != from.device {
			s.putReceipt(sh, companion.Box, relayed)
		}
	}
}

func (s *Server) putReceipt(sh *shipment, box *mailbox.Box, node stanza.Node) {
	if err := sh.put(box, node); err != nil {
		s.log.ErrorContext(s.ctx, "receipt lost", "error", err)
	}
}
