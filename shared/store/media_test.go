package store_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"wafleet/shared/message"
	"wafleet/shared/store"
)

func TestMediaIsKeptSealed(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	file := message.Media{ID: "med_1", MimeType: "image/png", FileName: "secret plan.png", Size: 7, Width: 3, Thumbnail: []byte("thumb")}
	_, err := f.UseMedia(t.Context(), company, file.ID)
	require.ErrorIs(t, err, store.ErrNoMedia)
	for range 2 {
		require.NoError(t, f.KeepMedia(t.Context(), company, file))
	}
	got, err := f.UseMedia(t.Context(), company, file.ID)
	require.NoError(t, err)
	require.Equal(t, file, got)
	_, err = f.UseMedia(t.Context(), "another", file.ID)
	require.ErrorIs(t, err, store.ErrNoMedia)
	require.NotContains(t, strings.Join(query(t, f.pool, `SELECT encode(about, 'escape') FROM media`), ""), "secret")
}

func TestAnUploadIsKeptForAWhile(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	require.NoError(t, f.KeepMedia(t.Context(), company, message.Media{ID: "med_1", MimeType: "image/png"}))
	up := message.Upload{DirectPath: "/v/1?x=1", MediaKey: []byte("key"), FileLength: 7}
	find := func(kind message.Kind) *message.Upload {
		t.Helper()
		found, err := f.MediaUpload(t.Context(), company, "med_1", kind)
		require.NoError(t, err)
		return found
	}
	require.Nil(t, find(message.Image))
	for _, path := range []string{"/old", up.DirectPath} { // the newer one counts
		up.DirectPath = path
		require.NoError(t, f.KeepMediaUpload(t.Context(), company, "med_1", message.Image, up))
	}
	require.Equal(t, &up, find(message.Image))
	require.Nil(t, find(message.Sticker), "another kind has other keys")
	f.exec(t, `UPDATE media_uploads SET uploaded_at = now() - interval '8 days'`)
	require.Nil(t, find(message.Image))

	require.NoError(t, f.KeepMediaUpload(t.Context(), company, "med_gone", message.Image, up), "a file that is gone is no error")
	require.Equal(t, []string{"med_1"}, query(t, f.pool, `SELECT media_id FROM media_uploads`))
}

func TestAPostponedMessageIsDueLater(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.put(t, outgoing{id: "queued", status: "queued"})
	f.put(t, outgoing{id: "sent", status: "sent"})
	p := store.Postponement{CompanyID: company, MessageID: "queued", Reason: "media_upload_failed", Delay: time.Hour}
	require.NoError(t, f.Postpone(t.Context(), f.fence, p))
	require.Equal(t, []string{"queued/media_upload_failed/1/true"}, query(t, f.pool, `
		SELECT status || '/' || reason || '/' || attempt || '/' || (due_at > now() + interval '59 minutes') FROM messages WHERE message_id = 'queued'`))
	p.MessageID = "sent"
	require.ErrorIs(t, f.Postpone(t.Context(), f.fence, p), store.ErrNotMoved)
}

func TestAnAnnouncedFileIsPendingUntilItIsKept(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	said, is := message.Media{ID: "med_1", MimeType: "video/mp4", Size: 9}, message.Media{ID: "med_1", MimeType: "image/png", Size: 9, Width: 3}
	for range 2 {
		require.NoError(t, f.AnnounceMedia(t.Context(), company, said))
		got, err := f.UseMedia(t.Context(), company, "med_1")
		require.ErrorIs(t, err, store.ErrMediaPending)
		require.Equal(t, said, got)
	}
	require.NoError(t, f.KeepMedia(t.Context(), company, is))
	require.NoError(t, f.AnnounceMedia(t.Context(), company, said), "too late")
	got, err := f.UseMedia(t.Context(), company, "med_1")
	require.NoError(t, err)
	require.Equal(t, is, got)
}
