package media_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"wafleet/shared/media"
	"wafleet/shared/webhook"
)

// site is a server whose answers a test writes.
func site(t *testing.T) *httptest.Server {
	t.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("/file", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "image/png")
		_, _ = io.WriteString(w, "12345678")
	})
	mux.HandleFunc("/endless", func(w http.ResponseWriter, r *http.Request) {
		for r.Context().Err() == nil {
			if _, err := w.Write(make([]byte, 1024)); err != nil {
				return
			}
		}
	})
	mux.HandleFunc("/slow", func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusOK)
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	})
	mux.HandleFunc("/hop/{n}", func(w http.ResponseWriter, r *http.Request) {
		n, _ := strconv.Atoi(r.PathValue("n"))
		to := "/file"
		if n > 1 {
			to = "/hop/" + strconv.Itoa(n-1)
		}
		http.Redirect(w, r, to, http.StatusFound)
	})
	mux.HandleFunc("/loop", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/loop", http.StatusFound) })
	mux.HandleFunc("/to", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, r.URL.Query().Get("url"), http.StatusFound)
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return server
}

func TestFetch(t *testing.T) {
	t.Parallel()
	server := site(t)
	fetcher := media.NewFetcher(webhook.NewTargets(true, true), nil)
	for _, path := range []string{"/file", "/hop/1", "/hop/3"} {
		file, err := fetcher.Fetch(t.Context(), server.URL+path, 8)
		require.NoError(t, err, path)
		body, err := io.ReadAll(file)
		require.NoError(t, err)
		require.Equal(t, "12345678", string(body))
		require.Equal(t, "image/png", file.Declared)
		require.NoError(t, file.Close())
	}

	var tooLarge *media.TooLargeError
	for _, path := range []string{"/file", "/endless"} { // one says how long it is, the other does not
		_, err := fetcher.Fetch(t.Context(), server.URL+path, 7)
		require.ErrorAs(t, err, &tooLarge, path)
	}
	for _, path := range []string{"/nothing", "/hop/4", "/loop"} {
		_, err := fetcher.Fetch(t.Context(), server.URL+path, 8)
		require.ErrorIs(t, err, media.ErrFetch, path)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	_, err := fetcher.Fetch(ctx, server.URL+"/slow?token=secret", 8)
	require.ErrorIs(t, err, media.ErrFetch)
	require.NotContains(t, err.Error(), "secret")
}

func TestFetchFromForbiddenPlaces(t *testing.T) {
	t.Parallel()
	server := site(t)
	dev := media.NewFetcher(webhook.NewTargets(true, true), nil)
	for _, target := range []string{
		"http://169.254.169.254/latest/meta-data", "http://10.0.0.1/", "http://[::ffff:10.0.0.1]/", "http://[fd00::1]/", "http://2130706433/",
		"file:///etc/passwd", "ftp://example.com/", "http://user:password@example.com/",
	} {
		_, err := dev.Fetch(t.Context(), target, 8)
		require.ErrorIs(t, err, media.ErrBlocked, target)
		_, err = dev.Fetch(t.Context(), server.URL+"/to?url="+target, 8)
		require.ErrorIs(t, err, media.ErrBlocked, "behind a redirect: %s", target)
	}
	for name, fetcher := range map[string]*media.Fetcher{
		"production":   media.NewFetcher(webhook.NewTargets(false, true), nil),
		"no loopback":  media.NewFetcher(webhook.NewTargets(true, false), nil),
		"dial refuses": media.NewFetcher(onlyDial{webhook.NewTargets(true, false)}, nil),
	} {
		_, err := fetcher.Fetch(t.Context(), server.URL+"/file", 8)
		require.ErrorIs(t, err, media.ErrBlocked, name)
	}
}

// onlyDial lets every URL pass, so that only the address that is dialled is looked at.
type onlyDial struct{ *webhook.Targets }

func (onlyDial) CheckURL(string) error { return nil }
