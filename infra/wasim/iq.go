package wasim

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"time"

	"go.mau.fi/whatsmeow/types"

	"wafleet/infra/wasim/internal/media"
	"wafleet/infra/wasim/internal/stanza"
)

// iqHandler answers a request. Content is its first child, empty if it has none.
type iqHandler func(s *Server, c *conn, node, content stanza.Node)

// iqHandlers are the requests that the server knows, by their namespaces. Those in beforeLogin also answer connections
// that are not paired.
var (
	beforeLogin = map[string]iqHandler{
		"md":            (*Server).handleMultiDevice,
		"w:p":           acceptIQ,
		"urn:xmpp:ping": acceptIQ,
	}
	iqHandlers = map[string]iqHandler{
		"encrypt":                   (*Server).handleEncrypt,
		"passive":                   (*Server).handlePassive,
		"usync":                     (*Server).handleUsync,
		"w:m":                       (*Server).handleMediaConn,
		"w:sync:app:state":          handleAppState,
		"abt":                       answerWith(stanza.New("props", stanza.Attrs{"protocol": "1", "hash": "sim", "refresh": "86400"})),
		"w":                         answerWith(stanza.New("props", stanza.Attrs{"protocol": "2", "hash": "sim"})),
		"blocklist":                 answerWith(stanza.New("list", stanza.Attrs{"dhash": "sim"})),
		"privacy":                   handlePrivacy,
		"w:g2":                      handleGroups,
		"w:profile:picture":         handlePicture,
		"w:biz":                     answerWith(stanza.New("business_profile", nil)),
		"w:qr":                      handleContactQR,
		"w:mex":                     answerWith(stanza.Leaf("result", []byte(`{"data":{}}`))),
		"bot":                       answerWith(stanza.New("bot", stanza.Attrs{"v": "2"})),
		"tos":                       answerWith(stanza.New("tos", nil)),
		"w:stats":                   acceptIQ,
		"status":                    acceptIQ,
		"disappearing_mode":         acceptIQ,
		"urn:xmpp:whatsapp:dirty":   acceptIQ,
		"urn:xmpp:whatsapp:push":    acceptIQ,
		"urn:xmpp:whatsapp:account": acceptIQ,
	}
)

// handleIQ answers a request of a client, and takes its answers to requests of the server.
func (s *Server) handleIQ(c *conn, node stanza.Node) {
	switch stanza.Str(node, "type") {
	case "result", "error":
		s.confirmPairing(c, node)
		return
	}
	namespace := stanza.Str(node, "xmlns")
	handler, known := beforeLogin[namespace]
	if !known && c.device != nil {
		handler, known = iqHandlers[namespace]
	}
	if !known {
		s.unhandled(c, "iq "+namespace)
		c.send(iqError(node, 501, "feature-not-implemented"))
		return
	}
	var content stanza.Node
	if children := node.GetChildren(); len(children) > 0 {
		content = children[0]
	}
	handler(s, c, node, content)
}

// iqResult answers a request.
func iqResult(node stanza.Node, children ...stanza.Node) stanza.Node {
	return stanza.New("iq", stanza.Attrs{"id": stanza.Str(node, "id"), "from": answerer(node), "type": "result"}, children...)
}

// iqError refuses a request.
func iqError(node stanza.Node, code int, text string) stanza.Node {
	return stanza.New("iq", stanza.Attrs{"id": stanza.Str(node, "id"), "from": answerer(node), "type": "error"},
		stanza.New("error", stanza.Attrs{"code": code, "text": text}))
}

// answerer is whom the client had asked.
func answerer(node stanza.Node) types.JID {
	if to := stanza.JID(node, "to"); !to.IsEmpty() {
		return to
	}
	return serverJID
}

func acceptIQ(_ *Server, c *conn, node, _ stanza.Node) { c.send(iqResult(node)) }

func answerWith(answer stanza.Node) iqHandler {
	return func(_ *Server, c *conn, node, _ stanza.Node) { c.send(iqResult(node, answer)) }
}

// handlePassive begins or stops the deliveries.
func (s *Server) handlePassive(c *conn, node, content stanza.Node) {
	c.send(iqResult(node))
	c.goActive(content.Tag == "active")
}

// handleMultiDevice handles pairing by code and the end of a companion.
func (s *Server) handleMultiDevice(c *conn, node, content stanza.Node) {
	switch content.Tag {
	case "link_code_companion_reg":
		s.handleLinkCode(c, node, content)
	case "remove-companion-device":
		if c.device == nil {
			c.send(iqError(node, 401, "not-authorized"))
			return
		}
		s.removeCompanion(c, node, stanza.JID(content, "jid"))
	default:
		s.unhandled(c, "iq md "+content.Tag)
		c.send(iqError(node, 501, "feature-not-implemented"))
	}
}

// removeCompanion unlinks a device of the client's account, mostly the client itself.
func (s *Server) removeCompanion(c *conn, node stanza.Node, jid types.JID) {
	account, err := s.roster.ByJID(jid)
	if err != nil || account != c.device.Account {
		c.send(iqError(node, 403, "forbidden"))
		return
	}
	if _, err := account.Device(jid.Device); err != nil {
		c.send(iqError(node, 404, "item-not-found"))
		return
	}
	c.send(iqResult(node))
	if err := s.unlink(s.ctx, account, jid.Device); err != nil {
		s.log.ErrorContext(s.ctx, "companion not removed", "error", err)
	}
}

// handleMediaConn tells where files are uploaded to, with a token for it.
func (s *Server) handleMediaConn(c *conn, node, _ stanza.Node) {
	c.send(iqResult(node, stanza.New("media_conn",
		stanza.Attrs{
			"auth": s.uploadToken(c.device.Account.Number), "ttl": 3600, "auth_ttl": 21600, "max_buckets": 12,
		},
		stanza.New("host", stanza.Attrs{"hostname": media.Host}))))
}

// uploadToken lets an account upload files. It needs no memory and survives a restart.
func (s *Server) uploadToken(number string) string {
	mac := hmac.New(sha256.New, s.credentials.Secret)
	mac.Write([]byte(number))
	return number + "." + hex.EncodeToString(mac.Sum(nil)[:16])
}

func (s *Server) uploadOwner(token string) (string, bool) {
	number, _, _ := strings.Cut(token, ".")
	return number, hmac.Equal([]byte(token), []byte(s.uploadToken(number)))
}

// handleAppState answers that nothing has changed: the phones share no keys for it.
func handleAppState(_ *Server, c *conn, node, content stanza.Node) {
	var collections []stanza.Node
	for _, asked := range content.GetChildren() {
		version := stanza.Str(asked, "version")
		if version == "" {
			version = "0"
		}
		collections = append(collections, stanza.New("collection",
			stanza.Attrs{"name": stanza.Str(asked, "name"), "version": version, "type": "result"}))
	}
	c.send(iqResult(node, stanza.New("sync", nil, collections...)))
}

// handlePrivacy tells that everything is open to everybody, and accepts changes without keeping them.
func handlePrivacy(_ *Server, c *conn, node, _ stanza.Node) {
	if stanza.Str(node, "type") == "set" {
		c.send(iqResult(node, node.GetChildren()...))
		return
	}
	var categories []stanza.Node
	for _, name := range []string{"last", "online", "profile", "status", "readreceipts", "groupadd", "calladd"} {
		categories = append(categories, stanza.New("category", stanza.Attrs{"name": name, "value": "all"}))
	}
	c.send(iqResult(node, stanza.New("privacy", nil, categories...)))
}

// handleGroups tells that there are none.
func handleGroups(_ *Server, c *conn, node, content stanza.Node) {
	if content.Tag == "participating" {
		c.send(iqResult(node, stanza.New("groups", nil)))
		return
	}
	c.send(iqError(node, 404, "item-not-found"))
}

func handlePicture(_ *Server, c *conn, node, _ stanza.Node) {
	if stanza.Str(node, "type") == "set" {
		c.send(iqResult(node, stanza.New("picture", stanza.Attrs{"id": stanza.Unix(time.Now())})))
		return
	}
	c.send(iqError(node, 404, "item-not-found"))
}

func handleContactQR(_ *Server, c *conn, node, content stanza.Node) {
	if stanza.Str(content, "type") == "contact" {
		c.send(iqResult(node, stanza.New("qr", stanza.Attrs{"code": "SIMULATED", "type": "contact"})))
		return
	}
	c.send(iqError(node, 404, "item-not-found"))
}
