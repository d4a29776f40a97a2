package media

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"regexp"
	"time"
)

var (
	// ErrNotFound says that a store has nothing under a key.
	ErrNotFound = errors.New("no such file")
	// ErrBadKey says that a text is no key of a store.
	ErrBadKey = errors.New("not a key of the media store")
)

// Object is a file on its way into a store.
type Object struct {
	Key      string
	Body     io.ReadSeeker
	Size     int64
	MimeType string
}

// Store keeps files. It is safe for concurrent use.
type Store interface {
	// Put keeps the file, as a whole or not at all. What was under the key is replaced.
	Put(ctx context.Context, o Object) error
	// Open returns a file and its size, or ErrNotFound.
	Open(ctx context.Context, key string) (body io.ReadCloser, size int64, err error)
	// Delete removes a file. It is no error if there is none.
	Delete(ctx context.Context, key string) error
}

// Linker is a Store that people can read from themselves, without the bytes passing through us.
type Linker interface {
	// Link returns a URL that reads the file until the life is over, under the given type and name.
	Link(ctx context.Context, key, mimeType, fileName string, life time.Duration) (url string, err error)
	// UploadLink returns a URL that takes the file of this length and hash, and nothing else, by PUT with the headers.
	UploadLink(ctx context.Context, key string, size int64, sum [sha256.Size]byte, life time.Duration) (url string, headers map[string]string, err error)
}

// keyForm keeps keys from being anything but two plain names, one below the other, wherever they end up.
var keyForm = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}/[A-Za-z0-9_-]{1,128}$`)

// CheckKey returns ErrBadKey unless a text is a key: the name of a company, a slash, the name of a file.
func CheckKey(key string) error {
	if !keyForm.MatchString(key) {
		return fmt.Errorf("%w: %q", ErrBadKey, key)
	}
	return nil
}

// Key is where a company's file is kept.
func Key(companyID, mediaID string) string { return companyID + "/" + mediaID }

// ID is the id of a file that a company sends, made of its bytes: the same file is kept, and later uploaded, once.
func ID(companyID string, sum [sha256.Size]byte) string {
	h := sha256.New()
	h.Write([]byte(companyID + "\x00"))
	h.Write(sum[:])
	const length = 16
	return "med_" + hex.EncodeToString(h.Sum(nil)[:length])
}
