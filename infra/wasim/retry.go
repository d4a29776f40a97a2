package wasim

import (
	"time"

	"go.mau.fi/libsignal/ecc"
	"go.mau.fi/libsignal/keys/prekey"
	"go.mau.fi/whatsmeow/types"

	"wafleet/infra/wasim/internal/roster"
	"wafleet/infra/wasim/internal/stanza"
)

// askAgain lets a phone ask the sender for a message that it cannot decrypt, with fresh keys for a new session. WhatsApp's
// apps leave the keys out of the first request; the simulator's always send them, so that one request is enough.
func (s *Server) askAgain(account *roster.Account, sh *shipment, sender *roster.Account, node stanza.Node) {
	id, from := stanza.Str(node, "id"), stanza.JID(node, "from")
	count, again := account.Phone.Retry("ask/" + from.String() + "/" + id)
	if !again {
		return
	}
	keys := phoneBundle(sh, account)
	receipt := stanza.New("receipt", stanza.Attrs{"id": id, "type": receiptRetry},
		stanza.New("retry", stanza.Attrs{"count": count, "id": id, "t": stanza.Str(node, "t"), "v": 1}),
		stanza.Leaf("registration", keys.Registration),
		stanza.New("keys", nil,
			stanza.Leaf("type", []byte{ecc.DjbType}),
			stanza.Leaf("identity", keys.Identity),
			stanza.New("key", nil, stanza.Leaf("id", keys.oneTime.ID[:]), stanza.Leaf("value", keys.oneTime.Key[:])),
			signedKeyNode(keys.Published)))
	if recipient, ok := node.Attrs["recipient"]; ok {
		receipt.Attrs["recipient"] = recipient
	}
	s.relayReceipt(sh, originOfPhone(account, from.Server == types.HiddenUserServer), sender, from.Device, receipt)
}

// answerRetry lets a phone encrypt a message again for a device that could not decrypt it.
func (s *Server) answerRetry(account *roster.Account, sh *shipment, asking *roster.Account, device types.JID, node stanza.Node) {
	asked := stanza.Child(node, "retry")
	id := stanza.Str(asked, "id")
	sent, known := account.Phone.Sent(id)
	if _, again := account.Phone.Retry("answer/" + device.String() + "/" + id); !known || !again {
		return
	}
	peer := stanza.Str(node, peerAttr)
	if bundle := retryBundle(node); bundle != nil {
		if err := account.Phone.Renew(s.ctx, &sh.batch, peer, bundle); err != nil {
			s.log.WarnContext(s.ctx, "retry receipt has unusable keys", "error", err)
			return
		}
	} else if stanza.Int(asked, "count") > 1 {
		account.Phone.Forget(&sh.batch, peer) // The session is worth nothing; make a new one.
	}
	recipient, err := s.roster.Account(sent.To)
	if err != nil {
		return
	}
	letter, err := readSent(sent, recipient)
	if err != nil {
		s.log.ErrorContext(s.ctx, "retry not answered", "error", err)
		return
	}
	letter.retry = stanza.Int(asked, "count")
	target := addressee{account: asking, device: device.Device, peer: peer}
	if err := s.seal(account, sh, letter, target, time.Now()); err != nil {
		s.log.WarnContext(s.ctx, "retry not answered", "error", err)
		return
	}
	s.stats.retries.Add(1)
}

// retryBundle reads the keys that a device sends with its request; nil if it sends none.
func retryBundle(node stanza.Node) *prekey.Bundle {
	keys := stanza.Child(node, "keys")
	signed, oneTime := stanza.Child(keys, "skey"), stanza.Child(keys, "key")
	bundle := keyBundle{Published: roster.Published{
		Registration: stanza.Bytes(stanza.Child(node, "registration")),
		Identity:     stanza.Bytes(stanza.Child(keys, "identity")),
		SignedID:     stanza.Bytes(stanza.Child(signed, "id")),
		SignedKey:    stanza.Bytes(stanza.Child(signed, "value")),
		Signature:    stanza.Bytes(stanza.Child(signed, "signature")),
	}}
	if !wellFormed(bundle.Published) {
		return nil
	}
	id, key := stanza.Bytes(stanza.Child(oneTime, "id")), stanza.Bytes(stanza.Child(oneTime, "value"))
	if len(id) == 3 && len(key) == 32 {
		bundle.oneTime = &roster.OneTime{ID: [3]byte(id), Key: [32]byte(key)}
	}
	return bundle.bundle()
}
