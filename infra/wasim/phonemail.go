package wasim

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"strconv"

	"go.mau.fi/whatsmeow/proto/waE2E"
	"go.mau.fi/whatsmeow/types"
	"google.golang.org/protobuf/proto"

	"wafleet/infra/wasim/internal/content"
	"wafleet/infra/wasim/internal/ledger"
	"wafleet/infra/wasim/internal/mailbox"
	"wafleet/infra/wasim/internal/media"
	"wafleet/infra/wasim/internal/phone"
	"wafleet/infra/wasim/internal/roster"
	"wafleet/infra/wasim/internal/stanza"
)

// phoneBatch is how many stanzas a phone takes at once, with one write to the ledger.
const phoneBatch = 32

// takeMail lets a phone take what waits for it, until nothing does or it is switched off.
func (s *Server) takeMail(account *roster.Account) {
	for account.Online() && s.ctx.Err() == nil {
		items := account.Box.Front(phoneBatch)
		if len(items) == 0 {
			return
		}
		var sh shipment
		pending := s.workOn(account, &sh, items)
		if err := s.dispatch(&sh, pending, nil); err != nil {
			return
		}
	}
}

// workOn lets the phone read stanzas and appends everything that follows from it to the ledger as one.
func (s *Server) workOn(account *roster.Account, sh *shipment, items []*mailbox.Item) ledger.Pending {
	account.Work.Lock()
	defer account.Work.Unlock()
	for _, item := range items {
		account.Box.Remove(&sh.batch, item)
		node, err := stanza.Decode(item.Frame)
		if err != nil {
			s.log.ErrorContext(s.ctx, "mail is damaged", "lid", account.LID, "error", err)
			continue
		}
		switch node.Tag {
		case "message":
			s.phoneReads(account, sh, *node)
		case "receipt":
			s.phoneHears(account, sh, *node)
		}
	}
	return s.ledger.Append(sh.batch)
}

// phoneReads lets a phone decrypt a message, keep it, and answer with a receipt.
func (s *Server) phoneReads(account *roster.Account, sh *shipment, node stanza.Node) {
	from := stanza.JID(node, "from")
	sender, err := s.roster.ByJID(from)
	if err != nil {
		return
	}
	enc := stanza.Child(node, "enc")
	sealed := phone.Ciphertext{Kind: stanza.Str(enc, "type"), Body: stanza.Bytes(enc)}
	plaintext, err := account.Phone.Decrypt(s.ctx, &sh.batch, stanza.Str(node, peerAttr), sealed)
	var message waE2E.Message
	if err == nil {
		err = proto.Unmarshal(plaintext, &message)
	}
	switch {
	case errors.Is(err, phone.ErrOldCounter):
		s.keepAgain(account, sh, sender, node)
	case err != nil:
		s.stats.undecryptable.Add(1)
		s.askAgain(account, sh, sender, node)
		return
	default:
		s.keepMessage(account, sh, sender, node, &message)
	}
	if account.AutoDelivery && sender != account {
		s.relayReceipt(sh, originOfPhone(account, from.Server == types.HiddenUserServer), sender, 0,
			stanza.New("receipt", stanza.Attrs{"id": stanza.Str(node, "id")}))
	}
}

// keepMessage lists a message among those that the phone got. Messages between the devices of an account are not
// listed.
func (s *Server) keepMessage(account *roster.Account, sh *shipment, sender *roster.Account, node stanza.Node, message *waE2E.Message) {
	row := s.newRow(account, sender, node)
	if copied := message.GetDeviceSentMessage(); copied.GetMessage() != nil {
		message = copied.GetMessage()
	}
	said, file := content.Read(message)
	if said.Type == content.Protocol || stanza.Str(node, "category") == "peer" {
		return
	}
	row.Content = said
	if file != nil {
		row.MediaSHA256, row.MediaError = s.fetchMedia(file, said.Type)
	}
	s.keepRow(account, sh, row)
}

// keepAgain lists a message that came as exactly the same ciphertext before: the content is known from then.
func (s *Server) keepAgain(account *roster.Account, sh *shipment, sender *roster.Account, node stanza.Node) {
	row, ok := account.Phone.Message(sender.Number, stanza.Str(node, "id"))
	if !ok {
		s.stats.undecryptable.Add(1)
		return
	}
	row.ReceivedAt = receivedAt()
	s.keepRow(account, sh, row)
}

func (s *Server) newRow(account, sender *roster.Account, node stanza.Node) Message {
	seconds, _ := strconv.ParseInt(stanza.Str(node, "t"), 10, 64)
	row := Message{
		ID: stanza.Str(node, "id"), From: sender.Number, FromDevice: stanza.JID(node, "from").Device,
		To: account.Number, FromMe: sender == account, Timestamp: seconds * 1000, ReceivedAt: receivedAt(),
	}
	if chat, err := s.roster.ByJID(stanza.JID(node, "recipient")); err == nil && row.FromMe {
		row.To = chat.Number
	}
	return row
}

func (s *Server) keepRow(account *roster.Account, sh *shipment, row Message) {
	if err := account.Phone.Keep(&sh.batch, row); err != nil {
		s.log.ErrorContext(s.ctx, "message not kept", "lid", account.LID, "error", err)
	}
}

// fetchMedia downloads and decrypts a file as a phone would, and returns the hash of what it got.
func (s *Server) fetchMedia(file content.File, kind content.Type) (hash, failure string) {
	sealed, err := s.media.Get(file.GetDirectPath())
	if err != nil {
		return "", err.Error()
	}
	plaintext, err := media.Open(sealed, file, kind)
	if err != nil {
		return "", err.Error()
	}
	sum := sha256.Sum256(plaintext)
	return hex.EncodeToString(sum[:]), ""
}

// phoneHears lets a phone act on a receipt: answer a request for a retry, or note what became of its messages.
func (s *Server) phoneHears(account *roster.Account, sh *shipment, node stanza.Node) {
	from := stanza.JID(node, "from")
	sender, err := s.roster.ByJID(from)
	if err != nil {
		return
	}
	kind := stanza.Str(node, "type")
	if kind == receiptRetry {
		s.answerRetry(account, sh, sender, from, node)
		return
	}
	if kind == "" || kind == "inactive" {
		kind = "delivery"
	}
	s.receipts.add(account.Number, Receipt{
		IDs: receiptIDs(node), From: sender.Number, FromDevice: from.Device, Type: kind, ReceivedAt: receivedAt(),
	})
}
