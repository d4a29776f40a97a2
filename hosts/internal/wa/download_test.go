package wa

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"go.mau.fi/whatsmeow"
	"go.mau.fi/whatsmeow/proto/waMmsRetry"
	"go.mau.fi/whatsmeow/types/events"
	"go.mau.fi/whatsmeow/util/gcmutil"
	"go.mau.fi/whatsmeow/util/hkdfutil"
	"google.golang.org/protobuf/proto"

	"wafleet/hosts/internal/actor"
	"wafleet/infra/wasim"
	"wafleet/shared/message"
)

// spool is an empty file.
func spool(t *testing.T) *os.File {
	t.Helper()
	file, err := os.Create(filepath.Join(t.TempDir(), "spool"))
	require.NoError(t, err)
	t.Cleanup(func() { _ = file.Close() })
	return file
}

func contents(t *testing.T, file *os.File) []byte {
	t.Helper()
	all, err := os.ReadFile(file.Name())
	require.NoError(t, err)
	return all
}

// sendFile lets a phone send a file and returns how it is fetched.
func (l *line) sendFile(t *testing.T, from string, kind wasim.MessageType, body []byte) actor.Incoming {
	t.Helper()
	_, err := whatsapp.SendMessage(t.Context(), from, wasim.Outgoing{To: l.number, Media: body, Content: wasim.Content{Type: kind, Text: "look", FileName: "file.bin"}})
	require.NoError(t, err)
	return l.got(t, 1)[0]
}

func TestDownload(t *testing.T) {
	t.Parallel()
	for _, kind := range []wasim.MessageType{wasim.Image, wasim.Video, wasim.Voice, wasim.Document, wasim.Sticker} {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			l, anna := paired(t), newPhone(t)
			body := bytes.Repeat([]byte("all of it "), 10_000)
			in := l.sendFile(t, anna, kind, body)
			require.Equal(t, message.Kind(kind), in.Said.Kind)
			require.Equal(t, int64(len(body)), in.Said.Media.Size)
			file := spool(t)
			require.NoError(t, l.Download(t.Context(), *in.File, file, 1<<20))
			require.Equal(t, body, contents(t, file))
		})
	}
}

// What a sender writes about a file is not to be trusted.
func TestDownloadsThatFail(t *testing.T) {
	t.Parallel()
	l, anna := paired(t), newPhone(t)
	in := l.sendFile(t, anna, wasim.Image, []byte("a picture, or what passes for one"))
	for name, test := range map[string]struct {
		change func(f *actor.File)
		most   int64
		want   error
	}{
		"too long":               {func(*actor.File) {}, 4, actor.ErrFileDamaged},
		"another key":            {func(f *actor.File) { f.Key = bytes.Repeat([]byte{1}, 32) }, 1 << 20, actor.ErrFileDamaged},
		"another file":           {func(f *actor.File) { f.SHA256 = bytes.Repeat([]byte{1}, 32) }, 1 << 20, actor.ErrFileDamaged},
		"another encrypted file": {func(f *actor.File) { f.EncSHA256 = bytes.Repeat([]byte{1}, 32) }, 1 << 20, actor.ErrFileDamaged},
		"no key":                 {func(f *actor.File) { f.Key = nil }, 1 << 20, actor.ErrFileDamaged},
		"no path":                {func(f *actor.File) { f.DirectPath = "" }, 1 << 20, actor.ErrFileDamaged},
		"another host":           {func(f *actor.File) { f.DirectPath = "@127.0.0.1/x?" }, 1 << 20, actor.ErrFileDamaged},
		"gone":                   {func(f *actor.File) { f.DirectPath = "/v/nothing?x=1" }, 1 << 20, actor.ErrFileGone},
	} {
		file := *in.File
		test.change(&file)
		require.ErrorIs(t, l.Download(t.Context(), file, spool(t), test.most), test.want, name)
	}
	require.NoError(t, l.AskAgain(t.Context(), *in.File))
	require.Error(t, l.AskAgain(t.Context(), actor.File{Chat: "a:b:c@x"}))
	require.ErrorIs(t, newLine(t).Download(t.Context(), *in.File, spool(t), 1<<20), whatsmeow.ErrNotLoggedIn)
}

func TestReupload(t *testing.T) {
	t.Parallel()
	key := bytes.Repeat([]byte{7}, 32)
	answer := func(result waMmsRetry.MediaRetryNotification_ResultType, path string) *events.MediaRetry {
		plain, err := proto.Marshal(&waMmsRetry.MediaRetryNotification{StanzaID: new("A"), Result: &result, DirectPath: &path})
		require.NoError(t, err)
		iv := make([]byte, 12)
		sealed, err := gcmutil.Encrypt(hkdfutil.SHA256(key, nil, []byte("WhatsApp Media Retry Notification"), 32), iv, plain, []byte("A"))
		require.NoError(t, err)
		return &events.MediaRetry{MessageID: "A", Ciphertext: sealed, IV: iv}
	}
	success := reupload(answer(waMmsRetry.MediaRetryNotification_SUCCESS, "/v/new?x"))
	require.Equal(t, "A", success.WAMessageID)
	path, err := success.Open(key)
	require.NoError(t, err)
	require.Equal(t, "/v/new?x", path)
	_, err = success.Open(bytes.Repeat([]byte{8}, 32))
	require.Error(t, err, "somebody else's answer")
	for _, e := range []*events.MediaRetry{
		answer(waMmsRetry.MediaRetryNotification_NOT_FOUND, ""), answer(waMmsRetry.MediaRetryNotification_SUCCESS, ""),
		{MessageID: "A", Error: &events.MediaRetryError{Code: 2}},
	} {
		_, err := reupload(e).Open(key)
		require.Error(t, err)
	}
}
