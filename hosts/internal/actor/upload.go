package actor

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"time"

	"wafleet/shared/media"
	"wafleet/shared/message"
	"wafleet/shared/store"
	"wafleet/shared/store/db"
)

// uploadTimeout bounds the upload of one file. The company's other messages wait meanwhile, those of other companies do not.
const uploadTimeout = 2 * time.Minute

// upload returns where WhatsApp has the file of a content, nil for a content without one. A file is uploaded once for
// many messages; what it led to is kept with each of them, so that a resend says the same. Any error but errNoKeys is a
// *SendError, because nothing was written.
func (a *Actor) upload(ctx context.Context, conn Conn, content message.Content) (*message.Upload, error) {
	file := content.Media
	if file == nil {
		return nil, nil //nolint:nilnil // none is a valid answer
	}
	known, err := a.store.MediaUpload(ctx, a.companyID, file.ID, content.Kind)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errNoKeys, err)
	}
	if known != nil {
		return known, nil
	}
	if a.media == nil {
		return nil, &SendError{Outcome: NotWritten, Reason: "media_store_missing", Final: true, Err: errors.New("host has no media store")}
	}
	if conn == nil {
		return nil, &SendError{Outcome: NotWritten, Reason: reasonOffline, Err: errors.New("session is offline")}
	}
	ctx, cancel := context.WithTimeout(ctx, uploadTimeout)
	defer cancel()
	up, err := conn.Upload(ctx, content.Kind, func() (io.ReadCloser, error) {
		body, _, err := a.media.Open(ctx, media.Key(a.companyID, file.ID))
		return body, err
	})
	if errors.Is(err, media.ErrNotFound) {
		return nil, &SendError{Outcome: NotWritten, Reason: "media_missing", Final: true, Err: err}
	}
	if err != nil {
		return nil, err
	}
	if sum, err := hex.DecodeString(file.SHA256); err != nil || !bytes.Equal(sum, up.FileSHA256) {
		return nil, &SendError{Outcome: NotWritten, Reason: "media_damaged", Final: true, Err: errors.New("file is not the one that was accepted")}
	}
	if err := a.store.KeepMediaUpload(ctx, a.companyID, file.ID, content.Kind, up); err != nil {
		a.logger.WarnContext(ctx, "upload is not kept for the next message", "media_id", file.ID, "error", err)
	}
	return &up, nil
}

// postpone lets a message wait that could not be built for want of its file, and lets others overtake it.
func (a *Actor) postpone(ctx context.Context, row *db.PeekOutboxRow, failed *SendError) error {
	err := a.store.Postpone(ctx, a.fence, store.Postponement{
		CompanyID: a.companyID, MessageID: row.MessageID, Reason: failed.Reason, Delay: backoff(time.Second, row.Attempt+1),
	})
	if errors.Is(err, store.ErrNotMoved) {
		return nil
	}
	return err
}
