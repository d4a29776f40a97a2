package wa

import (
	"crypto/sha256"

	"go.mau.fi/whatsmeow/proto/waE2E"
	"go.mau.fi/whatsmeow/types"
	"go.mau.fi/whatsmeow/types/events"
	"google.golang.org/protobuf/proto"

	"wafleet/hosts/internal/actor"
	"wafleet/shared/message"
)

// decode turns a decrypted message into ours. A kind we do not know stays visible as Unsupported.
func decode(e *events.Message) actor.Incoming {
	// Deterministic, so that a redelivered message has the digest of the first one.
	plain, _ := proto.MarshalOptions{Deterministic: true}.Marshal(e.Message)
	digest := sha256.Sum256(plain)
	return actor.Incoming{
		WAMessageID: e.Info.ID,
		Chat:        contact(e.Info.Chat, counterpart(e.Info.Chat, e.Info), ""),
		Sender:      contact(e.Info.Sender, e.Info.SenderAlt, e.Info.PushName),
		FromMe:      e.Info.IsFromMe,
		Content:     content(e.Message),
		Digest:      digest[:],
		Timestamp:   e.Info.Timestamp,
	}
}

// counterpart is the chat's other address: in a chat between two, the sender's or the recipient's.
func counterpart(chat types.JID, info types.MessageInfo) types.JID {
	switch {
	case info.IsGroup:
		return types.EmptyJID
	case chat.User == info.Sender.User:
		return info.SenderAlt
	}
	return info.RecipientAlt
}

// contact names a person by whatever addresses are known. A group's id stands in the place of the phone.
func contact(jid, alt types.JID, name string) message.Contact {
	c := message.Contact{Name: name}
	for _, j := range []types.JID{jid, alt} {
		switch j.Server {
		case types.DefaultUserServer:
			c.Phone = j.User
		case types.HiddenUserServer:
			c.LID = j.User
		case types.GroupServer, types.BroadcastServer, types.NewsletterServer:
			c.Phone = j.ToNonAD().String()
		}
	}
	return c
}

// content reads what a message shows.
func content(m *waE2E.Message) message.Content {
	switch {
	case m.Conversation != nil:
		return message.Content{Kind: message.Text, Text: m.GetConversation()}
	case m.ExtendedTextMessage != nil:
		return message.Content{Kind: message.Text, Text: m.GetExtendedTextMessage().GetText()}
	case m.ImageMessage != nil:
		return message.Content{Kind: message.Image, Text: m.GetImageMessage().GetCaption()}
	case m.VideoMessage != nil:
		return message.Content{Kind: message.Video, Text: m.GetVideoMessage().GetCaption()}
	case m.AudioMessage != nil && m.GetAudioMessage().GetPTT():
		return message.Content{Kind: message.Voice}
	case m.AudioMessage != nil:
		return message.Content{Kind: message.Audio}
	case m.DocumentMessage != nil:
		return message.Content{Kind: message.Document, Text: m.GetDocumentMessage().GetCaption()}
	case m.StickerMessage != nil:
		return message.Content{Kind: message.Sticker}
	case m.LocationMessage != nil:
		return message.Content{Kind: message.Location, Text: m.GetLocationMessage().GetName()}
	case m.ContactMessage != nil:
		return message.Content{Kind: message.ContactCard, Text: m.GetContactMessage().GetDisplayName()}
	case m.PollCreationMessage != nil || m.PollCreationMessageV3 != nil:
		return message.Content{Kind: message.Poll, Text: m.GetPollCreationMessage().GetName() + m.GetPollCreationMessageV3().GetName()}
	case m.ReactionMessage != nil:
		return message.Content{Kind: message.Reaction, Text: m.GetReactionMessage().GetText()}
	}
	return message.Content{Kind: message.Unsupported}
}
