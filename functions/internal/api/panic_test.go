package api //nolint:testpackage // no route of the contract panics, so this mounts one that does

import (
	"bytes"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"wafleet/functions/internal/auth"
)

func TestAPanicIsAnInternalError(t *testing.T) {
	t.Parallel()
	var logs bytes.Buffer
	a := &API{logger: slog.New(slog.NewJSONHandler(&logs, nil)), counts: newCounters(prometheus.NewRegistry()), keys: auth.New(nil)}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /early", func(http.ResponseWriter, *http.Request) { panic("secret detail") })
	mux.HandleFunc("GET /late", func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusOK)
		panic("secret detail")
	})
	get := func(path string) *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		(&edge{api: a, mux: mux}).ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil))
		return w
	}
	w := get("/early")
	require.Equal(t, http.StatusInternalServerError, w.Code)
	require.Contains(t, w.Body.String(), `"INTERNAL_ERROR"`)
	require.NotContains(t, w.Body.String(), "secret")
	require.Contains(t, logs.String(), "secret detail")
	require.Contains(t, logs.String(), "panic_test.go")

	require.Equal(t, http.StatusOK, get("/late").Code, "what was answered cannot be taken back")
	require.Contains(t, logs.String(), "api.panic")
}
