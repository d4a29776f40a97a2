package sweep_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"wafleet/shared/media"
	"wafleet/shared/media/mediatest"
	"wafleet/shared/message"
)

func TestFilesThatNobodyUsesAreDeleted(t *testing.T) {
	t.Parallel()
	b := newBundle(t, 2)
	old := []string{"med_1", "med_2", "med_3", "med_gone"}
	for _, id := range append(old, "med_new") {
		require.NoError(t, b.store.KeepMedia(t.Context(), company, message.Media{ID: id, MimeType: "image/png"}))
		if id != "med_gone" { // a run before this one came as far as the file
			require.NoError(t, mediatest.Put(t.Context(), b.media, media.Key(company, id), []byte(id)))
		}
	}
	require.NoError(t, b.store.KeepMediaUpload(t.Context(), company, "med_1", message.Image, message.Upload{}))
	_, err := b.pool.Exec(t.Context(), `UPDATE media SET used_at = now() - interval '91 days' WHERE media_id = ANY($1)`, old)
	require.NoError(t, err)
	_, err = b.pool.Exec(t.Context(), `UPDATE media SET used_at = now() - interval '89 days' WHERE media_id = 'med_new'`)
	require.NoError(t, err)

	require.NoError(t, b.sweeper.Run(t.Context()))
	for _, id := range old {
		_, _, err := b.media.Open(t.Context(), media.Key(company, id))
		require.ErrorIs(t, err, media.ErrNotFound)
	}
	require.Equal(t, "med_new", string(mediatest.Get(t, b.media, media.Key(company, "med_new"))))
	var left string
	require.NoError(t, b.pool.QueryRow(t.Context(), `SELECT string_agg(media_id, ',') FROM media`).Scan(&left))
	require.Equal(t, "med_new", left)
}

// A row outlives a file that cannot be deleted: it is what the next run knows of it.
func TestAFileThatCannotBeDeletedIsKeptInMind(t *testing.T) {
	t.Parallel()
	b := newBundle(t, 2)
	require.NoError(t, b.store.KeepMedia(t.Context(), company, message.Media{ID: "not/a/key", MimeType: "image/png"}))
	_, err := b.pool.Exec(t.Context(), `UPDATE media SET used_at = now() - interval '91 days'`)
	require.NoError(t, err)
	require.ErrorIs(t, b.sweeper.Run(t.Context()), media.ErrBadKey)
	var left int
	require.NoError(t, b.pool.QueryRow(t.Context(), `SELECT count(*) FROM media`).Scan(&left))
	require.Equal(t, 1, left)
}
