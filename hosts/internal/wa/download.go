package wa

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"go.mau.fi/whatsmeow"
	"go.mau.fi/whatsmeow/proto/waMmsRetry"
	"go.mau.fi/whatsmeow/types"
	"go.mau.fi/whatsmeow/types/events"

	"wafleet/hosts/internal/actor"
)

// sealOverhead is what encryption adds to a file at most: a block of padding and the MAC.
const sealOverhead = 16 + 10

// Download fetches the file of a message. It goes by the path alone, on hosts that WhatsApp names: the URL in a message
// is the sender's word, and would lead us wherever the sender likes.
func (c *Conn) Download(ctx context.Context, f actor.File, into *os.File, most int64) error {
	// The path is appended to the name of a host: only a slash keeps it from becoming part of that.
	if !strings.HasPrefix(f.DirectPath, "/") {
		return fmt.Errorf("%w: no path", actor.ErrFileDamaged)
	}
	if len(f.Key) == 0 || len(f.EncSHA256) == 0 || len(f.SHA256) == 0 {
		return fmt.Errorf("%w: no key or no hash", actor.ErrFileDamaged)
	}
	if !c.online() {
		return whatsmeow.ErrNotLoggedIn
	}
	limited := &limitedFile{file: into, most: most + sealOverhead}
	const anyLength = -1 // the hashes decide
	err := c.client.DownloadMediaWithPathToFile(ctx, f.DirectPath, f.EncSHA256, f.SHA256, f.Key, anyLength, whatsmeow.MediaType(f.Type), "", limited)
	switch {
	case err == nil:
		return nil
	case limited.over,
		errors.Is(err, whatsmeow.ErrInvalidMediaHMAC), errors.Is(err, whatsmeow.ErrInvalidMediaEncSHA256),
		errors.Is(err, whatsmeow.ErrInvalidMediaSHA256), errors.Is(err, whatsmeow.ErrTooShortFile):
		return fmt.Errorf("%w: %w", actor.ErrFileDamaged, err)
	case errors.Is(err, whatsmeow.ErrMediaDownloadFailedWith403), errors.Is(err, whatsmeow.ErrMediaDownloadFailedWith404),
		errors.Is(err, whatsmeow.ErrMediaDownloadFailedWith410):
		return fmt.Errorf("%w: %w", actor.ErrFileGone, err)
	}
	return fmt.Errorf("download: %w", err)
}

// AskAgain asks the phone that a file came from to upload it again.
func (c *Conn) AskAgain(ctx context.Context, f actor.File) error {
	chat, err := types.ParseJID(f.Chat)
	if err != nil {
		return fmt.Errorf("ask for file: %w", err)
	}
	sender, err := types.ParseJID(f.Sender)
	if err != nil {
		return fmt.Errorf("ask for file: %w", err)
	}
	info := &types.MessageInfo{ID: f.MessageID, MessageSource: types.MessageSource{
		Chat: chat, Sender: sender, IsGroup: f.IsGroup, IsFromMe: f.FromMe,
	}}
	if err := c.client.SendMediaRetryReceipt(ctx, info, f.Key); err != nil {
		return fmt.Errorf("ask for file: %w", err)
	}
	return nil
}

var errNoPath = errors.New("the phone does not have the file")

// reupload is a phone's answer to AskAgain.
func reupload(e *events.MediaRetry) actor.Reupload {
	return actor.Reupload{WAMessageID: e.MessageID, Open: func(key []byte) (string, error) {
		answer, err := whatsmeow.DecryptMediaRetryNotification(e, key)
		if err != nil {
			return "", fmt.Errorf("read answer: %w", err)
		}
		if answer.GetResult() != waMmsRetry.MediaRetryNotification_SUCCESS || answer.GetDirectPath() == "" {
			return "", errNoPath
		}
		return answer.GetDirectPath(), nil
	}}
}

// limitedFile is a file that does not grow beyond a limit, whatever a server sends.
type limitedFile struct {
	file    *os.File
	most    int64
	written int64 // since the start of the latest try
	over    bool
}

var _ whatsmeow.File = (*limitedFile)(nil)

var errTooLong = errors.New("file is too long")

func (l *limitedFile) Write(b []byte) (int, error) {
	if l.written+int64(len(b)) > l.most {
		l.over = true
		return 0, errTooLong
	}
	n, err := l.file.Write(b)
	l.written += int64(n)
	return n, err //nolint:wrapcheck // a file's own
}

// Seek goes back to the start before another try.
func (l *limitedFile) Seek(offset int64, whence int) (int64, error) {
	l.written = 0
	return l.file.Seek(offset, whence) //nolint:wrapcheck // a file's own
}

// What only passes on, with a file's own errors.

func (l *limitedFile) Read(b []byte) (int, error)              { return l.file.Read(b) }        //nolint:wrapcheck // see above
func (l *limitedFile) ReadAt(b []byte, at int64) (int, error)  { return l.file.ReadAt(b, at) }  //nolint:wrapcheck // see above
func (l *limitedFile) WriteAt(b []byte, at int64) (int, error) { return l.file.WriteAt(b, at) } //nolint:wrapcheck // see above
func (l *limitedFile) Truncate(size int64) error               { return l.file.Truncate(size) } //nolint:wrapcheck // see above
func (l *limitedFile) Stat() (os.FileInfo, error)              { return l.file.Stat() }         //nolint:wrapcheck // see above
