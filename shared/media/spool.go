package media

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
)

// Spooled is a file that was taken in and is kept on disk until it is closed.
type Spooled struct {
	*os.File

	Sum [sha256.Size]byte
	// Declared is the type that its sender said it has.
	Declared string
}

// Spool takes in a file of at most limit bytes; a longer one is a *TooLargeError.
func Spool(ctx context.Context, from io.Reader, limit int64) (*Spooled, error) {
	file, err := os.CreateTemp("", "wafleet-media-*")
	if err != nil {
		return nil, fmt.Errorf("spool file: %w", err)
	}
	s := &Spooled{File: file}
	hash := sha256.New()
	n, err := io.Copy(io.MultiWriter(file, hash), io.LimitReader(reader{ctx, from}, limit+1))
	switch {
	case err != nil:
		err = fmt.Errorf("spool file: %w", err)
	case n > limit:
		err = &TooLargeError{Limit: limit}
	default:
		_, err = file.Seek(0, io.SeekStart)
	}
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	hash.Sum(s.Sum[:0])
	return s, nil
}

// Close removes the file.
func (s *Spooled) Close() error {
	if err := errors.Join(s.File.Close(), os.Remove(s.Name())); err != nil {
		return fmt.Errorf("remove spooled file: %w", err)
	}
	return nil
}
