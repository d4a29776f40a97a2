package wasim

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"go.mau.fi/libsignal/keys/prekey"
	"go.mau.fi/whatsmeow/proto/waE2E"
	"google.golang.org/protobuf/proto"

	"wafleet/infra/wasim/internal/content"
	"wafleet/infra/wasim/internal/ledger"
	"wafleet/infra/wasim/internal/media"
	"wafleet/infra/wasim/internal/phone"
	"wafleet/infra/wasim/internal/roster"
	"wafleet/infra/wasim/internal/stanza"
)

// letter is a message of a phone, ready to be encrypted for one device after the other.
type letter struct {
	id        string
	recipient *roster.Account
	said      content.Content
	body      []byte // for the recipient's devices
	copied    []byte // for the sender's own companions
	lid       bool
	retry     int // the count of the request that this answers
}

// addressee is a device that a phone writes to.
type addressee struct {
	account *roster.Account
	device  uint16
	peer    string
}

// SendMessage lets a phone write a message, encrypted to every device of the other account and to the companions of its
// own. It returns the id of the message once the server has taken it. The error is ErrNotFound if there is no such
// phone and ErrInvalid for a message that cannot be written.
func (s *Server) SendMessage(ctx context.Context, from string, message Outgoing) (id string, err error) {
	account, err := s.account(from)
	if err != nil {
		return "", err
	}
	recipient, err := s.account(strings.TrimPrefix(message.To, "+"))
	if err != nil {
		return "", fmt.Errorf("recipient: %w", err)
	}
	written, err := s.compose(account, recipient, message)
	if err != nil {
		return "", err
	}
	var sh shipment
	pending, err := s.post(ctx, account, &sh, written)
	if err != nil {
		return "", err
	}
	if err := s.dispatch(&sh, pending, nil); err != nil {
		return "", err
	}
	s.countMessage(account, recipient)
	return written.id, nil
}

// post encrypts a letter for all its devices and appends everything that follows to the ledger.
func (s *Server) post(ctx context.Context, account *roster.Account, sh *shipment, l letter) (ledger.Pending, error) {
	account.Work.Lock()
	defer account.Work.Unlock()
	now := time.Now()
	for _, target := range addressees(account, l.recipient) {
		if err := ctx.Err(); err != nil {
			return ledger.Pending{}, fmt.Errorf("write message: %w", err)
		}
		if err := s.seal(account, sh, l, target, now); err != nil {
			return ledger.Pending{}, err
		}
	}
	sent := phone.Sent{ID: l.id, To: l.recipient.Number, Body: l.body, LID: l.lid}
	if err := account.Phone.Remember(&sh.batch, sent); err != nil {
		return ledger.Pending{}, fmt.Errorf("write message: %w", err)
	}
	account.Meet(&sh.batch, l.recipient)
	return s.ledger.Append(sh.batch), nil
}

// addressees are the devices that a message of a phone goes to.
func addressees(from, to *roster.Account) []addressee {
	var all []addressee
	if to != from {
		all = append(all, addressee{account: to, peer: roster.PeerName(to.Number, 0)})
		for _, device := range to.Devices() {
			all = append(all, addressee{account: to, device: device.ID, peer: device.Peer()})
		}
	}
	for _, device := range from.Devices() {
		all = append(all, addressee{account: from, device: device.ID, peer: device.Peer()})
	}
	return all
}

// seal encrypts a letter for one device and puts it into its mailbox. The phone's work lock is held.
func (s *Server) seal(account *roster.Account, sh *shipment, l letter, to addressee, now time.Time) error {
	box, err := mailboxOf(to.account, to.device)
	if err != nil {
		return nil //nolint:nilerr // The device was unlinked in the meantime.
	}
	plaintext := l.body
	if to.account == account {
		plaintext = l.copied
	}
	sealed, err := account.Phone.Encrypt(s.ctx, &sh.batch, to.peer, plaintext, func() (*prekey.Bundle, error) {
		keys, err := s.takeBundle(sh, to.account, to.device)
		if err != nil {
			return nil, err
		}
		return keys.bundle(), nil
	})
	if err != nil {
		return fmt.Errorf("write to device %d: %w", to.device, err)
	}
	from := originOfPhone(account, l.lid)
	attrs := from.attrs()
	attrs["id"], attrs["t"], attrs["notify"] = l.id, stanza.Unix(now), account.Name
	attrs["type"] = l.said.Type.StanzaType()
	enc := stanza.Node{Tag: "enc", Attrs: stanza.Attrs{"v": "2", "type": sealed.Kind}, Content: sealed.Body}
	if kind := l.said.Type.MediaType(); kind != "" {
		enc.Attrs["mediatype"] = kind
	}
	if l.retry > 0 {
		enc.Attrs["count"] = l.retry
	}
	if edit := l.said.EditAttribute(); edit != "" {
		attrs["edit"] = edit
		enc.Attrs["decrypt-fail"] = "hide"
	}
	if to.account == account {
		addRecipient(attrs, l.recipient, l.lid)
	}
	node := stanza.New("message", attrs, enc)
	if l.said.Type == content.Poll {
		node.Content = []stanza.Node{enc, stanza.New("meta", stanza.Attrs{"polltype": "creation"})}
	}
	s.note(node, from, to.device)
	return sh.put(box, node)
}

// compose writes down what the phone wants to say.
func (s *Server) compose(account, recipient *roster.Account, message Outgoing) (letter, error) {
	if message.Type == "" {
		message.Type = content.Text
	}
	in := content.Context{Chat: recipient.JID(), TargetSender: recipient.JID()}
	if message.LID {
		in.Chat, in.TargetSender = recipient.LIDJID(), recipient.LIDJID()
	}
	if _, own := account.Phone.Sent(message.Target); own {
		in.TargetSender, in.TargetFromMe = account.JID(), true
	}
	if message.Type.HasMedia() {
		file, err := s.uploadMedia(account, message)
		if err != nil {
			return letter{}, err
		}
		in.Media = file
	}
	built, err := content.Compose(message.Content, in)
	if err != nil {
		if errors.Is(err, content.ErrInvalid) {
			err = fmt.Errorf("%w: %w", ErrInvalid, err)
		}
		return letter{}, err
	}
	body, err := proto.Marshal(built)
	if err != nil {
		return letter{}, fmt.Errorf("encode message: %w", err)
	}
	written := letter{
		id: cmp.Or(message.ID, newMessageID()), recipient: recipient, said: message.Content, body: body, lid: message.LID,
	}
	written.copied, err = copyFor(written, built)
	return written, err
}

// copyFor wraps a message for the companions of its sender.
func copyFor(l letter, built *waE2E.Message) ([]byte, error) {
	chat := l.recipient.JID()
	if l.lid {
		chat = l.recipient.LIDJID()
	}
	copied, err := proto.Marshal(&waE2E.Message{
		DeviceSentMessage: &waE2E.DeviceSentMessage{
			DestinationJID: new(chat.String()), Message: built,
		},
		MessageContextInfo: built.GetMessageContextInfo(),
	})
	if err != nil {
		return nil, fmt.Errorf("encode copy of message: %w", err)
	}
	return copied, nil
}

// readSent makes a letter out of a message that was sent before.
func readSent(sent phone.Sent, recipient *roster.Account) (letter, error) {
	var built waE2E.Message
	if err := proto.Unmarshal(sent.Body, &built); err != nil {
		return letter{}, fmt.Errorf("read sent message: %w", err)
	}
	said, _ := content.Read(&built)
	again := letter{id: sent.ID, recipient: recipient, said: said, body: sent.Body, lid: sent.LID}
	copied, err := copyFor(again, &built)
	again.copied = copied
	return again, err
}

// uploadMedia encrypts a file and puts it where clients fetch it.
func (s *Server) uploadMedia(account *roster.Account, message Outgoing) (*content.Media, error) {
	if len(message.Media) == 0 {
		return nil, fmt.Errorf("%w: a %s needs a file", ErrInvalid, message.Type)
	}
	sealed, err := media.Seal(message.Media, message.Type)
	if err != nil {
		return nil, fmt.Errorf("encrypt file: %w", err)
	}
	path, err := s.media.Put(account.Number, sealed.File)
	if err != nil {
		return nil, fmt.Errorf("upload file: %w", err)
	}
	return &content.Media{
		URL: "https://" + media.Host + path, DirectPath: path, Key: sealed.Key,
		FileSHA256: sealed.FileSHA256, FileEncSHA256: sealed.FileEncSHA256,
		Length: uint64(len(message.Media)), Timestamp: time.Now(),
		MimeTypeGuess: http.DetectContentType(message.Media), DocumentNameFallback: "file",
	}, nil
}

// newMessageID is an id as phones make them.
func newMessageID() string {
	random := make([]byte, 15)
	_, _ = rand.Read(random)
	return "3A" + strings.ToUpper(hex.EncodeToString(random))
}
