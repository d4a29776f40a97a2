package content

import (
	"go.mau.fi/whatsmeow/proto/waE2E"
)

// File is the reference to a media file, as any message with one carries it.
type File interface {
	GetDirectPath() string
	GetMediaKey() []byte
	GetFileSHA256() []byte
	GetFileEncSHA256() []byte
}

// Read tells what a message says, and refers to its file if it has one.
func Read(message *waE2E.Message) (Content, File) {
	message = unwrap(message)
	if c, file := readMedia(message); file != nil {
		return c, file
	}
	switch {
	case message.Conversation != nil:
		return Content{Type: Text, Text: message.GetConversation()}, nil
	case message.ExtendedTextMessage != nil:
		return readText(message.GetExtendedTextMessage()), nil
	case message.LocationMessage != nil:
		m := message.GetLocationMessage()
		return Content{
			Type: Location, Text: m.GetName(), Address: m.GetAddress(), Target: m.GetContextInfo().GetStanzaID(),
			Latitude: m.GetDegreesLatitude(), Longitude: m.GetDegreesLongitude(),
		}, nil
	case message.ContactMessage != nil:
		return readContact(message.GetContactMessage()), nil
	case len(message.GetContactsArrayMessage().GetContacts()) > 0:
		return readContact(message.GetContactsArrayMessage().GetContacts()[0]), nil
	case message.ReactionMessage != nil:
		m := message.GetReactionMessage()
		return Content{Type: Reaction, Text: m.GetText(), Target: m.GetKey().GetID()}, nil
	case message.PollUpdateMessage != nil:
		return Content{Type: Vote, Target: message.GetPollUpdateMessage().GetPollCreationMessageKey().GetID()}, nil
	case message.ProtocolMessage != nil:
		return readProtocol(message.GetProtocolMessage()), nil
	default:
		return readPoll(message), nil
	}
}

// unwrap takes a message out of the envelopes that only say how to show it.
func unwrap(message *waE2E.Message) *waE2E.Message {
	for range 8 { // Deeper than any client nests them.
		var inner *waE2E.Message
		for _, envelope := range []*waE2E.FutureProofMessage{
			message.GetEphemeralMessage(), message.GetViewOnceMessage(), message.GetViewOnceMessageV2(),
			message.GetViewOnceMessageV2Extension(), message.GetDocumentWithCaptionMessage(),
			message.GetEditedMessage(), message.GetLottieStickerMessage(),
		} {
			if envelope.GetMessage() != nil {
				inner = envelope.GetMessage()
				break
			}
		}
		if inner == nil {
			return message
		}
		message = inner
	}
	return message
}

func readText(m *waE2E.ExtendedTextMessage) Content {
	c := Content{Type: Text, Text: m.GetText(), Target: m.GetContextInfo().GetStanzaID()}
	if c.Target != "" {
		c.Type = Reply
	}
	return c
}

func readContact(m *waE2E.ContactMessage) Content {
	return Content{
		Type: Contact, Text: m.GetDisplayName(), VCard: m.GetVcard(), Target: m.GetContextInfo().GetStanzaID(),
	}
}

func readProtocol(m *waE2E.ProtocolMessage) Content {
	switch m.GetType() {
	case waE2E.ProtocolMessage_REVOKE:
		if m.GetKey() == nil { // REVOKE is the zero value.
			return Content{Type: Protocol}
		}
		return Content{Type: Revoke, Target: m.GetKey().GetID()}
	case waE2E.ProtocolMessage_MESSAGE_EDIT:
		edited, _ := Read(m.GetEditedMessage())
		return Content{Type: Edit, Text: edited.Text, Target: m.GetKey().GetID()}
	default:
		return Content{Type: Protocol}
	}
}

func readPoll(message *waE2E.Message) Content {
	for _, poll := range []*waE2E.PollCreationMessage{
		message.GetPollCreationMessage(), message.GetPollCreationMessageV2(), message.GetPollCreationMessageV3(),
		message.GetPollCreationMessageV5(),
	} {
		if poll == nil {
			continue
		}
		c := Content{Type: Poll, Text: poll.GetName(), Selectable: poll.GetSelectableOptionsCount()}
		for _, option := range poll.GetOptions() {
			c.Options = append(c.Options, option.GetOptionName())
		}
		return c
	}
	return Content{Type: Unknown}
}

func readMedia(message *waE2E.Message) (Content, File) {
	switch {
	case message.ImageMessage != nil:
		m := message.GetImageMessage()
		return media(Image, m.GetMimetype(), m.GetCaption(), m.GetContextInfo()), m
	case message.VideoMessage != nil:
		m := message.GetVideoMessage()
		return media(Video, m.GetMimetype(), m.GetCaption(), m.GetContextInfo()), m
	case message.PtvMessage != nil:
		m := message.GetPtvMessage()
		return media(Video, m.GetMimetype(), m.GetCaption(), m.GetContextInfo()), m
	case message.AudioMessage != nil:
		m := message.GetAudioMessage()
		kind := Audio
		if m.GetPTT() {
			kind = Voice
		}
		return media(kind, m.GetMimetype(), "", m.GetContextInfo()), m
	case message.StickerMessage != nil:
		m := message.GetStickerMessage()
		return media(Sticker, m.GetMimetype(), "", m.GetContextInfo()), m
	case message.DocumentMessage != nil:
		m := message.GetDocumentMessage()
		c := media(Document, m.GetMimetype(), m.GetCaption(), m.GetContextInfo())
		c.FileName = m.GetFileName()
		return c, m
	default:
		return Content{}, nil
	}
}

func media(kind Type, mime, caption string, context *waE2E.ContextInfo) Content {
	return Content{Type: kind, MimeType: mime, Text: caption, Target: context.GetStanzaID()}
}
