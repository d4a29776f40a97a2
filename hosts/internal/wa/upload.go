package wa

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"go.mau.fi/whatsmeow"

	"wafleet/hosts/internal/actor"
	"wafleet/shared/media"
	"wafleet/shared/message"
)

// Upload encrypts a file and brings it to WhatsApp's media servers. When they do not know our token any more it is asked
// for anew, and the file is sent once again.
func (c *Conn) Upload(ctx context.Context, kind message.Kind, open func() (io.ReadCloser, error)) (message.Upload, error) {
	if !c.online() {
		return message.Upload{}, uploadError(whatsmeow.ErrNotLoggedIn)
	}
	up, err := c.upload(ctx, kind, open)
	if unauthorized(err) {
		// The name warns; whatsmeow itself keeps a token until it expires.
		if _, err := c.client.DangerousInternals().RefreshMediaConn(ctx, true); err != nil { //nolint:staticcheck // see above
			return message.Upload{}, uploadError(fmt.Errorf("refresh media token: %w", err))
		}
		up, err = c.upload(ctx, kind, open)
	}
	if err != nil {
		return message.Upload{}, uploadError(err)
	}
	return message.Upload{
		URL: up.URL, DirectPath: up.DirectPath, MediaKey: up.MediaKey, FileSHA256: up.FileSHA256, FileEncSHA256: up.FileEncSHA256,
		FileLength: int64(up.FileLength), UploadedAt: time.Now().Unix(), //nolint:gosec // the length of a file
	}, nil
}

func (c *Conn) upload(ctx context.Context, kind message.Kind, open func() (io.ReadCloser, error)) (whatsmeow.UploadResponse, error) {
	file, err := open()
	if err != nil {
		return whatsmeow.UploadResponse{}, fmt.Errorf("open file: %w", err)
	}
	up, err := c.client.UploadReader(ctx, file, nil, mediaType(kind))
	return up, errors.Join(err, file.Close())
}

// unauthorized reads the status of a refused upload, which whatsmeow only prints into the error's text (upload.go, rawUpload).
func unauthorized(err error) bool {
	return err != nil && (strings.Contains(err.Error(), "status code 401") || strings.Contains(err.Error(), "status code 403"))
}

// uploadError says what a failed upload means for its message: no frame was written, and later it may go better.
func uploadError(err error) error {
	var disconnected *whatsmeow.DisconnectedError
	e := &actor.SendError{Outcome: actor.NotWritten, Reason: "media_upload_failed", Err: err}
	switch {
	case errors.Is(err, whatsmeow.ErrNotConnected), errors.Is(err, whatsmeow.ErrNotLoggedIn), errors.As(err, &disconnected):
		e.Reason = "connection_lost"
	case errors.Is(err, media.ErrNotFound):
		e.Reason, e.Final = "media_missing", true
	}
	return e
}
