package media_test

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"image/jpeg"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"wafleet/shared/media"
	"wafleet/shared/media/mediatest"
	"wafleet/shared/message"
)

func TestInspect(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		file     []byte
		declared string
		want     message.Media
	}{
		"png":                     {mediatest.PNG(t, 200, 100, 1), "image/gif", message.Media{MimeType: "image/png", Width: 200, Height: 100}},
		"jpeg":                    {mediatest.JPEG(t, 30, 60, 1), "", message.Media{MimeType: "image/jpeg", Width: 30, Height: 60}},
		"webp":                    {mediatest.WebP(t), "text/html", message.Media{MimeType: "image/webp", Width: 1, Height: 1}},
		"voice":                   {mediatest.Opus(7), "audio/mpeg", message.Media{MimeType: media.MimeOpus, Seconds: 7}},
		"mp3":                     {mediatest.MP3(), "", message.Media{MimeType: "audio/mpeg"}},
		"mp4":                     {mediatest.MP4(), "", message.Media{MimeType: "video/mp4"}},
		"pdf":                     {mediatest.PDF(), "image/png", message.Media{MimeType: "application/pdf"}},
		"table":                   {[]byte("a,b\n1,2\n"), "text/csv; charset=utf-8", message.Media{MimeType: "text/csv"}},
		"bytes":                   {[]byte{0, 1, 2, 3}, "application/x-thing", message.Media{MimeType: "application/x-thing"}},
		"bytes that lie":          {[]byte{0, 1, 2, 3}, "image/png", message.Media{MimeType: "application/octet-stream"}},
		"text that lies":          {[]byte("hello"), "audio/mpeg", message.Media{MimeType: "text/plain"}},
		"page that claims a song": {[]byte("<html><body>hello</body></html>"), "audio/mpeg", message.Media{MimeType: "text/html"}},
		"nonsense":                {[]byte("hello"), "???", message.Media{MimeType: "text/plain"}},
		"empty":                   {nil, "", message.Media{MimeType: "text/plain"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			file := bytes.NewReader(tc.file)
			m, err := media.Inspect(file, tc.declared)
			require.NoError(t, err)
			if tc.want.Width > 0 {
				small, err := jpeg.DecodeConfig(bytes.NewReader(m.Thumbnail))
				require.NoError(t, err)
				require.LessOrEqual(t, max(small.Width, small.Height), 72)
			}
			m.Thumbnail, tc.want.Size = nil, int64(len(tc.file))
			require.Equal(t, tc.want, m)
			require.Equal(t, len(tc.file), file.Len(), "it can be read from the start")
		})
	}
}

// A file of some bytes that claims to be a picture of billions of pixels is never decoded.
func TestAPictureThatIsABomb(t *testing.T) {
	t.Parallel()
	bomb := mediatest.PNG(t, 10, 10, 1)
	binary.BigEndian.PutUint32(bomb[16:], 100_000)
	binary.BigEndian.PutUint32(bomb[20:], 100_000)
	binary.BigEndian.PutUint32(bomb[29:], crc32.ChecksumIEEE(bomb[12:29]))
	_, err := media.Inspect(bytes.NewReader(bomb), "")
	require.ErrorIs(t, err, media.ErrUnsupported)
	require.ErrorContains(t, err, "100000 × 100000")

	damaged := mediatest.JPEG(t, 10, 10, 1)[:30]
	_, err = media.Inspect(bytes.NewReader(damaged), "")
	require.ErrorIs(t, err, media.ErrUnsupported)
}

func TestWhatSuitsAKind(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		kind message.Kind
		file message.Media
		ok   bool
	}{
		"image":               {message.Image, message.Media{MimeType: "image/png"}, true},
		"image of text":       {message.Image, message.Media{MimeType: "text/html"}, false},
		"sticker":             {message.Sticker, message.Media{MimeType: "image/webp"}, true},
		"sticker as png":      {message.Sticker, message.Media{MimeType: "image/png"}, false},
		"voice":               {message.Voice, message.Media{MimeType: media.MimeOpus}, true},
		"audio of a film":     {message.Audio, message.Media{MimeType: "video/mp4"}, false},
		"document of any":     {message.Document, message.Media{MimeType: "application/x-thing"}, true},
		"video as webm":       {message.Video, message.Media{MimeType: "video/webm"}, false},
		"sticker as svg":      {message.Sticker, message.Media{MimeType: "image/svg+xml"}, false},
		"nothing of the kind": {message.Text, message.Media{MimeType: "text/plain"}, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := media.Check(tc.kind, tc.file)
			require.Equal(t, tc.ok, err == nil, err)
			if err != nil {
				require.ErrorIs(t, err, media.ErrUnsupported)
			}
		})
	}
	for _, kind := range message.Kinds() {
		if !kind.HasMedia() {
			continue
		}
		var tooLarge *media.TooLargeError
		require.ErrorAs(t, media.Check(kind, message.Media{Size: media.Limit(kind) + 1}), &tooLarge)
		require.Equal(t, media.Limit(kind), tooLarge.Limit)
	}
}

func TestSpool(t *testing.T) {
	t.Parallel()
	file, err := media.Spool(t.Context(), strings.NewReader("12345"), 5)
	require.NoError(t, err)
	require.NoError(t, file.Close())
	var tooLarge *media.TooLargeError
	_, err = media.Spool(t.Context(), strings.NewReader("123456"), 5)
	require.ErrorAs(t, err, &tooLarge)
}

// Whatever bytes come, looking at them must not panic, and what is said of them must be sane.
func FuzzInspect(f *testing.F) {
	for _, seed := range [][]byte{mediatest.Opus(3), mediatest.MP3(), mediatest.MP4(), mediatest.PDF(), []byte("OggS"), []byte("\x89PNG\r\n\x1a\n")} {
		f.Add(seed, "image/png")
	}
	f.Fuzz(func(t *testing.T, file []byte, declared string) {
		m, err := media.Inspect(bytes.NewReader(file), declared)
		if err != nil {
			require.ErrorIs(t, err, media.ErrUnsupported)
			return
		}
		require.NotEmpty(t, m.MimeType)
		require.GreaterOrEqual(t, m.Seconds, 0)
		require.EqualValues(t, len(file), m.Size)
	})
}
