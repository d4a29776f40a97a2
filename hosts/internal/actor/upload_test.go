package actor_test

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"wafleet/hosts/internal/actor"
	"wafleet/shared/media"
	"wafleet/shared/media/mediatest"
	"wafleet/shared/message"
	"wafleet/shared/store/db"
)

// file puts a file where the API puts it, and returns what messages hold of it.
func (b *bundle) file(t *testing.T, body string) *message.Media {
	t.Helper()
	sum := sha256.Sum256([]byte(body))
	m := &message.Media{ID: media.ID(company, sum), MimeType: "text/plain", Size: int64(len(body)), SHA256: hex.EncodeToString(sum[:])}
	require.NoError(t, mediatest.Put(t.Context(), b.media, media.Key(company, m.ID), []byte(body)))
	require.NoError(t, b.store.KeepMedia(t.Context(), company, *m))
	return m
}

// acceptFile is accept for a message with a file.
func (b *bundle) acceptFile(t *testing.T, phone, text string, m *message.Media) string {
	t.Helper()
	id := b.newID()
	b.queueContent(t, company, id, phone, message.Content{Kind: message.Document, Text: text, Media: m}, func(p *db.AcceptMessageParams) {
		p.Kind = string(message.Document)
	})
	b.fleet.Kick(company)
	return id
}

func TestAFileIsUploadedOnce(t *testing.T) {
	t.Parallel()
	b := setup(t, quick)
	b.online(t)
	file := b.file(t, "price list")
	first := b.acceptFile(t, "79001111111", "a", file)
	b.awaitStatus(t, first, message.Sent)
	second := b.acceptFile(t, "79002222222", "b", file)
	text := b.accept(t, "79002222222", "c")
	other := b.acceptFile(t, "79002222222", "d", b.file(t, "another"))
	for _, id := range []string{second, text, other} {
		b.awaitStatus(t, id, message.Sent)
	}
	var wires []string
	for _, frame := range b.AwaitFrames(t, 4) {
		wires = append(wires, string(frame.Wire))
	}
	require.Equal(t, []string{"wire:a:/upload-1", "wire:b:/upload-1", "wire:c", "wire:d:/upload-2"}, wires)
}

func TestAnUploadThatFailsIsTriedAgain(t *testing.T) {
	t.Parallel()
	b := setup(t, quick)
	b.online(t)
	failures := 0
	b.set(func(s *script) {
		s.OnUpload = func([]byte) error {
			if failures++; failures == 1 {
				return &actor.SendError{Outcome: actor.NotWritten, Reason: "media_upload_failed", Err: errors.New("server is busy")}
			}
			return nil
		}
	})
	id := b.acceptFile(t, "79001111111", "a", b.file(t, "price list"))
	after := b.accept(t, "79002222222", "another chat") // goes on meanwhile
	b.awaitStatus(t, after, message.Sent)
	b.awaitStatus(t, id, message.Sent)
	require.Contains(t, string(b.message(t, id).Trace), `"reason": "media_upload_failed"`)
}

func TestAFileThatIsGone(t *testing.T) {
	t.Parallel()
	b := setup(t, quick)
	b.online(t)
	gone, other := b.file(t, "gone"), b.file(t, "other")
	require.NoError(t, b.media.Delete(t.Context(), media.Key(company, gone.ID)))
	missing := b.acceptFile(t, "79001111111", "a", gone)
	require.NoError(t, mediatest.Put(t.Context(), b.media, media.Key(company, other.ID), []byte("changed")))
	damaged := b.acceptFile(t, "79001111111", "a", other)
	after := b.accept(t, "79001111111", "b")
	b.awaitStatus(t, after, message.Sent)
	require.Equal(t, "failed/media_missing", b.message(t, missing).Status+"/"+b.message(t, missing).Reason)
	require.Equal(t, "failed/media_damaged", b.message(t, damaged).Status+"/"+b.message(t, damaged).Reason)
	require.Len(t, b.AwaitFrames(t, 1), 1)
}
