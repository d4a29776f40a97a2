package media

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"wafleet/shared/message"
)

const mebibyte = 1 << 20

// MaxSize is the size of the largest file that is taken for any kind.
const MaxSize = 100 * mebibyte

// The ways in which a file can be wrong.
var (
	// ErrUnsupported says that a file is not of a type that its kind of message can have.
	ErrUnsupported = errors.New("file is of a type that is not supported")
	// ErrNeedsFFmpeg says that a file would have to be transcoded, and ffmpeg is not there to do it.
	ErrNeedsFFmpeg = fmt.Errorf("%w: a voice message must be Ogg with Opus; other audio is only converted where ffmpeg is installed", ErrUnsupported)
)

// TooLargeError says that a file is longer than its kind of message can have.
type TooLargeError struct{ Limit int64 }

// Error states the limit.
func (e *TooLargeError) Error() string { return fmt.Sprintf("file has more than %d bytes", e.Limit) }

// rule is what a kind's files may be.
type rule struct {
	limit int64
	types []string // nil: any
}

// The limits of WhatsApp's own apps, or ours where theirs are higher than we want to carry.
var rules = map[message.Kind]rule{
	message.Image:    {16 * mebibyte, []string{"image/jpeg", "image/png", "image/webp"}},
	message.Video:    {64 * mebibyte, []string{"video/mp4", "video/3gpp", "video/quicktime"}},
	message.Audio:    {16 * mebibyte, audioTypes},
	message.Voice:    {16 * mebibyte, audioTypes},
	message.Document: {MaxSize, nil},
	message.Sticker:  {mebibyte, []string{"image/webp"}},
}

var audioTypes = []string{"audio/aac", "audio/mp4", "audio/mpeg", "audio/amr", "audio/ogg", "audio/wav", "audio/flac"}

// Limit is how large a file of the kind may be.
func Limit(kind message.Kind) int64 {
	if r, ok := rules[kind]; ok {
		return r.limit
	}
	return MaxSize
}

// Check says whether a file that is known already suits a kind: a *TooLargeError or ErrUnsupported where it does not.
func Check(kind message.Kind, m message.Media) error {
	r := rules[kind]
	if m.Size > Limit(kind) {
		return &TooLargeError{Limit: Limit(kind)}
	}
	if base, _, _ := strings.Cut(m.MimeType, ";"); r.types != nil && !slices.Contains(r.types, base) {
		return fmt.Errorf("%w: %s cannot be sent as %s, which takes %s", ErrUnsupported, base, kind, strings.Join(r.types, ", "))
	}
	return nil
}
