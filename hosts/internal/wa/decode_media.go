package wa

import (
	"encoding/hex"
	"math"

	"go.mau.fi/whatsmeow"
	"go.mau.fi/whatsmeow/proto/waE2E"

	"wafleet/hosts/internal/actor"
	"wafleet/shared/message"
)

// attachment is what all messages with a file have in common.
type attachment interface {
	whatsmeow.DownloadableMessage
	GetMimetype() string
	GetFileLength() uint64
}

// attached reads the kinds that come with a file, and notes how it is fetched.
func (r *reading) attached(m *waE2E.Message) (s message.Said, ok bool) {
	switch {
	case m.ImageMessage != nil:
		i := m.GetImageMessage()
		s = message.Said{Kind: message.Image, Text: i.GetCaption(), ViewOnce: i.GetViewOnce(), Media: r.attach(i, whatsmeow.MediaImage)}
		s.Media.Width, s.Media.Height = int(i.GetWidth()), int(i.GetHeight())
	case m.VideoMessage != nil:
		s = r.film(m.GetVideoMessage())
	case m.PtvMessage != nil:
		s = r.film(m.GetPtvMessage())
	case m.AudioMessage != nil:
		a := m.GetAudioMessage()
		s = message.Said{Kind: message.Audio, ViewOnce: a.GetViewOnce(), Media: r.attach(a, whatsmeow.MediaAudio)}
		if a.GetPTT() {
			s.Kind = message.Voice
		}
		s.Media.Seconds = int(a.GetSeconds())
	case m.DocumentMessage != nil:
		d := m.GetDocumentMessage()
		s = message.Said{Kind: message.Document, Text: d.GetCaption(), Media: r.attach(d, whatsmeow.MediaDocument)}
		s.Media.Pages, s.Media.FileName = int(d.GetPageCount()), d.GetFileName()
		if s.Media.FileName == "" {
			s.Media.FileName = d.GetTitle()
		}
		r.file.Name = s.Media.FileName
	case m.StickerMessage != nil:
		sticker := m.GetStickerMessage()
		s = message.Said{Kind: message.Sticker, Media: r.attach(sticker, whatsmeow.MediaImage)}
		s.Media.Width, s.Media.Height = int(sticker.GetWidth()), int(sticker.GetHeight())
		s.Media.Animated = sticker.GetIsAnimated() || sticker.GetIsLottie()
	default:
		return s, false
	}
	return s, true
}

func (r *reading) film(v *waE2E.VideoMessage) message.Said {
	s := message.Said{Kind: message.Video, Text: v.GetCaption(), ViewOnce: v.GetViewOnce(), Media: r.attach(v, whatsmeow.MediaVideo)}
	s.Media.Width, s.Media.Height, s.Media.Seconds = int(v.GetWidth()), int(v.GetHeight()), int(v.GetSeconds())
	s.Media.Animated = v.GetGifPlayback()
	return s
}

// attach notes how the file of this message is fetched. What is quoted has a file of its own, which is not this message's.
func (r *reading) attach(a attachment, kind whatsmeow.MediaType) *message.Media {
	size := int64(min(a.GetFileLength(), math.MaxInt64))
	r.file = &actor.File{
		Type: string(kind), DirectPath: a.GetDirectPath(), Key: a.GetMediaKey(),
		SHA256: a.GetFileSHA256(), EncSHA256: a.GetFileEncSHA256(), Size: size, MimeType: a.GetMimetype(),
		MessageID: r.event.Info.ID, Chat: r.event.Info.Chat.String(), Sender: r.event.Info.Sender.ToNonAD().String(),
		IsGroup: r.event.Info.IsGroup, FromMe: r.event.Info.IsFromMe,
	}
	return &message.Media{MimeType: a.GetMimetype(), Size: size, SHA256: hex.EncodeToString(a.GetFileSHA256())}
}
