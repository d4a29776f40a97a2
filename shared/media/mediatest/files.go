package mediatest

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"
	"testing"

	"github.com/stretchr/testify/require"
)

// PNG draws a picture; another shade makes another file.
func PNG(t *testing.T, width, height int, shade uint8) []byte {
	t.Helper()
	var out bytes.Buffer
	require.NoError(t, png.Encode(&out, drawn(width, height, shade)))
	return out.Bytes()
}

// JPEG draws a picture.
func JPEG(t *testing.T, width, height int, shade uint8) []byte {
	t.Helper()
	var out bytes.Buffer
	require.NoError(t, jpeg.Encode(&out, drawn(width, height, shade), nil))
	return out.Bytes()
}

func drawn(width, height int, shade uint8) image.Image {
	picture := image.NewGray(image.Rect(0, 0, width, height))
	for x := range width {
		picture.SetGray(x, 0, color.Gray{Y: shade})
	}
	return picture
}

// WebP is a picture of one pixel.
func WebP(t *testing.T) []byte {
	t.Helper()
	b, err := base64.StdEncoding.DecodeString("UklGRhoAAABXRUJQVlA4TA0AAAAvAAAAEAcQERGIiP4HAA==")
	require.NoError(t, err)
	return b
}

// Opus is a voice message that plays for that long: the pages that tell of it, and silence.
func Opus(seconds int) []byte {
	const preSkip = 312
	head := append([]byte("OpusHead\x01\x01"), preSkip&0xff, preSkip>>8, 0x80, 0xbb, 0, 0, 0, 0, 0)
	return append(append(page(0, 2, head), page(0, 0, []byte("OpusTags\x00\x00\x00\x00\x00\x00\x00\x00"))...),
		page(uint64(seconds*48_000+preSkip), 4, []byte{0xf8, 0xff, 0xfe})...)
}

// page is a page of Ogg, without its checksum.
func page(position uint64, flags byte, body []byte) []byte {
	b := append([]byte("OggS\x00"), flags)
	b = binary.LittleEndian.AppendUint64(b, position)
	b = append(b, make([]byte, 12)...) // serial, sequence, checksum
	b = append(b, 1, byte(len(body)))
	return append(b, body...)
}

// MP3 is the beginning of a song.
func MP3() []byte { return append([]byte("\xff\xfb\x90\x64"), make([]byte, 512)...) }

// MP4 is the beginning of a film.
func MP4() []byte {
	return append([]byte("\x00\x00\x00\x18ftypmp42\x00\x00\x00\x00mp42isom"), make([]byte, 512)...)
}

// PDF is the beginning of a document.
func PDF() []byte { return []byte("%PDF-1.7\n%âãÏÓ\n1 0 obj\n<<>>\nendobj\n") }
