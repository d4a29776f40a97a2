package api_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"io"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"net/textproto"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"wafleet/shared/media"
	"wafleet/shared/media/mediatest"
	"wafleet/shared/message"
	"wafleet/shared/session"
)

// upload sends a form with a file; empty name: as another field.
func (b *bundle) upload(t *testing.T, key, field, name, mimeType string, file []byte) answer {
	t.Helper()
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	header := textproto.MIMEHeader{"Content-Disposition": {`form-data; name="` + field + `"; filename="` + name + `"`}}
	if mimeType != "" {
		header.Set("Content-Type", mimeType)
	}
	part, err := form.CreatePart(header)
	require.NoError(t, err)
	_, err = part.Write(file)
	require.NoError(t, err)
	require.NoError(t, form.Close())
	return b.do(t, http.MethodPost, "/media?companyId=962302", key, body.String(), "Content-Type", form.FormDataContentType())
}

func TestUploadAndDownload(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.company(t, "962302", session.Connected)
	picture := mediatest.PNG(t, 20, 10, 1)
	up := b.upload(t, b.admin, "file", "price list.png", "", picture).status(201).golden("media")
	id, _ := up.value("data", "mediaId").(string)
	require.Equal(t, "/api/whatsapp/media/"+id, up.Header().Get("Location"))
	require.Equal(t, id, b.upload(t, b.admin, "file", "again.png", "", picture).status(201).value("data", "mediaId"), "the same file")

	got := b.do(t, http.MethodGet, "/media/"+id+"?companyId=962302", b.admin, "").status(200)
	require.Equal(t, picture, got.Body.Bytes())
	require.Equal(t, "image/png", got.Header().Get("Content-Type"))
	require.Equal(t, "nosniff", got.Header().Get("X-Content-Type-Options"))
	require.Equal(t, `attachment; filename="price list.png"`, got.Header().Get("Content-Disposition"))

	b.post(t, `{"to":"79001234567","type":"image","mediaId":"`+id+`","caption":"look"}`).status(202)
	sent := b.accepted(t)
	require.Equal(t, "look", sent.Text)
	require.NotEmpty(t, sent.Media.Thumbnail)
	sent.Media.Thumbnail = nil
	require.Equal(t, &message.Media{
		ID: id, MimeType: "image/png", FileName: "price list.png", Size: int64(len(picture)), SHA256: sent.Media.SHA256, Width: 20, Height: 10,
	}, sent.Media)
	require.Len(t, sent.Media.SHA256, 64)
}

func TestAFileIsItsCompanys(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.company(t, "962302", session.Connected)
	b.company(t, "other", session.Connected)
	own, other := "962302", "other"
	id, _ := b.upload(t, b.key(t, &own, "send"), "file", "x.png", "", mediatest.PNG(t, 1, 1, 1)).status(201).value("data", "mediaId").(string)
	b.do(t, http.MethodGet, "/media/"+id, b.key(t, &own, "read"), "").status(200)
	b.do(t, http.MethodGet, "/media/"+id, b.key(t, &own, "send"), "").status(403)
	b.do(t, http.MethodGet, "/media/"+id, b.key(t, &other, "read"), "").status(404).code("NOT_FOUND")
	b.do(t, http.MethodGet, "/media/"+id+"?companyId=962302", b.key(t, &other, "read"), "").status(403)
	b.upload(t, b.key(t, &other, "send"), "file", "x.png", "", mediatest.PNG(t, 1, 1, 1)).status(403)
	b.do(t, http.MethodPost, "/messages", b.key(t, &other, "send"), `{"to":"79001234567","type":"image","mediaId":"`+id+`"}`).status(404)
	require.NotContains(t, scan[string](t, b, `SELECT encode(about, 'escape') FROM media`), "x.png", "names are sealed")
}

func TestUploadRefuses(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.company(t, "962302", session.Connected)
	b.upload(t, b.admin, "file", "x", "", nil).status(400).code("VALIDATION_ERROR")
	b.upload(t, b.admin, "picture", "x", "", []byte("x")).status(400).code("VALIDATION_ERROR")
	b.upload(t, b.admin, "file", "x", "", make([]byte, 4<<20+1)).status(413).code("MEDIA_TOO_LARGE")
	b.upload(t, b.admin, "file", "x", "", make([]byte, 5<<20)).status(413).code("MEDIA_TOO_LARGE")
	b.upload(t, b.admin, "file", "x", "", make([]byte, 4<<20)).status(201)
	b.do(t, http.MethodPost, "/media?companyId=962302", b.admin, `{"file":"x"}`).status(400).code("VALIDATION_ERROR")
	b.do(t, http.MethodPost, "/media?companyId=962302", b.admin, "x", "Content-Type", "image/png").status(415).code("UNSUPPORTED_MEDIA_TYPE")
	b.do(t, http.MethodPost, "/media?companyId=962302", b.admin, "").status(415).code("UNSUPPORTED_MEDIA_TYPE")
	b.do(t, http.MethodPost, "/media?companyId=962302", b.admin, `--x`, "Content-Type", "multipart/form-data; boundary=x").status(400)
	b.do(t, http.MethodPost, "/media?companyId=962302", b.admin, `--x`, "Content-Type", "multipart/form-data").status(400)
	b.do(t, http.MethodGet, "/media/nothing?companyId=962302", b.admin, "").status(404).code("NOT_FOUND")
	require.Equal(t, 1, scan[int](t, b, `SELECT count(*) FROM media`))
}

// web is a customer's web server.
func web(t *testing.T) (url string, visits *atomic.Int32) {
	t.Helper()
	visits = new(atomic.Int32)
	mux := http.NewServeMux()
	serve := func(path, mimeType string, file []byte) {
		mux.HandleFunc(path, func(w http.ResponseWriter, _ *http.Request) {
			visits.Add(1)
			w.Header().Set("Content-Type", mimeType)
			_, _ = w.Write(file)
		})
	}
	serve("/image.jpg", "image/jpeg", mediatest.JPEG(t, 4, 3, 1))
	serve("/list.csv", "text/csv", []byte("a,b\n"))
	serve("/page.jpg", "image/jpeg", []byte("<html><body>not found</body></html>"))
	serve("/voice", "application/octet-stream", mediatest.Opus(2))
	serve("/song.mp3", "audio/mpeg", mediatest.MP3())
	serve("/sticker", "image/webp", mediatest.WebP(t))
	serve("/large", "image/webp", make([]byte, 1<<20+1))
	mux.HandleFunc("/inside", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "http://169.254.169.254/latest/meta-data", http.StatusFound)
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return server.URL, visits
}

func TestSendMediaIsThePredecessors(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.company(t, "962302", session.Connected)
	site, visits := web(t)
	body := `{"phone":"79001234567","mediaUrl":"` + site + `/image.jpg","type":"image","caption":"Check this out!","companyId":"962302"}`
	for range 2 {
		b.do(t, http.MethodPost, "/send-media", b.admin, body).status(200).golden("send") // as /send answers
	}
	sent := b.accepted(t)
	require.Equal(t, message.Image, sent.Kind)
	require.Equal(t, "Check this out!", sent.Text)
	require.Equal(t, "image.jpg", sent.Media.FileName)
	require.Equal(t, 1, scan[int](t, b, `SELECT count(*) FROM media`), "one file, however often it is sent")

	for _, bad := range []string{
		strings.Replace(body, "image\",", "text\",", 1), strings.Replace(body, "79001234567", "1", 1),
		strings.Replace(body, "caption", "subtitle", 1), strings.Replace(body, "Check", strings.Repeat("x", 1024), 1),
	} {
		b.do(t, http.MethodPost, "/send-media", b.admin, bad).status(400).code("VALIDATION_ERROR")
	}
	require.EqualValues(t, 2, visits.Load())
}

// A repeated call is answered from what is recorded; the file is not fetched again.
func TestARepeatedSendFetchesNothing(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.company(t, "962302", session.Connected)
	site, visits := web(t)
	body := `{"phone":"79001234567","mediaUrl":"` + site + `/image.jpg","type":"image","companyId":"962302"}`
	first := b.do(t, http.MethodPost, "/send-media", b.admin, body, "Idempotency-Key", "1").status(200)
	b.exec(t, `UPDATE messages SET status = 'queued', body = ''`)
	again := b.do(t, http.MethodPost, "/send-media", b.admin, body, "Idempotency-Key", "1").status(200)
	require.Equal(t, first.Body.String(), again.Body.String())
	require.EqualValues(t, 1, visits.Load())
	b.do(t, http.MethodPost, "/send-media", b.admin, strings.Replace(body, "image.jpg", "list.csv", 1), "Idempotency-Key", "1").
		status(409).code("IDEMPOTENCY_CONFLICT")
}

func TestFilesFromEverywhere(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.company(t, "962302", session.Connected)
	site, _ := web(t)
	inline := base64.StdEncoding.EncodeToString(mediatest.PNG(t, 2, 2, 2))
	for body, want := range map[string]message.Media{
		`{"type":"document","mediaUrl":"` + site + `/list.csv","caption":"x"}`:                    {MimeType: "text/csv", FileName: "list.csv"},
		`{"type":"document","mediaUrl":"` + site + `/list.csv","fileName":"prices.csv"}`:          {MimeType: "text/csv", FileName: "prices.csv"},
		`{"type":"document","mediaBase64":"eyJhIjoxfQ==","mimeType":"application/json"}`:          {MimeType: "application/json", FileName: "file.json"},
		`{"type":"voice","mediaUrl":"` + site + `/voice"}`:                                        {MimeType: media.MimeOpus, Seconds: 2},
		`{"type":"audio","mediaUrl":"` + site + `/song.mp3"}`:                                     {MimeType: "audio/mpeg", FileName: "song.mp3"},
		`{"type":"sticker","mediaUrl":"` + site + `/sticker"}`:                                    {MimeType: "image/webp", Width: 1, Height: 1},
		`{"type":"image","mediaBase64":"` + inline + `"}`:                                         {MimeType: "image/png", Width: 2, Height: 2},
		`{"type":"image","mediaBase64":"data:image/png;base64,` + inline + `","caption":"hello"}`: {MimeType: "image/png", Width: 2, Height: 2},
	} {
		b.post(t, strings.Replace(body, "{", `{"to":"79001234567",`, 1)).status(202)
		got := *b.accepted(t).Media
		require.Equal(t, got.Size, int64(len(mediatest.Get(t, b.media, media.Key("962302", got.ID)))))
		got.ID, got.SHA256, got.Size, got.Thumbnail = "", "", 0, nil
		require.Equal(t, want, got, body)
	}
}

func TestFilesThatAreRefused(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.company(t, "962302", session.Connected)
	b.exec(t, `UPDATE companies SET rate_burst = 100`)
	site, visits := web(t)
	for name, tc := range map[string]struct { //nolint:paralleltest // what they leave is looked at afterwards
		body   string
		status int
		code   string
	}{
		"no file":                {`{"type":"image"}`, 400, "VALIDATION_ERROR"},
		"two files":              {`{"type":"image","mediaId":"med_1","mediaUrl":"` + site + `/image.jpg"}`, 400, "VALIDATION_ERROR"},
		"unknown file":           {`{"type":"image","mediaId":"med_1"}`, 404, "NOT_FOUND"},
		"not base64":             {`{"type":"image","mediaBase64":"%"}`, 400, "VALIDATION_ERROR"},
		"empty":                  {`{"type":"document","mediaBase64":""}`, 400, "VALIDATION_ERROR"},
		"bad type":               {`{"type":"document","mediaBase64":"eA==","mimeType":"/"}`, 400, "VALIDATION_ERROR"},
		"name with a path":       {`{"type":"document","mediaBase64":"eA==","fileName":"../x"}`, 400, "VALIDATION_ERROR"},
		"caption of a voice":     {`{"type":"voice","mediaUrl":"` + site + `/voice","caption":"x"}`, 400, "VALIDATION_ERROR"},
		"long caption":           {`{"type":"image","mediaUrl":"` + site + `/image.jpg","caption":"` + strings.Repeat("я", 1025) + `"}`, 400, "VALIDATION_ERROR"},
		"page instead of image":  {`{"type":"image","mediaUrl":"` + site + `/page.jpg"}`, 415, "MEDIA_TYPE_UNSUPPORTED"},
		"jpeg as sticker":        {`{"type":"sticker","mediaUrl":"` + site + `/image.jpg"}`, 415, "MEDIA_TYPE_UNSUPPORTED"},
		"song as video":          {`{"type":"video","mediaUrl":"` + site + `/song.mp3"}`, 415, "MEDIA_TYPE_UNSUPPORTED"},
		"large sticker":          {`{"type":"sticker","mediaUrl":"` + site + `/large"}`, 413, "MEDIA_TOO_LARGE"},
		"nothing there":          {`{"type":"image","mediaUrl":"` + site + `/nothing"}`, 400, "MEDIA_FETCH_FAILED"},
		"private address":        {`{"type":"image","mediaUrl":"https://10.0.0.1/x.png"}`, 400, "MEDIA_FETCH_BLOCKED"},
		"metadata service":       {`{"type":"image","mediaUrl":"http://169.254.169.254/"}`, 400, "MEDIA_FETCH_BLOCKED"},
		"redirect to the inside": {`{"type":"image","mediaUrl":"` + site + `/inside"}`, 400, "MEDIA_FETCH_BLOCKED"},
		"a local file":           {`{"type":"image","mediaUrl":"file:///etc/passwd"}`, 400, "MEDIA_FETCH_BLOCKED"},
		"not a URL":              {`{"type":"image","mediaUrl":"image.jpg"}`, 400, "MEDIA_FETCH_BLOCKED"},
	} {
		t.Run(name, func(t *testing.T) {
			b.post(t, strings.Replace(tc.body, "{", `{"to":"79001234567",`, 1)).status(tc.status).code(tc.code)
		})
	}
	require.Zero(t, scan[int](t, b, `SELECT count(*) FROM messages`))
	require.Zero(t, scan[int](t, b, `SELECT count(*) FROM media`))
	require.Positive(t, visits.Load())
	require.NotContains(t, b.logs.String(), "169.254.169.254/latest", "URLs may hold tokens")
}

func TestALinkIsShown(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.company(t, "962302", session.Connected)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		_, _ = io.WriteString(w, "<title>Salon</title>")
	}))
	t.Cleanup(server.Close)
	body := `{"to":"79001234567","type":"text","text":"see ` + server.URL + `/x","linkPreview":true}`
	b.post(t, body).status(202)
	require.Equal(t, &message.LinkPreview{URL: server.URL + "/x", Title: "Salon"}, b.accepted(t).Preview)
	b.post(t, strings.Replace(body, "true", "false", 1)).status(202)
	require.Nil(t, b.accepted(t).Preview)
	b.post(t, strings.Replace(body, server.URL, "http://169.254.169.254", 1)).status(202)
	require.Nil(t, b.accepted(t).Preview, "a page that cannot be had is no error")
}

// Nothing is fetched for a message that will not be taken anyway.
func TestNothingIsFetchedInVain(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.company(t, "962302", session.LoggedOut)
	site, visits := web(t)
	b.post(t, `{"to":"79001234567","type":"image","mediaUrl":"`+site+`/image.jpg"}`).status(409).code("MESSAGE_SEND_ERROR")
	require.Zero(t, visits.Load())
}

func TestVoiceOfOtherAudio(t *testing.T) {
	t.Parallel()
	opus := filepath.Join(t.TempDir(), "opus")
	require.NoError(t, os.WriteFile(opus, mediatest.Opus(5), 0o600))
	ffmpeg := filepath.Join(t.TempDir(), "ffmpeg")
	require.NoError(t, os.WriteFile(ffmpeg, []byte("#!/bin/sh\nfor last; do :; done\ncp "+opus+" \"$last\"\n"), 0o700))
	site, _ := web(t)
	body := `{"to":"79001234567","type":"voice","mediaUrl":"` + site + `/song.mp3"}`

	with := setup(t, func(o *options) { o.config.FFmpeg = ffmpeg })
	with.company(t, "962302", session.Connected)
	with.post(t, body).status(202)
	voice := with.accepted(t).Media
	require.Equal(t, media.MimeOpus, voice.MimeType)
	require.Equal(t, 5, voice.Seconds)
	id, _ := with.upload(t, with.admin, "file", "song.mp3", "", mediatest.MP3()).status(201).value("data", "mediaId").(string)
	with.post(t, `{"to":"79001234567","type":"voice","mediaId":"`+id+`"}`).status(202)
	require.Equal(t, voice.ID, with.accepted(t).Media.ID)

	without := setup(t, func(o *options) { o.config.FFmpeg = "no-such-ffmpeg" })
	without.company(t, "962302", session.Connected)
	a := without.post(t, body).status(415).code("MEDIA_TYPE_UNSUPPORTED")
	require.Contains(t, a.value("error", "message"), "ffmpeg")
}

func TestWithoutAMediaStore(t *testing.T) {
	t.Parallel()
	b := setup(t, func(o *options) { o.media = func(*media.Folder) media.Store { return nil } })
	b.company(t, "962302", session.Connected)
	b.upload(t, b.admin, "file", "x", "", []byte("x")).status(500).code("CONFIGURATION_ERROR")
	b.do(t, http.MethodGet, "/media/x?companyId=962302", b.admin, "").status(500).code("CONFIGURATION_ERROR")
	b.post(t, `{"to":"79001234567","type":"image","mediaBase64":"eA=="}`).status(500).code("CONFIGURATION_ERROR")
}

// linking is a store like S3, which people read from themselves.
type linking struct{ media.Store }

func (linking) Link(_ context.Context, key, mimeType, fileName string, life time.Duration) (string, error) {
	return "https://bucket.example/" + key + "?" + mimeType + fileName + life.String(), nil
}

func (linking) UploadLink(_ context.Context, key string, size int64, _ [32]byte, life time.Duration) (string, map[string]string, error) {
	return "https://bucket.example/" + key + "?" + strconv.FormatInt(size, 10) + life.String(), map[string]string{"X-Sum": "1"}, nil
}

// full is a store that takes nothing.
type full struct{ media.Store }

func (full) Put(context.Context, media.Object) error { return io.ErrShortWrite }

func TestOtherStores(t *testing.T) {
	t.Parallel()
	b := setup(t, func(o *options) { o.media = func(f *media.Folder) media.Store { return linking{f} } })
	b.company(t, "962302", session.Connected)
	id, _ := b.upload(t, b.admin, "file", "x.png", "", mediatest.PNG(t, 1, 1, 1)).status(201).value("data", "mediaId").(string)
	got := b.do(t, http.MethodGet, "/media/"+id+"?companyId=962302", b.admin, "").status(302)
	require.Equal(t, "https://bucket.example/962302/"+id+"?image/pngx.png5m0s", got.Header().Get("Location"))

	b = setup(t, func(o *options) { o.media = func(f *media.Folder) media.Store { return full{f} } })
	b.company(t, "962302", session.Connected)
	b.upload(t, b.admin, "file", "x.png", "", mediatest.PNG(t, 1, 1, 1)).status(503).code("CONNECTION_ERROR")
	require.Zero(t, scan[int](t, b, `SELECT count(*) FROM media`))
}
