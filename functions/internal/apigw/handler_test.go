package apigw_test

import (
	"encoding/base64"
	"encoding/json"
	"flag"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-lambda-go/events"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"wafleet/functions/internal/apigw"
)

var update = flag.Bool("update", false, "write the golden files anew")

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// seen is what a handler gets to see of an event.
type seen struct {
	Method, URI, Path, Query, Host, RemoteAddr string
	Header                                     http.Header
	Cookies                                    map[string]string
	Length                                     int64
	Body                                       string
}

// Each event in testdata has the request that a handler sees beside it.
func TestRequests(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/*.event.json")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			t.Parallel()
			got := deliver(t, file)
			text, err := json.MarshalIndent(got, "", "  ")
			require.NoError(t, err)
			golden := strings.TrimSuffix(file, ".event.json") + ".golden"
			if *update {
				require.NoError(t, os.WriteFile(golden, text, 0o600))
			}
			want, err := os.ReadFile(golden)
			require.NoError(t, err)
			require.JSONEq(t, string(want), string(text))
		})
	}
}

func deliver(t *testing.T, file string) seen {
	t.Helper()
	var got seen
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	var event events.APIGatewayV2HTTPRequest
	require.NoError(t, json.Unmarshal(text, &event))
	_, err = apigw.Wrap(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		got = seen{
			Method: r.Method, URI: r.RequestURI, Path: r.URL.Path, Query: r.URL.RawQuery, Host: r.Host, RemoteAddr: r.RemoteAddr,
			Header: r.Header, Cookies: map[string]string{}, Length: r.ContentLength, Body: string(body),
		}
		for _, c := range r.Cookies() {
			got.Cookies[c.Name] = c.Value
		}
	}))(t.Context(), event)
	require.NoError(t, err)
	return got
}

func answer(t *testing.T, h http.HandlerFunc) events.APIGatewayV2HTTPResponse {
	t.Helper()
	event := events.APIGatewayV2HTTPRequest{RawPath: "/"}
	event.RequestContext.HTTP.Method = http.MethodGet
	r, err := apigw.Wrap(h)(t.Context(), event)
	require.NoError(t, err)
	return r
}

func TestTextAnswer(t *testing.T) {
	t.Parallel()
	r := answer(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Add("Vary", "Accept")
		w.Header().Add("Vary", "Origin")
		w.Header().Add("Set-Cookie", "a=1")
		w.Header().Add("Set-Cookie", "b=2; Expires=Wed, 21 Oct 2025 07:28:00 GMT")
		w.WriteHeader(http.StatusConflict)
		w.WriteHeader(http.StatusOK) // too late
		_, _ = io.WriteString(w, `{"text":"привет"}`)
	})
	require.Equal(t, events.APIGatewayV2HTTPResponse{
		StatusCode: 409, Body: `{"text":"привет"}`,
		Headers: map[string]string{"Content-Type": "application/json", "Vary": "Accept, Origin"},
		Cookies: []string{"a=1", "b=2; Expires=Wed, 21 Oct 2025 07:28:00 GMT"},
	}, r)
}

func TestBinaryAnswer(t *testing.T) {
	t.Parallel()
	picture := []byte{0x89, 'P', 'N', 'G', 0, 0xff}
	r := answer(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "image/png")
		_, _ = w.Write(picture)
	})
	require.Equal(t, 200, r.StatusCode)
	require.True(t, r.IsBase64Encoded)
	decoded, err := base64.StdEncoding.DecodeString(r.Body)
	require.NoError(t, err)
	require.Equal(t, picture, decoded)
}

func TestWhatTravelsAsText(t *testing.T) {
	t.Parallel()
	for media, text := range map[string]bool{
		"text/html; charset=utf-8": true, "application/json": true, "application/problem+json": true, "image/svg+xml": true,
		"application/yaml; charset=utf-8": true, "image/png": false, "application/octet-stream": false, "application/zip": false, "nonsense;;;": false,
	} {
		r := answer(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", media)
			_, _ = io.WriteString(w, "x")
		})
		require.Equal(t, !text, r.IsBase64Encoded, media)
	}
}

func TestEmptyAnswer(t *testing.T) {
	t.Parallel()
	require.Equal(t, events.APIGatewayV2HTTPResponse{StatusCode: 200, Headers: map[string]string{}},
		answer(t, func(http.ResponseWriter, *http.Request) {}))
}

func TestBrokenEvents(t *testing.T) {
	t.Parallel()
	h := apigw.Wrap(http.NotFoundHandler())
	_, err := h(t.Context(), events.APIGatewayV2HTTPRequest{RawPath: "/", Body: "!", IsBase64Encoded: true})
	require.ErrorContains(t, err, "decode body")
	broken := events.APIGatewayV2HTTPRequest{RawPath: "/"}
	broken.RequestContext.HTTP.Method = "NOT A METHOD"
	_, err = h(t.Context(), broken)
	require.ErrorContains(t, err, "make request")
}
