package wasim_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"testing"

	"github.com/stretchr/testify/require"
	"go.mau.fi/whatsmeow"
	"go.mau.fi/whatsmeow/proto/waE2E"
	"go.mau.fi/whatsmeow/types/events"

	"wafleet/infra/wasim"
)

// picture is a file of some size that starts like a PNG.
func picture(size int) []byte {
	return append([]byte("\x89PNG\r\n\x1a\n"), bytes.Repeat([]byte("pixel"), size/5)...)
}

func hashOf(file []byte) string {
	hash := sha256.Sum256(file)
	return hex.EncodeToString(hash[:])
}

func imageMessage(up whatsmeow.UploadResponse) *waE2E.Message {
	return &waE2E.Message{ImageMessage: &waE2E.ImageMessage{
		URL: &up.URL, DirectPath: &up.DirectPath, MediaKey: up.MediaKey, FileEncSHA256: up.FileEncSHA256,
		FileSHA256: up.FileSHA256, FileLength: &up.FileLength, Mimetype: new("image/png"),
		Caption: new("look"),
	}}
}

func TestMediaGoesBothWays(t *testing.T) {
	t.Parallel()
	b := start(t, wasim.Options{})
	b.phone(t, anna, "Anna")
	b.phone(t, boris, "Boris")
	company := b.pair(t, anna)

	file := picture(100_000)
	uploaded, err := company.Upload(t.Context(), file, whatsmeow.MediaImage)
	require.NoError(t, err)
	_, err = company.SendMessage(t.Context(), user(boris), imageMessage(uploaded))
	require.NoError(t, err)
	row := b.awaitText(t, boris, "look")
	require.Equal(t, wasim.Image, row.Type)
	require.Equal(t, "image/png", row.MimeType)
	require.Equal(t, hashOf(file), row.MediaSHA256)
	require.Empty(t, row.MediaError)

	for _, kind := range []wasim.MessageType{wasim.Image, wasim.Video, wasim.Audio, wasim.Voice, wasim.Document, wasim.Sticker} {
		company.forget()
		_, err = b.SendMessage(t.Context(), boris, wasim.Outgoing{
			To: anna, Content: wasim.Content{Type: kind, FileName: "a.bin"}, Media: picture(1000),
		})
		require.NoError(t, err)
		came := await[*events.Message](t, company, nil)
		got, err := company.DownloadAny(t.Context(), came.Message)
		require.NoError(t, err, kind)
		require.Equal(t, picture(1000), got, kind)
	}
	b.noneUnhandled(t)
}

func TestMediaSurvivesARestart(t *testing.T) {
	t.Parallel()
	b := start(t, wasim.Options{})
	b.phone(t, anna, "Anna")
	b.phone(t, boris, "Boris")
	company := b.pair(t, anna)
	company.Disconnect()
	_, err := b.SendMessage(t.Context(), boris, wasim.Outgoing{
		To: anna, Content: wasim.Content{Type: wasim.Image}, Media: picture(1000),
	})
	require.NoError(t, err)
	b.restart(t)
	company.login(t)
	came := await[*events.Message](t, company, nil)
	got, err := company.DownloadAny(t.Context(), came.Message)
	require.NoError(t, err)
	require.Equal(t, picture(1000), got)
}

func TestMedia401(t *testing.T) {
	t.Parallel()
	b := start(t, wasim.Options{})
	b.phone(t, anna, "Anna")
	b.phone(t, boris, "Boris")
	company := b.pair(t, anna)
	uploaded, err := company.Upload(t.Context(), picture(100), whatsmeow.MediaImage)
	require.NoError(t, err)
	_, err = b.AddFault(t.Context(), wasim.Fault{Kind: wasim.Media401, Phone: boris})
	require.NoError(t, err)
	_, err = company.Upload(t.Context(), picture(100), whatsmeow.MediaImage)
	require.NoError(t, err, "the fault is for another account")

	_, err = b.AddFault(t.Context(), wasim.Fault{Kind: wasim.Media401, Phone: anna, Count: 1})
	require.NoError(t, err)
	_, err = company.Upload(t.Context(), picture(100), whatsmeow.MediaImage)
	require.ErrorContains(t, err, "401")
	_, err = company.Upload(t.Context(), picture(100), whatsmeow.MediaImage)
	require.NoError(t, err)

	_, err = b.AddFault(t.Context(), wasim.Fault{Kind: wasim.Media401, Phone: anna})
	require.NoError(t, err)
	_, err = company.Download(t.Context(), imageMessage(uploaded).GetImageMessage())
	require.Error(t, err)
	b.ClearFaults()
	_, err = company.Download(t.Context(), imageMessage(uploaded).GetImageMessage())
	require.NoError(t, err)
}

func TestPhoneTellsThatAFileIsMissing(t *testing.T) {
	t.Parallel()
	b := start(t, wasim.Options{})
	b.phone(t, anna, "Anna")
	b.phone(t, boris, "Boris")
	company := b.pair(t, anna)
	uploaded, err := company.Upload(t.Context(), picture(100), whatsmeow.MediaImage)
	require.NoError(t, err)
	uploaded.DirectPath = "/v/t62.7118-24/" + hashOf(nil) + "?ccb=1"
	_, err = company.SendMessage(t.Context(), user(boris), imageMessage(uploaded))
	require.NoError(t, err)
	row := b.awaitText(t, boris, "look")
	require.Empty(t, row.MediaSHA256)
	require.NotEmpty(t, row.MediaError)
}
