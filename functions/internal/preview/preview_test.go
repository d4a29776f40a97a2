package preview_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"wafleet/functions/internal/preview"
	"wafleet/shared/media"
	"wafleet/shared/media/mediatest"
	"wafleet/shared/message"
	"wafleet/shared/webhook"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestLink(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"nothing":                               "",
		"see https://example.com.":              "https://example.com",
		"(http://example.com/a?b=c&d) and more": "http://example.com/a?b=c&d",
		"https://a.example, https://b.example":  "https://a.example",
		"ftp://example.com":                     "",
		"https://пример.рф/путь!":               "https://пример.рф/путь",
	} {
		require.Equal(t, want, preview.Link(text))
	}
}

func TestPreview(t *testing.T) {
	t.Parallel()
	pages := map[string]struct{ kind, page string }{
		"/full": {"text/html", `<html><head><title>Plain</title><meta property="og:title" content="Salon &amp; Spa">
			<meta property="og:description" content="Two
			lines"><meta property="og:image" content="picture.png"></head><body><title>not this</title>`},
		"/plain":       {"text/html; charset=windows-1251", "<title>\xcf\xf0\xe8\xe2\xe5\xf2</title><meta name=description content=short>"},
		"/untitled":    {"text/html", "<p>hello"},
		"/text":        {"text/plain", "<title>x</title>"},
		"/long":        {"text/html", "<title>" + strings.Repeat("я", 1000) + "</title>"},
		"/picture.png": {"image/png", string(mediatest.PNG(t, 100, 100, 1))},
		"/bad-picture": {"text/html", `<title>x</title><meta property="og:image" content="http://169.254.169.254/">`},
		"/large":       {"text/html", strings.Repeat("x", 2<<20+1)},
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		page, ok := pages[r.URL.Path]
		if !ok {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Content-Type", page.kind)
		_, _ = w.Write([]byte(page.page))
	}))
	t.Cleanup(server.Close)
	fetcher := media.NewFetcher(webhook.NewTargets(true, true), nil)
	of := func(path string) *message.LinkPreview {
		t.Helper()
		p, err := preview.Of(t.Context(), fetcher, "see "+server.URL+path+" !")
		require.NoError(t, err)
		return p
	}

	full := of("/full")
	require.NotEmpty(t, full.Thumbnail)
	full.Thumbnail = nil
	require.Equal(t, &message.LinkPreview{URL: server.URL + "/full", Title: "Salon & Spa", Description: "Two lines"}, full)
	require.Equal(t, &message.LinkPreview{URL: server.URL + "/plain", Title: "Привет", Description: "short"}, of("/plain"))
	require.Len(t, []rune(of("/long").Title), 255)
	require.Empty(t, of("/bad-picture").Thumbnail)
	for _, path := range []string{"/untitled", "/text", "/nothing", "/large", "/picture.png"} {
		require.Nil(t, of(path), path)
	}

	p, err := preview.Of(t.Context(), fetcher, "no link")
	require.NoError(t, err)
	require.Nil(t, p)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = preview.Of(ctx, fetcher, server.URL+"/full")
	require.ErrorIs(t, err, context.Canceled)
}
