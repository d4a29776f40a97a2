package api_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"wafleet/shared/media"
	"wafleet/shared/media/mediatest"
	"wafleet/shared/session"
)

// announcement tells of a file.
func announcement(file []byte, rest string) string {
	sum := sha256.Sum256(file)
	return fmt.Sprintf(`{"size":%d,"sha256":%q%s}`, len(file), hex.EncodeToString(sum[:]), rest)
}

func (b *bundle) announce(t *testing.T, body string) answer {
	t.Helper()
	return b.do(t, http.MethodPost, "/media?companyId=962302", b.admin, body)
}

func TestALargeFileIsAnnounced(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.company(t, "962302", session.Connected)
	file := append(mediatest.MP4(), bytes.Repeat([]byte{1}, 5<<20)...)
	up := b.announce(t, announcement(file, `,"fileName":"film.mp4","mimeType":"video/mp4"`)).status(201)
	id, _ := up.value("data", "mediaId").(string)
	to, _ := up.value("data", "uploadUrl").(string)
	path, ok := strings.CutPrefix(to, "http://example.com/api/whatsapp")
	require.True(t, ok, to)
	require.EqualValues(t, 900, up.value("data", "expiresIn"))

	video := `{"to":"79001234567","type":"video","mediaId":"` + id + `"}`
	b.post(t, video).status(404).code("NOT_FOUND")
	b.do(t, http.MethodGet, "/media/"+id+"?companyId=962302", b.admin, "").status(404)
	put := func(path string, file []byte) answer {
		t.Helper()
		return b.do(t, http.MethodPut, path, "", string(file), "Content-Type", "application/octet-stream")
	}
	put(path, file[1:]).status(400).code("VALIDATION_ERROR")
	put(path, append(file, 1)).status(413).code("MEDIA_TOO_LARGE")
	put(strings.Replace(path, "962302", "other", 1), file).status(403)
	put(strings.Replace(path, "expires=", "expires=9", 1), file).status(403)
	put(strings.Replace(path, id, "med_1", 1), file).status(403)
	put("/media/"+id, file).status(400)
	for range 2 {
		require.Equal(t, "video/mp4", put(path, file).status(200).value("data", "mimeType"))
	}
	b.post(t, video).status(202)
	require.Equal(t, "film.mp4", b.accepted(t).Media.FileName)
	require.Equal(t, file, b.do(t, http.MethodGet, "/media/"+id+"?companyId=962302", b.admin, "").status(200).Body.Bytes())

	require.Nil(t, b.announce(t, announcement(file, "")).status(201).value("data", "uploadUrl"), "it is there already")
}

// With S3 the file goes there, past us; it is looked at when it is used.
func TestAnAnnouncedFileInS3(t *testing.T) {
	t.Parallel()
	b := setup(t, func(o *options) { o.media = func(f *media.Folder) media.Store { return linking{f} } })
	b.company(t, "962302", session.Connected)
	for _, real := range []bool{true, false} {
		file := append(mediatest.PNG(t, 3, 3, 1), strconv.FormatBool(real)...)
		up := b.announce(t, announcement(file, `,"mimeType":"image/png"`)).status(201)
		id, _ := up.value("data", "mediaId").(string)
		require.Equal(t, fmt.Sprintf("https://bucket.example/962302/%s?%d15m0s", id, len(file)), up.value("data", "uploadUrl"))
		require.Equal(t, map[string]any{"X-Sum": "1"}, up.value("data", "uploadHeaders"))
		image := `{"to":"79001234567","type":"image","mediaId":"` + id + `"}`
		b.post(t, image).status(404)
		if !real {
			file = []byte("another")
		}
		require.NoError(t, mediatest.Put(t.Context(), b.media, media.Key("962302", id), file))
		if real {
			b.post(t, image).status(202)
			require.Equal(t, 3, b.accepted(t).Media.Width)
			continue
		}
		b.post(t, image).status(400).code("VALIDATION_ERROR")
	}
	require.Equal(t, "image/png,", scan[string](t, b, `SELECT string_agg(mime_type, ',' ORDER BY created_at) FROM media`))
}

func TestAnnouncementsThatAreRefused(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.company(t, "962302", session.Connected)
	hash := strings.Repeat("0a", 32)
	for name, tc := range map[string]struct {
		body   string
		status int
		field  any
	}{
		"empty":           {`{"size":0,"sha256":"` + hash + `"}`, 400, "size"},
		"too large":       {`{"size":104857601,"sha256":"` + hash + `"}`, 413, nil},
		"no hash":         {`{"size":1}`, 400, "sha256"},
		"half a hash":     {`{"size":1,"sha256":"` + hash[:32] + `"}`, 400, "sha256"},
		"no hex":          {`{"size":1,"sha256":"` + strings.Repeat("zz", 32) + `"}`, 400, "sha256"},
		"bad type":        {`{"size":1,"sha256":"` + hash + `","mimeType":"/"}`, 400, "mimeType"},
		"name with slash": {`{"size":1,"sha256":"` + hash + `","fileName":"a/b"}`, 400, "fileName"},
		"unknown field":   {`{"size":1,"sha256":"` + hash + `","colour":1}`, 400, "colour"},
	} {
		a := b.announce(t, tc.body).status(tc.status)
		if tc.field != nil {
			require.Equal(t, tc.field, a.value("error", "details", "field"), name)
		}
	}
	require.Zero(t, scan[int](t, b, `SELECT count(*) FROM media`))
}
