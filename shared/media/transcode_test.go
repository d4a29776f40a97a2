package media_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"wafleet/shared/media"
	"wafleet/shared/media/mediatest"
)

// program writes a script that stands in for ffmpeg: which options it gets is all that is checked without it.
func program(t *testing.T, script string) *media.Transcoder {
	t.Helper()
	path := filepath.Join(t.TempDir(), "ffmpeg")
	require.NoError(t, os.WriteFile(path, []byte("#!/bin/sh\n"+script), 0o700))
	return media.FindTranscoder(path)
}

func song(t *testing.T) *media.Spooled {
	t.Helper()
	file, err := media.Spool(t.Context(), bytes.NewReader(mediatest.MP3()), 1<<20)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, file.Close()) })
	return file
}

func TestTranscode(t *testing.T) {
	t.Parallel()
	opus := filepath.Join(t.TempDir(), "opus")
	require.NoError(t, os.WriteFile(opus, mediatest.Opus(4), 0o600))
	ffmpeg := program(t, `case "$*" in *"-protocol_whitelist file"*"-c:a libopus"*) ;; *) exit 9 ;; esac
for last; do :; done
cp `+opus+` "$last"`)
	voice, err := ffmpeg.Opus(t.Context(), song(t))
	require.NoError(t, err)
	m, err := media.Inspect(voice, "")
	require.NoError(t, err)
	require.Equal(t, media.MimeOpus, m.MimeType)
	require.Equal(t, 4, m.Seconds)
	require.NoError(t, voice.Close())
}

func TestTranscodeFails(t *testing.T) {
	t.Parallel()
	_, err := media.FindTranscoder("no-such-ffmpeg").Opus(t.Context(), song(t))
	require.ErrorIs(t, err, media.ErrNeedsFFmpeg)
	require.ErrorContains(t, err, "ffmpeg")

	_, err = program(t, "echo broken >&2; exit 1").Opus(t.Context(), song(t))
	require.ErrorIs(t, err, media.ErrUnsupported)
	require.ErrorContains(t, err, "broken")

	_, err = program(t, "exit 0").Opus(t.Context(), song(t))
	require.ErrorIs(t, err, media.ErrUnsupported, "it made nothing")
}
