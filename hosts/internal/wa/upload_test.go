package wa

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"testing"

	"github.com/stretchr/testify/require"
	"go.mau.fi/whatsmeow"

	"wafleet/hosts/internal/actor"
	"wafleet/infra/wasim"
	"wafleet/shared/media"
	"wafleet/shared/media/mediatest"
	"wafleet/shared/message"
)

// opened hands a file out as the media store does, and counts.
func opened(file []byte, times *int) func() (io.ReadCloser, error) {
	return func() (io.ReadCloser, error) {
		*times++
		return io.NopCloser(bytes.NewReader(file)), nil
	}
}

// What arrives on a phone is the file, byte for byte, whatever it is sent as.
func TestFilesArrive(t *testing.T) {
	t.Parallel()
	l, anna := paired(t), newPhone(t)
	for i, tc := range []struct {
		kind    message.Kind
		text    string
		file    []byte
		media   message.Media
		content wasim.Content
	}{
		{message.Image, "look", mediatest.PNG(t, 40, 30, 1), message.Media{MimeType: "image/png", Width: 40, Height: 30}, wasim.Content{Type: wasim.Image, Text: "look", MimeType: "image/png"}},
		{message.Video, "", mediatest.MP4(), message.Media{MimeType: "video/mp4"}, wasim.Content{Type: wasim.Video, MimeType: "video/mp4"}},
		{message.Audio, "", mediatest.MP3(), message.Media{MimeType: "audio/mpeg"}, wasim.Content{Type: wasim.Audio, MimeType: "audio/mpeg"}},
		{message.Voice, "", mediatest.Opus(3), message.Media{MimeType: media.MimeOpus, Seconds: 3}, wasim.Content{Type: wasim.Voice, MimeType: media.MimeOpus}},
		{message.Document, "the list", mediatest.PDF(), message.Media{MimeType: "application/pdf", FileName: "list.pdf"}, wasim.Content{Type: wasim.Document, Text: "the list", MimeType: "application/pdf", FileName: "list.pdf"}},
		{message.Document, "", mediatest.PDF(), message.Media{MimeType: "application/pdf", FileName: "list.pdf"}, wasim.Content{Type: wasim.Document, MimeType: "application/pdf", FileName: "list.pdf"}},
		{message.Sticker, "", mediatest.WebP(t), message.Media{MimeType: "image/webp", Width: 1, Height: 1}, wasim.Content{Type: wasim.Sticker, MimeType: "image/webp"}},
	} {
		times := 0
		up, err := l.Upload(t.Context(), tc.kind, opened(tc.file, &times))
		require.NoError(t, err)
		require.Equal(t, 1, times)
		require.EqualValues(t, len(tc.file), up.FileLength)
		tc.media.ID = "med_1"
		wire, err := shared.Build(message.Content{Kind: tc.kind, Text: tc.text, Media: &tc.media}, &up)
		require.NoError(t, err)
		id := fmt.Sprintf("3EB0DD%02d", i)
		require.NoError(t, l.Send(t.Context(), actor.Outgoing{ID: id, Phone: anna, Wire: wire}), tc.kind)
		got := arrived(t, anna, id)
		require.Equal(t, tc.content, got.Content)
		sum := sha256.Sum256(tc.file)
		require.Equal(t, hex.EncodeToString(sum[:]), got.MediaSHA256, got.MediaError)
	}
}

// The token for the media servers is kept by whatsmeow; when they no longer take it, a new one is asked for.
func TestAnUploadWithAFreshToken(t *testing.T) {
	t.Parallel()
	l := paired(t)
	times := 0
	l.fault(t, wasim.Media401)
	_, err := l.Upload(t.Context(), message.Image, opened(mediatest.PNG(t, 1, 1, 1), &times))
	require.NoError(t, err)
	require.Equal(t, 2, times)

	_, err = whatsapp.AddFault(t.Context(), wasim.Fault{Kind: wasim.Media401, Phone: l.number, Count: 2})
	require.NoError(t, err)
	_, err = l.Upload(t.Context(), message.Image, opened(mediatest.PNG(t, 1, 1, 1), &times))
	failed := refusal(t, err)
	require.Equal(t, actor.NotWritten, failed.Outcome)
	require.Equal(t, "media_upload_failed", failed.Reason)
	require.False(t, failed.Final, "it may go better later")
}

func TestAnUploadNeedsAConnectionAndAFile(t *testing.T) {
	t.Parallel()
	l := paired(t)
	_, err := l.Upload(t.Context(), message.Image, func() (io.ReadCloser, error) { return nil, media.ErrNotFound })
	failed := refusal(t, err)
	require.Equal(t, "media_missing", failed.Reason)
	require.True(t, failed.Final)
	require.ErrorIs(t, err, media.ErrNotFound)

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	times := 0
	_, err = l.Upload(ctx, message.Image, opened(mediatest.WebP(t), &times))
	require.Equal(t, "media_upload_failed", refusal(t, err).Reason)

	l.hang()
	_, err = l.Upload(t.Context(), message.Image, opened(mediatest.WebP(t), &times))
	require.Equal(t, "connection_lost", refusal(t, err).Reason)
	require.Equal(t, "connection_lost", refusal(t, uploadError(errors.Join(whatsmeow.ErrNotConnected))).Reason)
}

func TestAFileHasToBeUploadedFirst(t *testing.T) {
	t.Parallel()
	_, err := shared.Build(message.Content{Kind: message.Image, Media: &message.Media{ID: "med_1"}}, nil)
	require.ErrorIs(t, err, errNoUpload)
}
