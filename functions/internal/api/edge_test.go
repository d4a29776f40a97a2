package api_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"wafleet/shared/session"
)

func TestUnknownRoutes(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.do(t, http.MethodGet, "/nothing", "", "", "X-Request-Id", "r").status(404).golden("route-not-found")
	for _, path := range []string{"//nothing", "//api", "//api/whatsapp", "/sessions/a/b/c", "/send/x", "//favicon.ico", "//index.html"} {
		b.do(t, http.MethodGet, path, b.admin, "").status(404).code("NOT_FOUND")
	}
}

func TestWrongMethods(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.do(t, http.MethodGet, "/send", "", "").status(405).golden("method-not-allowed")
	require.Equal(t, "GET, HEAD", b.do(t, http.MethodPost, "/health", "", "{}").status(405).Header().Get("Allow"))
	require.Equal(t, "GET, HEAD, POST", b.do(t, http.MethodDelete, "/companies", b.admin, "").status(405).Header().Get("Allow"))
	require.Equal(t, "DELETE", b.do(t, http.MethodGet, "/sessions/a", b.admin, "").status(405).Header().Get("Allow"))
	b.do(t, http.MethodHead, "/health", "", "").status(200)
}

func TestBodies(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.company(t, "962302", session.Connected)
	for name, tc := range map[string]struct {
		body, contentType string
		status            int
		code              string
	}{
		"json":                 {hello, "application/json", 200, ""},
		"with charset":         {hello, "application/json; charset=UTF-8", 200, ""},
		"no type":              {hello, "", 200, ""},
		"json of some kind":    {hello, "application/vnd.api+json", 200, ""},
		"with white space":     {" \r\n\t" + hello + "\n", "application/json", 200, ""},
		"form":                 {"phone=79001234567", "application/x-www-form-urlencoded", 415, "UNSUPPORTED_MEDIA_TYPE"},
		"json said to be form": {hello, "application/x-www-form-urlencoded", 415, "UNSUPPORTED_MEDIA_TYPE"},
		"text":                 {hello, "text/plain", 415, "UNSUPPORTED_MEDIA_TYPE"},
		"garbage type":         {hello, "/;;", 415, "UNSUPPORTED_MEDIA_TYPE"},
		"latin1":               {hello, "application/json; charset=iso-8859-1", 415, "UNSUPPORTED_MEDIA_TYPE"},
		"not json":             {"phone=1", "application/json", 400, "VALIDATION_ERROR"},
		"an array":             {"[" + hello + "]", "application/json", 400, "VALIDATION_ERROR"},
		"null":                 {"null", "application/json", 400, "VALIDATION_ERROR"},
		"two documents":        {hello + hello, "application/json", 400, "VALIDATION_ERROR"},
		"invalid utf-8":        {strings.Replace(hello, "World", "\xff", 1), "application/json", 400, "VALIDATION_ERROR"},
		"deep":                 {strings.Repeat("[", 33) + strings.Repeat("]", 33), "application/json", 400, "VALIDATION_ERROR"},
		"1 MB":                 {strings.Repeat(" ", 1<<20-len(hello)) + hello, "application/json", 200, ""},
		"more than 1 MB":       {strings.Repeat(" ", 1<<20-len(hello)+1) + hello, "application/json", 413, "BODY_TOO_LARGE"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := b.do(t, http.MethodPost, "/send", b.admin, tc.body, "Content-Type", tc.contentType).status(tc.status)
			if tc.code != "" {
				a.code(tc.code)
			}
		})
	}
	b.do(t, http.MethodPost, "/send", b.admin, hello, "Content-Encoding", "gzip").status(415).golden("unsupported-media")
	b.do(t, http.MethodPost, "/send", b.admin, strings.Repeat("x", 1<<20+1)).status(413).golden("body-too-large")
	b.do(t, http.MethodPost, "/send", b.admin, `{"phone":79001234567,"message":"x"}`).status(400).golden("validation")
	b.do(t, http.MethodPost, "/send", b.admin, "").status(400)
}

func TestRequestID(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for given, want := range map[string]string{
		"":                      `^req_[A-Z0-9]{26}$`,
		"order-17:try.2":        `^order-17:try\.2$`,
		"a b":                   `^req_`,
		"x\ny":                  `^req_`,
		strings.Repeat("a", 65): `^req_`,
		"<script>":              `^req_`,
		strings.Repeat("a", 64): `^a{64}$`,
	} {
		a := b.do(t, http.MethodGet, "/nothing", "", "", "X-Request-Id", given)
		require.Regexp(t, want, a.Header().Get("X-Request-Id"))
		require.Equal(t, a.Header().Get("X-Request-Id"), a.value("requestId"))
	}
}

// What nobody foresaw is a 500 with a generic text; its own text is in the log alone.
func TestUnknownErrors(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.company(t, "962302", session.Connected)
	b.exec(t, `ALTER TABLE messages RENAME TO gone`)
	b.do(t, http.MethodPost, "/send", b.admin, hello).status(500).golden("internal-error")
	require.Contains(t, b.logs.String(), "relation \\\"messages\\\" does not exist")
}

func TestADatabaseThatIsGone(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.company(t, "962302", session.Connected)
	b.do(t, http.MethodGet, "/sessions", b.admin, "").status(200) // the key is known from now on
	b.loseDatabase(t)
	b.do(t, http.MethodPost, "/send", b.admin, hello).status(503).golden("database-error")
	b.do(t, http.MethodPost, "/send", b.admin, `{"phone":"1","message":"x","companyId":"962302"}`).status(400)
	b.do(t, http.MethodGet, "/health", b.admin, "").status(503)
}

func TestACallerThatHangsUp(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.company(t, "962302", session.Connected)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	b.doWith(t, ctx, http.MethodGet, "/sessions/962302/status", b.admin, "")
	require.NotContains(t, b.logs.String(), `"level":"ERROR"`)
	require.Contains(t, b.logs.String(), "CLIENT_GONE")
}

func TestPages(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for path, want := range map[string]string{"//": "wafleet", "//docs": "/api/whatsapp/send", "//openapi.yaml": "openapi: 3.1.0"} {
		require.Contains(t, b.do(t, http.MethodGet, path, "", "").status(200).Body.String(), want)
	}
}

func TestMetricsAreForThisMachineAndAdmins(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.company(t, "own", session.Connected)
	own := "own"
	get := func(remote, key string, headers ...string) int {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/metrics", nil)
		r.RemoteAddr = remote
		r.Header.Set("X-API-Key", key)
		for i := 0; i < len(headers); i += 2 {
			r.Header.Set(headers[i], headers[i+1])
		}
		w := httptest.NewRecorder()
		b.handler.ServeHTTP(w, r)
		return w.Code
	}
	require.Equal(t, 200, get("127.0.0.1:4711", ""))
	require.Equal(t, 200, get("[::1]:4711", ""))
	require.Equal(t, 401, get("10.0.0.7:4711", ""))
	require.Equal(t, 401, get("127.0.0.1:4711", "", "X-Forwarded-For", "203.0.113.9"))
	require.Equal(t, 200, get("10.0.0.7:4711", b.admin))
	require.Equal(t, 401, get("10.0.0.7:4711", b.key(t, &own, "admin")))
	require.Equal(t, 401, get("garbage", ""))
}

// Each function serves the routes of its tag and no others.
func TestHandlerWithTags(t *testing.T) {
	t.Parallel()
	b := setup(t, func(o *options) { o.handler = []string{"messages"} })
	b.company(t, "962302", session.Connected)
	b.do(t, http.MethodPost, "/send", b.admin, hello).status(200)
	b.do(t, http.MethodGet, "/sessions", b.admin, "").status(404)
	b.do(t, http.MethodGet, "//docs", b.admin, "").status(404)
}
