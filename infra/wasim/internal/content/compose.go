package content

import (
	"cmp"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"go.mau.fi/whatsmeow/proto/waCommon"
	"go.mau.fi/whatsmeow/proto/waE2E"
	"go.mau.fi/whatsmeow/types"
)

// ErrInvalid marks a message that cannot be written; the text says why.
var ErrInvalid = errors.New("invalid message")

// Context is what composing needs to know about the chat.
type Context struct {
	// Chat is the address of the other account.
	Chat types.JID
	// TargetSender is who wrote the target; TargetFromMe that it was the phone's own account.
	TargetSender types.JID
	TargetFromMe bool
	// Media is the uploaded file of a message that has one.
	Media *Media
}

// Media refers to an encrypted file on the media servers.
type Media struct {
	URL, DirectPath                     string
	Key, FileSHA256, FileEncSHA256      []byte
	Length                              uint64
	Timestamp                           time.Time
	MimeTypeGuess, DocumentNameFallback string
}

// Compose builds the protobuf of a message.
func Compose(c Content, in Context) (*waE2E.Message, error) {
	if c.Type.HasMedia() {
		return composeMedia(c, in)
	}
	switch c.Type {
	case Text:
		if c.Text == "" {
			return nil, fmt.Errorf("%w: no text", ErrInvalid)
		}
		return &waE2E.Message{Conversation: new(c.Text)}, nil
	case Location:
		return &waE2E.Message{LocationMessage: &waE2E.LocationMessage{
			DegreesLatitude: new(c.Latitude), DegreesLongitude: new(c.Longitude),
			Name: optional(c.Text), Address: optional(c.Address),
		}}, nil
	case Contact:
		if c.VCard == "" {
			return nil, fmt.Errorf("%w: a contact needs a vcard", ErrInvalid)
		}
		return &waE2E.Message{ContactMessage: &waE2E.ContactMessage{
			DisplayName: optional(c.Text), Vcard: new(c.VCard),
		}}, nil
	case Poll:
		return composePoll(c)
	case Reaction, Reply, Edit, Revoke:
		return composeReference(c, in)
	default:
		return nil, fmt.Errorf("%w: type %q cannot be written", ErrInvalid, c.Type)
	}
}

func composePoll(c Content) (*waE2E.Message, error) {
	if c.Text == "" || len(c.Options) < 2 {
		return nil, fmt.Errorf("%w: a poll needs a question in text and two options", ErrInvalid)
	}
	options := make([]*waE2E.PollCreationMessage_Option, len(c.Options))
	for i, option := range c.Options {
		options[i] = &waE2E.PollCreationMessage_Option{OptionName: new(option)}
	}
	secret := make([]byte, 32)
	_, _ = rand.Read(secret)
	return &waE2E.Message{
		PollCreationMessage: &waE2E.PollCreationMessage{
			Name: new(c.Text), Options: options, SelectableOptionsCount: new(c.Selectable),
		},
		MessageContextInfo: &waE2E.MessageContextInfo{MessageSecret: secret},
	}, nil
}

// composeReference builds the messages that are about another message.
func composeReference(c Content, in Context) (*waE2E.Message, error) {
	if c.Target == "" {
		return nil, fmt.Errorf("%w: a %s needs a target", ErrInvalid, c.Type)
	}
	key := &waCommon.MessageKey{
		RemoteJID: new(in.Chat.String()), FromMe: new(in.TargetFromMe), ID: new(c.Target),
	}
	now := time.Now().UnixMilli()
	switch c.Type {
	case Reaction:
		return &waE2E.Message{ReactionMessage: &waE2E.ReactionMessage{
			Key: key, Text: new(c.Text), SenderTimestampMS: new(now),
		}}, nil
	case Edit:
		key.FromMe = new(true)
		return &waE2E.Message{EditedMessage: &waE2E.FutureProofMessage{Message: &waE2E.Message{
			ProtocolMessage: &waE2E.ProtocolMessage{
				Key: key, Type: waE2E.ProtocolMessage_MESSAGE_EDIT.Enum(), TimestampMS: new(now),
				EditedMessage: &waE2E.Message{Conversation: new(c.Text)},
			},
		}}}, nil
	case Revoke:
		key.FromMe = new(true)
		return &waE2E.Message{ProtocolMessage: &waE2E.ProtocolMessage{
			Key: key, Type: waE2E.ProtocolMessage_REVOKE.Enum(),
		}}, nil
	default:
		return &waE2E.Message{ExtendedTextMessage: &waE2E.ExtendedTextMessage{
			Text: new(c.Text),
			ContextInfo: &waE2E.ContextInfo{
				StanzaID: new(c.Target), Participant: new(in.TargetSender.String()),
				QuotedMessage: &waE2E.Message{Conversation: new("")},
			},
		}}, nil
	}
}

func composeMedia(c Content, in Context) (*waE2E.Message, error) {
	m := in.Media
	if m == nil {
		return nil, fmt.Errorf("%w: a %s needs a file", ErrInvalid, c.Type)
	}
	mime := new(cmp.Or(c.MimeType, m.MimeTypeGuess))
	url, path, at := new(m.URL), new(m.DirectPath), new(m.Timestamp.Unix())
	length := new(m.Length)
	switch c.Type {
	case Image:
		return &waE2E.Message{ImageMessage: &waE2E.ImageMessage{
			URL: url, DirectPath: path, MediaKey: m.Key, FileSHA256: m.FileSHA256, FileEncSHA256: m.FileEncSHA256,
			FileLength: length, MediaKeyTimestamp: at, Mimetype: mime, Caption: optional(c.Text),
		}}, nil
	case Video:
		return &waE2E.Message{VideoMessage: &waE2E.VideoMessage{
			URL: url, DirectPath: path, MediaKey: m.Key, FileSHA256: m.FileSHA256, FileEncSHA256: m.FileEncSHA256,
			FileLength: length, MediaKeyTimestamp: at, Mimetype: mime, Caption: optional(c.Text),
		}}, nil
	case Audio, Voice:
		return &waE2E.Message{AudioMessage: &waE2E.AudioMessage{
			URL: url, DirectPath: path, MediaKey: m.Key, FileSHA256: m.FileSHA256, FileEncSHA256: m.FileEncSHA256,
			FileLength: length, MediaKeyTimestamp: at, Mimetype: mime, PTT: new(c.Type == Voice),
		}}, nil
	case Sticker:
		return &waE2E.Message{StickerMessage: &waE2E.StickerMessage{
			URL: url, DirectPath: path, MediaKey: m.Key, FileSHA256: m.FileSHA256, FileEncSHA256: m.FileEncSHA256,
			FileLength: length, MediaKeyTimestamp: at, Mimetype: mime,
		}}, nil
	default:
		name := cmp.Or(c.FileName, m.DocumentNameFallback)
		return &waE2E.Message{DocumentMessage: &waE2E.DocumentMessage{
			URL: url, DirectPath: path, MediaKey: m.Key, FileSHA256: m.FileSHA256, FileEncSHA256: m.FileEncSHA256,
			FileLength: length, MediaKeyTimestamp: at, Mimetype: mime, Caption: optional(c.Text),
			FileName: new(name), Title: new(name),
		}}, nil
	}
}

// optional leaves a field out if it is empty.
func optional(text string) *string {
	if text == "" {
		return nil
	}
	return &text
}
