package wa

import (
	"crypto/rand"
	"fmt"
	"strings"
	"time"

	"go.mau.fi/whatsmeow/proto/waCommon"
	"go.mau.fi/whatsmeow/proto/waE2E"
	"go.mau.fi/whatsmeow/types"

	"wafleet/shared/message"
)

// secretSize is the length of the secret that votes on a poll are encrypted with.
const secretSize = 32

// encode turns content into WhatsApp's message; upload is where WhatsApp has its file, nil for kinds without one.
func encode(c message.Content, upload *message.Upload) (*waE2E.Message, error) {
	if err := c.Validate(); err != nil {
		return nil, fmt.Errorf("encode %s: %w", c.Kind, err)
	}
	if c.Kind.HasMedia() {
		return encodeMedia(c, upload)
	}
	context := contextOf(c)
	switch c.Kind {
	case message.Location:
		return &waE2E.Message{LocationMessage: &waE2E.LocationMessage{
			DegreesLatitude: &c.Location.Latitude, DegreesLongitude: &c.Location.Longitude,
			Name: optional(c.Location.Name), Address: optional(c.Location.Address), ContextInfo: context,
		}}, nil
	case message.ContactCard:
		return &waE2E.Message{ContactMessage: &waE2E.ContactMessage{
			DisplayName: &c.Contact.Name, Vcard: new(vcard(*c.Contact)), ContextInfo: context,
		}}, nil
	case message.Poll:
		return encodePoll(c, context), nil
	case message.Reaction:
		return &waE2E.Message{ReactionMessage: &waE2E.ReactionMessage{
			Key: keyOf(c.Target), Text: &c.Text, SenderTimestampMS: new(time.Now().UnixMilli()),
		}}, nil
	case message.Edit:
		return &waE2E.Message{EditedMessage: &waE2E.FutureProofMessage{Message: &waE2E.Message{
			ProtocolMessage: &waE2E.ProtocolMessage{
				Key: keyOf(c.Target), Type: waE2E.ProtocolMessage_MESSAGE_EDIT.Enum(),
				EditedMessage: encodeText(c, context), TimestampMS: new(time.Now().UnixMilli()),
			},
		}}}, nil
	case message.Revoke:
		return &waE2E.Message{ProtocolMessage: &waE2E.ProtocolMessage{
			Key: keyOf(c.Target), Type: waE2E.ProtocolMessage_REVOKE.Enum(),
		}}, nil
	default:
		return encodeText(c, context), nil
	}
}

// encodeText takes the short form where there is nothing but the text, as WhatsApp's own apps do.
func encodeText(c message.Content, context *waE2E.ContextInfo) *waE2E.Message {
	if context == nil && c.Preview == nil {
		return &waE2E.Message{Conversation: &c.Text}
	}
	text := &waE2E.ExtendedTextMessage{Text: &c.Text, ContextInfo: context}
	if p := c.Preview; p != nil {
		text.MatchedText, text.Title, text.Description = &p.URL, &p.Title, optional(p.Description)
		text.JPEGThumbnail = p.Thumbnail
	}
	return &waE2E.Message{ExtendedTextMessage: text}
}

func encodePoll(c message.Content, context *waE2E.ContextInfo) *waE2E.Message {
	options := make([]*waE2E.PollCreationMessage_Option, len(c.Poll.Options))
	for i := range c.Poll.Options {
		options[i] = &waE2E.PollCreationMessage_Option{OptionName: &c.Poll.Options[i]}
	}
	secret := make([]byte, secretSize)
	_, _ = rand.Read(secret) // never fails
	return &waE2E.Message{
		// The first form of polls: the only one that whatsmeow labels as a poll on the wire (send.go, getTypeFromMessage).
		PollCreationMessage: &waE2E.PollCreationMessage{
			Name: &c.Text, Options: options, SelectableOptionsCount: new(uint32(c.Poll.MaxChoices)), //nolint:gosec // 0 to 12
			ContextInfo: context,
		},
		MessageContextInfo: &waE2E.MessageContextInfo{MessageSecret: secret},
	}
}

// contextOf says which message is answered and who is mentioned; nil if neither.
func contextOf(c message.Content) *waE2E.ContextInfo {
	if c.ReplyTo == nil && len(c.Mentions) == 0 {
		return nil
	}
	context := &waE2E.ContextInfo{}
	for _, number := range c.Mentions {
		context.MentionedJID = append(context.MentionedJID, jidOf(number).String())
	}
	if r := c.ReplyTo; r != nil {
		context.StanzaID, context.QuotedMessage = &r.WAMessageID, quoted(*r)
		if r.Sender != "" {
			context.Participant = new(jidOf(r.Sender).String())
		}
	}
	return context
}

// quoted is what the other side shows above an answer.
func quoted(r message.Ref) *waE2E.Message {
	switch r.Kind {
	case message.Image:
		return &waE2E.Message{ImageMessage: &waE2E.ImageMessage{Caption: optional(r.Text)}}
	case message.Video:
		return &waE2E.Message{VideoMessage: &waE2E.VideoMessage{Caption: optional(r.Text)}}
	case message.Audio, message.Voice:
		return &waE2E.Message{AudioMessage: &waE2E.AudioMessage{PTT: new(r.Kind == message.Voice)}}
	case message.Document:
		return &waE2E.Message{DocumentMessage: &waE2E.DocumentMessage{Caption: optional(r.Text)}}
	case message.Sticker:
		return &waE2E.Message{StickerMessage: &waE2E.StickerMessage{}}
	default:
		return &waE2E.Message{Conversation: &r.Text}
	}
}

// keyOf is how WhatsApp names a message of a chat.
func keyOf(r *message.Ref) *waCommon.MessageKey {
	key := &waCommon.MessageKey{RemoteJID: new(jidOf(r.Chat).String()), FromMe: &r.FromMe, ID: &r.WAMessageID}
	if !r.FromMe && message.IsGroup(r.Chat) && r.Sender != "" {
		key.Participant = new(jidOf(r.Sender).String())
	}
	return key
}

// jidOf is WhatsApp's form of one of our addresses (message.ParseRecipient).
func jidOf(address string) types.JID {
	if id, ok := strings.CutSuffix(address, "@"+types.HiddenUserServer); ok {
		return types.NewJID(id, types.HiddenUserServer)
	}
	if id, ok := strings.CutSuffix(address, "@"+types.GroupServer); ok {
		return types.NewJID(id, types.GroupServer)
	}
	return types.NewJID(address, types.DefaultUserServer)
}

// vcard is a card as WhatsApp's apps write it.
func vcard(c message.VisitingCard) string {
	name := vcardEscapes.Replace(c.Name)
	return "BEGIN:VCARD\nVERSION:3.0\nFN:" + name + "\nN:;" + name + ";;;\n" +
		"TEL;type=CELL;type=VOICE;waid=" + c.Phone + ":+" + c.Phone + "\nEND:VCARD"
}

// vcardEscapes keeps a name from becoming more than a name (RFC 2426, 5).
var vcardEscapes = strings.NewReplacer(`\`, `\\`, "\r", "", "\n", `\n`, ",", `\,`, ";", `\;`)

// optional is nil for an empty text.
func optional(text string) *string {
	if text == "" {
		return nil
	}
	return &text
}
