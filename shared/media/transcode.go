package media

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"wafleet/shared/message"
)

const (
	// transcodeTimeout bounds ffmpeg: a caller waits for it.
	transcodeTimeout = 20 * time.Second
	maxComplaint     = 1 << 10
)

// Transcoder makes voice messages of audio.
type Transcoder struct{ program string }

// FindTranscoder returns a transcoder, which answers ErrNeedsFFmpeg where there is no program of that name.
func FindTranscoder(name string) *Transcoder {
	program, err := exec.LookPath(name)
	if err != nil {
		return &Transcoder{}
	}
	return &Transcoder{program: program}
}

// Opus returns the audio as Ogg with Opus, in one channel.
func (t *Transcoder) Opus(ctx context.Context, audio *Spooled) (*Spooled, error) {
	if t.program == "" {
		return nil, ErrNeedsFFmpeg
	}
	folder, err := os.MkdirTemp("", "wafleet-voice-*")
	if err != nil {
		return nil, fmt.Errorf("transcode: %w", err)
	}
	voice, err := t.opus(ctx, audio.Name(), filepath.Join(folder, "voice.ogg"))
	return voice, errors.Join(err, os.RemoveAll(folder))
}

func (t *Transcoder) opus(ctx context.Context, from, to string) (*Spooled, error) {
	ctx, cancel := context.WithTimeout(ctx, transcodeTimeout)
	defer cancel()
	// Nothing but the one file may be read: some formats name others, or URLs.
	command := exec.CommandContext(ctx, t.program, "-nostdin", "-loglevel", "error", "-protocol_whitelist", "file", "-i", from, //nolint:gosec // the operator's program and our own files
		"-map", "a:0", "-vn", "-map_metadata", "-1", "-ac", "1", "-ar", "48000", "-c:a", "libopus", "-b:a", "32k", "-f", "ogg",
		"-fs", "16M", "-y", to)
	var complaint bytes.Buffer
	command.Stderr = &limited{to: &complaint, left: maxComplaint}
	command.WaitDelay = time.Second
	if err := command.Run(); err != nil {
		if ctx.Err() != nil {
			return nil, fmt.Errorf("transcode: %w", ctx.Err())
		}
		return nil, fmt.Errorf("%w: ffmpeg cannot read it: %w: %s", ErrUnsupported, err, bytes.TrimSpace(complaint.Bytes()))
	}
	file, err := os.Open(to) //nolint:gosec // our own file
	if err != nil {
		return nil, fmt.Errorf("%w: ffmpeg made nothing of it", ErrUnsupported)
	}
	voice, err := Spool(ctx, file, Limit(message.Voice))
	return voice, errors.Join(err, file.Close())
}

// limited drops what is more than a program should say.
type limited struct {
	to   io.Writer
	left int
}

func (l *limited) Write(p []byte) (int, error) {
	n := min(len(p), l.left)
	l.left -= n
	if _, err := l.to.Write(p[:n]); err != nil {
		return 0, err //nolint:wrapcheck // of a buffer
	}
	return len(p), nil
}
