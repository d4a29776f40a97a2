package media_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.mau.fi/whatsmeow/proto/waE2E"

	"wafleet/infra/wasim/internal/content"
	"wafleet/infra/wasim/internal/media"
)

var kinds = []content.Type{
	content.Image, content.Video, content.Audio, content.Voice, content.Document, content.Sticker,
}

func reference(sealed media.Sealed) *waE2E.ImageMessage {
	return &waE2E.ImageMessage{MediaKey: sealed.Key, FileSHA256: sealed.FileSHA256, FileEncSHA256: sealed.FileEncSHA256}
}

func TestSealAndOpen(t *testing.T) {
	t.Parallel()
	for _, kind := range kinds {
		for _, size := range []int{0, 1, 15, 16, 17, 100_000} {
			plain := bytes.Repeat([]byte("x"), size)
			sealed, err := media.Seal(plain, kind)
			require.NoError(t, err)
			opened, err := media.Open(sealed.File, reference(sealed), kind)
			require.NoError(t, err)
			require.Equal(t, string(plain), string(opened), "%s of %d", kind, size)
		}
	}
	_, err := media.Seal(nil, content.Text)
	require.Error(t, err)
}

func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	sealed, err := media.Seal([]byte("hello"), content.Image)
	require.NoError(t, err)
	other, err := media.Seal([]byte("hello"), content.Image)
	require.NoError(t, err)
	rehash := func(ref *waE2E.ImageMessage, file []byte) *waE2E.ImageMessage {
		hash := sha256.Sum256(file)
		ref.FileEncSHA256 = hash[:]
		return ref
	}
	changed := bytes.Clone(sealed.File)
	changed[0] ^= 1
	wrongContent := reference(sealed)
	wrongContent.FileSHA256 = make([]byte, 32)
	wrongKey := reference(sealed)
	wrongKey.MediaKey = other.Key
	noKey := reference(sealed)
	noKey.MediaKey = nil
	for name, test := range map[string]struct {
		file []byte
		ref  *waE2E.ImageMessage
		kind content.Type
	}{
		"other hash":    {changed, reference(sealed), content.Image},
		"changed":       {changed, rehash(reference(sealed), changed), content.Image},
		"short":         {sealed.File[:5], rehash(reference(sealed), sealed.File[:5]), content.Image},
		"cut":           {sealed.File[:20], rehash(reference(sealed), sealed.File[:20]), content.Image},
		"other key":     {sealed.File, wrongKey, content.Image},
		"no key":        {sealed.File, noKey, content.Image},
		"other kind":    {sealed.File, reference(sealed), content.Video},
		"no media":      {sealed.File, reference(sealed), content.Text},
		"other content": {sealed.File, wrongContent, content.Image},
	} {
		_, err := media.Open(test.file, test.ref, test.kind)
		require.ErrorIs(t, err, media.ErrDamaged, name)
	}
}

func TestStore(t *testing.T) {
	t.Parallel()
	for name, dir := range map[string]string{"in memory": "", "in a folder": t.TempDir() + "/media"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, err := media.NewStore(dir)
			require.NoError(t, err)
			path, err := s.Put("79", []byte("file"))
			require.NoError(t, err)
			require.Contains(t, path, "?", "clients append to the query")
			again, err := s.Put("79", []byte("file"))
			require.NoError(t, err)
			require.Equal(t, path, again)
			for _, path := range []string{path, path + "&hash=x", strings.Split(path, "?")[0]} {
				file, err := s.Get(path)
				require.NoError(t, err)
				require.Equal(t, "file", string(file))
			}
			for _, path := range []string{
				"", "/", "/v/t62.7118-24/", "/v/t62.7118-24/../../etc/passwd", "/v/t62.7118-24/" + strings.Repeat("0", 64),
			} {
				_, err := s.Get(path)
				require.ErrorIs(t, err, media.ErrNotFound, path)
			}
		})
	}
}

func TestStoreInMemoryIsBounded(t *testing.T) {
	t.Parallel()
	s, err := media.NewStore("")
	require.NoError(t, err)
	file := make([]byte, 60<<20)
	var paths []string
	for i := range 5 {
		file = bytes.Clone(file)
		file[0] = byte(i)
		path, err := s.Put("79", file)
		require.NoError(t, err)
		paths = append(paths, path)
	}
	_, err = s.Get(paths[0])
	require.ErrorIs(t, err, media.ErrNotFound)
	_, err = s.Get(paths[4])
	require.NoError(t, err)
}

func TestStoreWithoutAFolder(t *testing.T) {
	t.Parallel()
	file := t.TempDir() + "/file"
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	_, err := media.NewStore(file)
	require.Error(t, err)
}

func TestHandler(t *testing.T) {
	t.Parallel()
	s, err := media.NewStore("")
	require.NoError(t, err)
	refused := "nobody"
	h := &media.Handler{
		Store:  s,
		Owner:  func(token string) (string, bool) { return strings.CutPrefix(token, "token-") },
		Refuse: func(account string) bool { return account == refused },
	}
	mux := http.NewServeMux()
	h.Register(mux)
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	call := func(method, path, body string) (int, string) {
		request, err := http.NewRequestWithContext(t.Context(), method, server.URL+path, strings.NewReader(body))
		require.NoError(t, err)
		response, err := http.DefaultClient.Do(request)
		require.NoError(t, err)
		defer response.Body.Close()
		answer, err := io.ReadAll(response.Body)
		require.NoError(t, err)
		return response.StatusCode, string(answer)
	}
	hash := sha256.Sum256([]byte("file"))
	spelled := base64.URLEncoding.EncodeToString(hash[:])
	status, answer := call(http.MethodPost, "/mms/image/"+spelled+"?auth=token-79", "file")
	require.Equal(t, http.StatusOK, status, answer)
	var up struct {
		URL        string
		DirectPath string `json:"direct_path"`
	}
	require.NoError(t, json.Unmarshal([]byte(answer), &up))
	require.Equal(t, "https://mmg.whatsapp.net"+up.DirectPath, up.URL)
	status, answer = call(http.MethodGet, up.DirectPath+"&hash=x", "")
	require.Equal(t, http.StatusOK, status)
	require.Equal(t, "file", answer)

	status, _ = call(http.MethodPost, "/mms/image/"+strings.TrimRight(spelled, "=")+"?auth=token-79", "file")
	require.Equal(t, http.StatusOK, status, "without padding")
	status, _ = call(http.MethodPost, "/mms/image/"+spelled+"?auth=token-79", "another file")
	require.Equal(t, http.StatusBadRequest, status)
	status, _ = call(http.MethodPost, "/mms/image/"+spelled+"?auth=79", "file")
	require.Equal(t, http.StatusUnauthorized, status)
	status, _ = call(http.MethodGet, "/v/t62.7118-24/nothing", "")
	require.Equal(t, http.StatusNotFound, status)
	refused = "79"
	status, _ = call(http.MethodPost, "/mms/image/"+spelled+"?auth=token-79", "file")
	require.Equal(t, http.StatusUnauthorized, status)
	status, _ = call(http.MethodGet, up.DirectPath, "")
	require.Equal(t, http.StatusUnauthorized, status)
}
