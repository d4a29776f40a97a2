package media

import (
	"bytes"
	"fmt"
	"image"
	_ "image/jpeg" // what pictures may be
	_ "image/png"
	"io"
	"mime"
	"strings"

	"github.com/gabriel-vasile/mimetype"
	_ "golang.org/x/image/webp" // what stickers are

	"wafleet/shared/message"
)

// MimeOpus is the type of a voice message, in the words that WhatsApp's apps look for.
const MimeOpus = "audio/ogg; codecs=opus"

// maxPixels is how large a picture may be. A file of a few bytes can claim to be of any size.
const maxPixels = 100_000_000

// canonical has the types that the detector calls by another name than WhatsApp does.
var canonical = map[string]string{
	"audio/x-m4a": "audio/mp4", "application/ogg": "audio/ogg", "audio/x-wav": "audio/wav", "audio/x-flac": "audio/flac",
	"video/x-m4v": "video/mp4", "video/3gpp2": "video/3gpp",
}

// vague are the types that the bytes alone lead to where they could be many things: there a caller's word counts.
var vague = map[string]bool{"application/octet-stream": true, "text/plain": true, "application/zip": true}

// Inspect reads off a file what it is: type, size, and what its type has of dimensions, length and a thumbnail. What the
// caller declares is only believed where the bytes do not say. A picture that cannot be one is ErrUnsupported.
func Inspect(file io.ReadSeeker, declared string) (message.Media, error) {
	size, err := file.Seek(0, io.SeekEnd)
	if err != nil {
		return message.Media{}, fmt.Errorf("inspect file: %w", err)
	}
	m := message.Media{Size: size}
	if m.MimeType, err = sniff(file, declared); err != nil {
		return m, err
	}
	switch {
	case m.MimeType == "image/jpeg", m.MimeType == "image/png", m.MimeType == "image/webp":
		err = inspectPicture(file, &m)
	case strings.HasPrefix(m.MimeType, "audio/ogg"):
		err = inspectOgg(file, &m)
	}
	if err != nil {
		return m, err
	}
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return m, fmt.Errorf("inspect file: %w", err)
	}
	return m, nil
}

func sniff(file io.ReadSeeker, declared string) (string, error) {
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return "", fmt.Errorf("inspect file: %w", err)
	}
	found, err := mimetype.DetectReader(file)
	if err != nil {
		return "", fmt.Errorf("inspect file: %w", err)
	}
	base, _, _ := strings.Cut(found.String(), ";")
	if known, ok := canonical[base]; ok {
		base = known
	}
	said, _, err := mime.ParseMediaType(declared)
	if err != nil || !vague[base] || !strings.Contains(said, "/") || belied[strings.Split(said, "/")[0]] {
		return base, nil //nolint:nilerr // what cannot be read counts for nothing
	}
	return said, nil
}

// belied are the families that the detector would have recognised: what claims to be one of them and does not look it, is
// none.
var belied = map[string]bool{"image": true, "video": true, "audio": true, "multipart": true, "message": true}

// inspectPicture reads the dimensions first, so that nothing is decoded that only claims to be small.
func inspectPicture(file io.ReadSeeker, m *message.Media) error {
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return fmt.Errorf("inspect picture: %w", err)
	}
	config, _, err := image.DecodeConfig(file)
	if err != nil {
		return fmt.Errorf("%w: the picture is damaged", ErrUnsupported)
	}
	m.Width, m.Height = config.Width, config.Height
	pixels := int64(m.Width) * int64(m.Height)
	if pixels > maxPixels || pixels == 0 {
		return fmt.Errorf("%w: a picture of %d × %d", ErrUnsupported, m.Width, m.Height)
	}
	if pixels <= maxThumbnailSource {
		m.Thumbnail = thumbnail(file)
	}
	return nil
}

// inspectOgg looks for Opus, and for how long it plays: the position that the last page ends at (RFC 7845, 4).
func inspectOgg(file io.ReadSeeker, m *message.Media) error {
	const head, tail, granuleAt, granulesASecond = 256, 64 << 10, 6, 48_000
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return fmt.Errorf("inspect audio: %w", err)
	}
	first := make([]byte, head)
	n, err := io.ReadFull(file, first)
	if err != nil && n == 0 {
		return fmt.Errorf("inspect audio: %w", err)
	}
	at := bytes.Index(first[:n], []byte("OpusHead"))
	if at < 0 || at+12 > n {
		return nil // Vorbis, most likely
	}
	m.MimeType = MimeOpus
	skipped := uint64(first[at+10]) | uint64(first[at+11])<<8
	if _, err := file.Seek(-min(m.Size, tail), io.SeekEnd); err != nil {
		return fmt.Errorf("inspect audio: %w", err)
	}
	last, err := io.ReadAll(io.LimitReader(file, tail))
	if err != nil {
		return fmt.Errorf("inspect audio: %w", err)
	}
	page := bytes.LastIndex(last, []byte("OggS"))
	if page < 0 || page+granuleAt+8 > len(last) {
		return nil
	}
	var position uint64
	for i := range 8 {
		position |= uint64(last[page+granuleAt+i]) << (8 * i)
	}
	const day = 24 * 60 * 60
	if position > skipped && position-skipped < day*granulesASecond {
		m.Seconds = int((position - skipped + granulesASecond - 1) / granulesASecond)
	}
	return nil
}
