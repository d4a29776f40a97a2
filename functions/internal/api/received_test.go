package api_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"wafleet/shared/media"
	"wafleet/shared/media/mediatest"
	"wafleet/shared/message"
	"wafleet/shared/session"
	"wafleet/shared/store"
)

// The file of a message is fetched by the owner of the session, who is told through the database and woken.
func TestTheFileOfAMessage(t *testing.T) {
	t.Parallel()
	b := setup(t, likeAFunction)
	b.company(t, "962302", session.Connected)
	other := "other"
	b.company(t, other, session.Connected)
	b.exec(t, `UPDATE shard_lease SET host_id = 'h1', term = gen_random_uuid(), expires_at = now() + interval '1 hour' WHERE shard = 1`)
	fence := store.Fence{Shard: 1, Term: scan[uuid.UUID](t, b, `SELECT term FROM shard_lease WHERE shard = 1`), HostID: "h1"}
	_, _, err := b.store.Receive(t.Context(), fence, store.Arrival{
		CompanyID: "962302", ID: number(1), WAMessageID: "3AFF", Chat: "1", Sender: "1", SentAt: time.Now(), File: []byte(`{}`),
		Event: message.Incoming{Said: message.Said{Kind: message.Image, Media: &message.Media{MimeType: "image/png"}}},
	})
	require.NoError(t, err)
	shown := b.do(t, http.MethodGet, "/messages/"+store.IncomingID(number(1)), b.admin, "").status(200)
	id, _ := shown.value("data", "content", "media", "mediaId").(string)
	path := "/media/" + id + "?companyId=962302"
	state := func() string { return scan[string](t, b, `SELECT state FROM received_media`) }
	set := func(state, reason string) {
		b.exec(t, `UPDATE received_media SET state = $1, reason = $2, due_at = now() + interval '1 minute'`, state, reason)
	}
	require.Equal(t, "known", state())
	b.do(t, http.MethodGet, "/media/"+id, b.key(t, &other, "read"), "").status(404)
	b.do(t, http.MethodGet, path, b.key(t, &other, "read"), "").status(403)
	require.Equal(t, "known", state(), "nobody else sets anything going")

	for range 2 {
		a := b.do(t, http.MethodGet, path, b.admin, "").status(202).golden("media-fetching")
		require.Equal(t, "1", a.Header().Get("Retry-After"))
		require.Equal(t, "wanted", state())
	}
	set("asked", "gone")
	a := b.do(t, http.MethodGet, path, b.admin, "").status(202)
	require.Equal(t, "asked", a.value("data", "status"))
	set("failed", "unreachable")
	b.do(t, http.MethodGet, path, b.admin, "").status(502).code("PROVIDER_ERROR")
	set("failed", "damaged")
	b.do(t, http.MethodGet, path, b.admin, "").status(404).golden("media-damaged")
	b.exec(t, `UPDATE received_media SET due_at = now() - interval '1 minute'`)
	b.do(t, http.MethodGet, path, b.admin, "").status(404)
	b.exec(t, `UPDATE received_media SET reason = 'gone'`)
	b.do(t, http.MethodGet, path, b.admin, "").status(202)
	require.Equal(t, "wanted", state(), "perhaps the phone is back")

	require.NoError(t, mediatest.Put(t.Context(), b.media, media.Key("962302", id), []byte("picture")))
	require.NoError(t, b.store.KeepMedia(t.Context(), "962302", message.Media{ID: id, MimeType: "image/png", FileName: "cat.png", Size: 7}))
	file := b.do(t, http.MethodGet, path, b.admin, "").status(200)
	require.Equal(t, "picture", file.Body.String())
	require.Equal(t, "image/png", file.Header().Get("Content-Type"))
	require.True(t, strings.HasPrefix(file.Header().Get("Content-Disposition"), "attachment"))
}
