package wasim

import (
	"encoding/binary"
	"fmt"
	"time"

	"go.mau.fi/libsignal/ecc"
	"go.mau.fi/libsignal/keys/identity"
	"go.mau.fi/libsignal/keys/prekey"
	"go.mau.fi/libsignal/util/optional"

	"wafleet/infra/wasim/internal/roster"
	"wafleet/infra/wasim/internal/stanza"
)

// handleEncrypt answers requests about prekeys.
func (s *Server) handleEncrypt(c *conn, node, content stanza.Node) {
	switch {
	case content.Tag == "count":
		c.send(iqResult(node, stanza.New("count", stanza.Attrs{"value": c.device.Keys.Left()})))
	case content.Tag == "key":
		s.givePreKeys(c, node, content)
	case content.Tag == "digest":
		c.send(iqResult(node, digest(c.device.Keys)))
	case content.Tag == "rotate":
		s.rotateSignedKey(c, node, stanza.Child(content, "skey"))
	case stanza.Has(node, "registration"):
		s.takePreKeys(c, node)
	default:
		s.unhandled(c, "iq encrypt "+content.Tag)
		c.send(iqError(node, 400, "bad-request"))
	}
}

// takePreKeys keeps the keys that a client uploads.
func (s *Server) takePreKeys(c *conn, node stanza.Node) {
	signed := stanza.Child(node, "skey")
	published := roster.Published{
		Registration: stanza.Bytes(stanza.Child(node, "registration")),
		Identity:     stanza.Bytes(stanza.Child(node, "identity")),
		SignedID:     stanza.Bytes(stanza.Child(signed, "id")),
		SignedKey:    stanza.Bytes(stanza.Child(signed, "value")),
		Signature:    stanza.Bytes(stanza.Child(signed, "signature")),
	}
	if !wellFormed(published) || string(published.Identity) != string(c.device.Identity[:]) {
		c.send(iqError(node, 406, "not-acceptable"))
		return
	}
	list := stanza.Children(stanza.Child(node, "list"))
	uploaded := make([]roster.OneTime, 0, len(list))
	for _, entry := range list {
		id, key := stanza.Bytes(stanza.Child(entry, "id")), stanza.Bytes(stanza.Child(entry, "value"))
		if len(id) != 3 || len(key) != 32 {
			c.send(iqError(node, 406, "not-acceptable"))
			return
		}
		uploaded = append(uploaded, roster.OneTime{ID: [3]byte(id), Key: [32]byte(key)})
	}
	var sh shipment
	c.device.Keys.Upload(&sh.batch, published, uploaded)
	s.keepDevice(c, &sh, node)
}

// rotateSignedKey replaces the signed prekey.
func (s *Server) rotateSignedKey(c *conn, node, signed stanza.Node) {
	published := c.device.Keys.Published()
	published.SignedID = stanza.Bytes(stanza.Child(signed, "id"))
	published.SignedKey = stanza.Bytes(stanza.Child(signed, "value"))
	published.Signature = stanza.Bytes(stanza.Child(signed, "signature"))
	if !wellFormed(published) {
		c.send(iqError(node, 406, "not-acceptable"))
		return
	}
	c.device.Keys.Rotate(published.SignedID, published.SignedKey, published.Signature)
	s.keepDevice(c, &shipment{}, node)
}

func wellFormed(p roster.Published) bool {
	return len(p.Registration) == 4 && len(p.Identity) == 32 && len(p.SignedID) == 3 && len(p.SignedKey) == 32 &&
		len(p.Signature) == 64
}

// keepDevice writes the device with its new keys and answers.
func (s *Server) keepDevice(c *conn, sh *shipment, node stanza.Node) {
	if err := c.device.Save(&sh.batch); err != nil {
		c.send(iqError(node, 500, "internal-server-error"))
		return
	}
	if err := s.commit(sh, nil); err != nil {
		c.send(iqError(node, 500, "internal-server-error"))
		return
	}
	c.send(iqResult(node))
}

// givePreKeys hands out the keys of the devices that a client wants to write to.
func (s *Server) givePreKeys(c *conn, node, content stanza.Node) {
	var sh shipment
	var users []stanza.Node
	for _, asked := range content.GetChildren() {
		jid := stanza.JID(asked, "jid")
		user := stanza.New("user", stanza.Attrs{"jid": jid, "t": stanza.Unix(time.Now())})
		account, err := s.roster.ByJID(jid)
		if err == nil {
			var keys keyBundle
			if keys, err = s.takeBundle(&sh, account, jid.Device); err == nil {
				user.Content = keys.nodes()
			}
		}
		if err != nil {
			user.Content = []stanza.Node{stanza.New("error", stanza.Attrs{"code": 404, "text": "item-not-found"})}
		}
		users = append(users, user)
	}
	_ = s.commit(&sh, func() { c.send(iqResult(node, stanza.New("list", nil, users...))) })
}

// keyBundle is what one needs to begin a session with a device.
type keyBundle struct {
	roster.Published

	oneTime *roster.OneTime // nil if there was none left
}

// takeBundle takes a device's keys, one of which is used up by it; device 0 is the phone. The keys must not be used
// before the shipment is kept.
func (s *Server) takeBundle(sh *shipment, account *roster.Account, device uint16) (keyBundle, error) {
	if device == 0 {
		return phoneBundle(sh, account), nil
	}
	found, err := account.Device(device)
	if err != nil {
		return keyBundle{}, err
	}
	bundle := keyBundle{Published: found.Keys.Published()}
	taken, pending := found.Keys.Take(s.ledger)
	if taken.OK {
		bundle.oneTime = &taken.OneTime
	}
	if taken.Low {
		s.tell(sh, found, lowPreKeys(taken.Left))
	}
	if err := pending.Wait(); err != nil {
		return keyBundle{}, err
	}
	return bundle, nil
}

func phoneBundle(sh *shipment, account *roster.Account) keyBundle {
	phone := account.Phone
	signed, fresh := phone.SignedPreKey(), phone.TakePreKey(&sh.batch)
	return keyBundle{
		Published: roster.Published{
			Registration: phone.Registration(), Identity: phone.Identity().Pub[:],
			SignedID: keyID(signed.KeyID), SignedKey: signed.Pub[:], Signature: signed.Signature[:],
		},
		oneTime: &roster.OneTime{ID: [3]byte(keyID(fresh.KeyID)), Key: *fresh.Pub},
	}
}

// lowPreKeys asks a device to upload prekeys.
func lowPreKeys(left int) stanza.Node {
	now := time.Now()
	return stanza.New("notification",
		stanza.Attrs{
			"from": serverJID, "type": "encrypt", "id": fmt.Sprintf("keys.%d", now.UnixNano()), "t": stanza.Unix(now),
		},
		stanza.New("count", stanza.Attrs{"value": left}))
}

// nodes is the bundle as the answer to a request carries it.
func (b keyBundle) nodes() []stanza.Node {
	nodes := []stanza.Node{
		stanza.Leaf("registration", b.Registration),
		stanza.Leaf("type", []byte{ecc.DjbType}),
		stanza.Leaf("identity", b.Identity),
		signedKeyNode(b.Published),
	}
	if b.oneTime != nil {
		nodes = append(nodes, stanza.New("key", nil,
			stanza.Leaf("id", b.oneTime.ID[:]), stanza.Leaf("value", b.oneTime.Key[:])))
	}
	return nodes
}

func signedKeyNode(p roster.Published) stanza.Node {
	return stanza.New("skey", nil,
		stanza.Leaf("id", p.SignedID), stanza.Leaf("value", p.SignedKey), stanza.Leaf("signature", p.Signature))
}

// digest lets a client compare what the server has with what it should have.
func digest(keys *roster.PreKeys) stanza.Node {
	published := keys.Published()
	var ids []stanza.Node
	for _, id := range keys.IDs() {
		ids = append(ids, stanza.Leaf("id", id[:]))
	}
	return stanza.New("digest", nil,
		stanza.Leaf("registration", published.Registration),
		stanza.Leaf("type", []byte{ecc.DjbType}),
		stanza.Leaf("identity", published.Identity),
		signedKeyNode(published),
		stanza.New("list", nil, ids...))
}

// bundle is the bundle as the Signal library wants it.
func (b keyBundle) bundle() *prekey.Bundle {
	signed := ecc.NewDjbECPublicKey([32]byte(b.SignedKey))
	own := identity.NewKey(ecc.NewDjbECPublicKey([32]byte(b.Identity)))
	registration := binary.BigEndian.Uint32(b.Registration)
	if b.oneTime == nil {
		return prekey.NewBundle(registration, 0, optional.NewEmptyUint32(), keyNumber(b.SignedID), nil, signed,
			[64]byte(b.Signature), own)
	}
	return prekey.NewBundle(registration, 0, optional.NewOptionalUint32(keyNumber(b.oneTime.ID[:])),
		keyNumber(b.SignedID), ecc.NewDjbECPublicKey(b.oneTime.Key), signed, [64]byte(b.Signature), own)
}

// keyID and keyNumber convert the number of a prekey to its three bytes and back.
func keyID(number uint32) []byte { return binary.BigEndian.AppendUint32(nil, number)[1:] }

func keyNumber(id []byte) uint32 { return uint32(id[0])<<16 | uint32(id[1])<<8 | uint32(id[2]) }
