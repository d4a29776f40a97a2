package interop

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"
	"testing"

	"github.com/stretchr/testify/require"
)

const pictureType = "image/png"

// picture is an image file with its thumbnail.
type picture struct {
	file, thumbnail []byte
}

// newPicture draws a picture that no other shade gives.
func newPicture(t *testing.T, shade uint8) picture {
	t.Helper()
	draw := func(size int) image.Image {
		drawn := image.NewNRGBA(image.Rect(0, 0, size, size))
		for x := range size {
			for y := range size {
				drawn.Set(x, y, color.NRGBA{R: uint8(x * 255 / size), G: uint8(y * 255 / size), B: shade, A: 255})
			}
		}
		return drawn
	}
	var file, thumbnail bytes.Buffer
	require.NoError(t, png.Encode(&file, draw(200)))
	require.NoError(t, jpeg.Encode(&thumbnail, draw(32), nil))
	return picture{file: file.Bytes(), thumbnail: thumbnail.Bytes()}
}

// sha256 is the hash of the file, in hex.
func (p picture) sha256() string {
	hash := sha256.Sum256(p.file)
	return hex.EncodeToString(hash[:])
}
