package wasim

import (
	"strings"
	"time"

	"go.mau.fi/whatsmeow/types"

	"wafleet/infra/wasim/internal/roster"
	"wafleet/infra/wasim/internal/stanza"
)

// handleUsync answers questions about accounts: which exist, their devices, their hidden ids.
func (s *Server) handleUsync(c *conn, node, content stanza.Node) {
	query := stanza.Children(stanza.Child(content, "query"))
	var users, results []stanza.Node
	for _, asked := range stanza.Children(stanza.Child(content, "list")) {
		users = append(users, s.usyncUser(asked, query))
	}
	for _, protocol := range query {
		results = append(results, stanza.New(protocol.Tag, nil))
	}
	attrs := stanza.Attrs{"sid": stanza.Str(content, "sid"), "index": "0", "last": "true"}
	for _, key := range []string{"mode", "context"} {
		attrs[key] = stanza.Str(content, key)
	}
	c.send(iqResult(node, stanza.New("usync", attrs,
		stanza.New("result", nil, results...), stanza.New("list", nil, users...))))
}

// usyncUser answers about one account, whom the client names by an address or by a number it has in its contacts.
func (s *Server) usyncUser(asked stanza.Node, query []stanza.Node) stanza.Node {
	contact := stanza.Child(asked, "contact")
	jid := stanza.JID(asked, "jid")
	if jid.IsEmpty() {
		if lid := stanza.JID(stanza.Child(asked, "lid"), "jid"); !lid.IsEmpty() {
			jid = lid
		} else {
			jid = contactJID(stanza.Text(contact))
		}
	}
	attrs := stanza.Attrs{"jid": jid}
	account, err := s.roster.ByJID(jid)
	if err == nil && jid.Server == types.HiddenUserServer {
		attrs["pn_jid"] = account.JID()
	}
	var answers []stanza.Node
	for _, protocol := range query {
		if answer, ok := usyncAnswer(protocol.Tag, account, contact); ok {
			answers = append(answers, answer)
		}
	}
	return stanza.New("user", attrs, answers...)
}

// contactJID reads "+79001234567", with or without "@c.us" behind it.
func contactJID(contact string) types.JID {
	number, _, _ := strings.Cut(contact, "@")
	return types.NewJID(strings.TrimPrefix(number, "+"), types.DefaultUserServer)
}

// usyncAnswer answers one question about an account, which is nil if there is none.
func usyncAnswer(protocol string, account *roster.Account, contact stanza.Node) (stanza.Node, bool) {
	if protocol == "contact" {
		kind := "in"
		if account == nil {
			kind = "out"
		}
		answer := stanza.New("contact", stanza.Attrs{"type": kind})
		answer.Content = stanza.Bytes(contact)
		return answer, true
	}
	if account == nil {
		return stanza.Node{}, false
	}
	switch protocol {
	case "devices":
		return usyncDevices(account), true
	case "lid":
		return stanza.New("lid", stanza.Attrs{"val": account.LIDJID()}), true
	case "status":
		return stanza.Leaf("status", []byte("Hey there! I am simulated.")), true
	default: // No account has a picture, or is a business.
		return stanza.Node{}, false
	}
}

func usyncDevices(account *roster.Account) stanza.Node {
	list := []stanza.Node{stanza.New("device", stanza.Attrs{"id": 0})}
	for _, device := range account.Devices() {
		list = append(list, stanza.New("device", stanza.Attrs{"id": int(device.ID), "key-index": device.KeyIndex}))
	}
	return stanza.New("devices", nil,
		stanza.New("device-list", nil, list...),
		stanza.New("key-index-list", stanza.Attrs{"ts": stanza.Unix(time.Now())}))
}
