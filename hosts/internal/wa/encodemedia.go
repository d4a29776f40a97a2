package wa

import (
	"errors"
	"fmt"
	"path"
	"strings"

	"go.mau.fi/whatsmeow"
	"go.mau.fi/whatsmeow/proto/waE2E"

	"wafleet/shared/message"
)

var errNoUpload = errors.New("file is not uploaded")

// encodeMedia makes a message that leads to an uploaded file.
func encodeMedia(c message.Content, up *message.Upload) (*waE2E.Message, error) {
	if up == nil {
		return nil, fmt.Errorf("encode %s: %w", c.Kind, errNoUpload)
	}
	file, context, length := c.Media, contextOf(c), uint64(up.FileLength) //nolint:gosec // a length
	switch c.Kind {
	case message.Image:
		return &waE2E.Message{ImageMessage: &waE2E.ImageMessage{
			Caption: optional(c.Text), Mimetype: &file.MimeType, Width: number(file.Width), Height: number(file.Height),
			JPEGThumbnail: file.Thumbnail, ContextInfo: context,
			URL: &up.URL, DirectPath: &up.DirectPath, MediaKey: up.MediaKey, MediaKeyTimestamp: &up.UploadedAt,
			FileSHA256: up.FileSHA256, FileEncSHA256: up.FileEncSHA256, FileLength: &length,
		}}, nil
	case message.Video:
		return &waE2E.Message{VideoMessage: &waE2E.VideoMessage{
			Caption: optional(c.Text), Mimetype: &file.MimeType, Width: number(file.Width), Height: number(file.Height),
			Seconds: number(file.Seconds), JPEGThumbnail: file.Thumbnail, ContextInfo: context,
			URL: &up.URL, DirectPath: &up.DirectPath, MediaKey: up.MediaKey, MediaKeyTimestamp: &up.UploadedAt,
			FileSHA256: up.FileSHA256, FileEncSHA256: up.FileEncSHA256, FileLength: &length,
		}}, nil
	case message.Audio, message.Voice:
		return &waE2E.Message{AudioMessage: &waE2E.AudioMessage{
			Mimetype: &file.MimeType, Seconds: number(file.Seconds), PTT: new(c.Kind == message.Voice), ContextInfo: context,
			URL: &up.URL, DirectPath: &up.DirectPath, MediaKey: up.MediaKey, MediaKeyTimestamp: &up.UploadedAt,
			FileSHA256: up.FileSHA256, FileEncSHA256: up.FileEncSHA256, FileLength: &length,
		}}, nil
	case message.Sticker:
		return &waE2E.Message{StickerMessage: &waE2E.StickerMessage{
			Mimetype: &file.MimeType, Width: number(file.Width), Height: number(file.Height), ContextInfo: context,
			URL: &up.URL, DirectPath: &up.DirectPath, MediaKey: up.MediaKey, MediaKeyTimestamp: &up.UploadedAt,
			FileSHA256: up.FileSHA256, FileEncSHA256: up.FileEncSHA256, FileLength: &length,
		}}, nil
	default:
		return document(c, up, context, length), nil
	}
}

// document is wrapped where it has a caption: bare, WhatsApp's apps do not show one.
func document(c message.Content, up *message.Upload, context *waE2E.ContextInfo, length uint64) *waE2E.Message {
	name := c.Media.FileName
	m := &waE2E.Message{DocumentMessage: &waE2E.DocumentMessage{
		Caption: optional(c.Text), Mimetype: &c.Media.MimeType, FileName: optional(name),
		Title: optional(strings.TrimSuffix(name, path.Ext(name))), JPEGThumbnail: c.Media.Thumbnail, ContextInfo: context,
		URL: &up.URL, DirectPath: &up.DirectPath, MediaKey: up.MediaKey, MediaKeyTimestamp: &up.UploadedAt,
		FileSHA256: up.FileSHA256, FileEncSHA256: up.FileEncSHA256, FileLength: &length,
	}}
	if c.Text == "" {
		return m
	}
	return &waE2E.Message{DocumentWithCaptionMessage: &waE2E.FutureProofMessage{Message: m}}
}

// mediaType is what WhatsApp calls the files of a kind; the keys of a file are derived with it.
func mediaType(kind message.Kind) whatsmeow.MediaType {
	switch kind {
	case message.Video:
		return whatsmeow.MediaVideo
	case message.Audio, message.Voice:
		return whatsmeow.MediaAudio
	case message.Document:
		return whatsmeow.MediaDocument
	default: // images and stickers
		return whatsmeow.MediaImage
	}
}

// number is nil where it is not known.
func number(n int) *uint32 {
	if n <= 0 {
		return nil
	}
	return new(uint32(min(n, 1<<31)))
}
