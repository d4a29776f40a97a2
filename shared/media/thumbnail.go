package media

import (
	"bytes"
	"image"
	"image/jpeg"
	"io"

	"golang.org/x/image/draw"
)

const (
	// maxThumbnailSource bounds the memory that a thumbnail costs: four bytes a pixel.
	maxThumbnailSource = 12_000_000
	thumbnailSide      = 72
	thumbnailQuality   = 60
)

// thumbnail is a small JPEG of a picture, or nothing: the message is shown without one, too.
func thumbnail(file io.ReadSeeker) []byte {
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return nil
	}
	picture, _, err := image.Decode(file)
	if err != nil {
		return nil
	}
	size := picture.Bounds().Size()
	longer := max(size.X, size.Y)
	to := image.Rect(0, 0, max(1, size.X*thumbnailSide/longer), max(1, size.Y*thumbnailSide/longer))
	small := image.NewRGBA(to)
	draw.Draw(small, to, image.White, image.Point{}, draw.Src) // JPEG has no transparency
	draw.ApproxBiLinear.Scale(small, to, picture, picture.Bounds(), draw.Over, nil)
	var out bytes.Buffer
	if err := jpeg.Encode(&out, small, &jpeg.Options{Quality: thumbnailQuality}); err != nil {
		return nil
	}
	return out.Bytes()
}
