package api

import (
	"bytes"
	"fmt"
	"mime"
	"strconv"
	"strings"

	"rsc.io/qr"

	contract "wafleet/shared/api"
)

// quietZone is the white border that the QR standard asks for, in modules.
const quietZone = 4

// qrPNG draws a code as a picture.
func qrPNG(text string) (contract.GetSessionQR200ImagePngResponse, error) {
	code, err := qr.Encode(text, qr.L)
	if err != nil {
		return contract.GetSessionQR200ImagePngResponse{}, fmt.Errorf("draw QR code: %w", err)
	}
	picture := code.PNG() // with its own quiet zone
	return contract.GetSessionQR200ImagePngResponse{Body: bytes.NewReader(picture), ContentLength: int64(len(picture))}, nil
}

// qrSVG draws a code as one path of horizontal bars.
func qrSVG(text string) (contract.GetSessionQR200ImageSvgXMLResponse, error) {
	code, err := qr.Encode(text, qr.L)
	if err != nil {
		return contract.GetSessionQR200ImageSvgXMLResponse{}, fmt.Errorf("draw QR code: %w", err)
	}
	side := code.Size + 2*quietZone
	var b bytes.Buffer
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" shape-rendering="crispEdges">`+
		`<path fill="#fff" d="M0 0h%dv%dH0z"/><path d="`, side, side, side, side)
	for y := range code.Size {
		for x := 0; x < code.Size; x++ {
			start := x
			for x < code.Size && code.Black(x, y) {
				x++
			}
			if x > start {
				fmt.Fprintf(&b, "M%d %dh%dv1h-%dz", start+quietZone, y+quietZone, x-start, x-start)
			}
		}
	}
	b.WriteString(`"/></svg>`)
	return contract.GetSessionQR200ImageSvgXMLResponse{Body: &b, ContentLength: int64(b.Len())}, nil
}

// preferred returns the offer that an Accept header likes best, of equal ones the first.
func preferred(accept string, offers ...string) string {
	best, bestQuality := offers[0], 0.0
	for _, offer := range offers {
		if q := quality(accept, offer); q > bestQuality {
			best, bestQuality = offer, q
		}
	}
	return best
}

// quality is how much an Accept header likes a media type, from 0 to 1; the most specific range that fits decides.
func quality(accept, media string) float64 {
	result, fits := 0.0, 0
	kind, _, _ := strings.Cut(media, "/")
	for part := range strings.SplitSeq(accept, ",") {
		accepted, params, err := mime.ParseMediaType(part)
		if err != nil {
			continue
		}
		specific := map[string]int{media: 3, kind + "/*": 2, "*/*": 1}[accepted]
		if specific <= fits {
			continue
		}
		q, err := strconv.ParseFloat(params["q"], 64)
		if err != nil {
			q = 1
		}
		result, fits = q, specific
	}
	return result
}
