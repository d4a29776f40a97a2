package docs_test

import (
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"go.yaml.in/yaml/v3"

	"wafleet/functions/internal/docs"
	"wafleet/shared/api"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func get(t *testing.T, h http.Handler) *httptest.ResponseRecorder {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil))
	require.Equal(t, http.StatusOK, w.Code)
	return w
}

func TestThePageShowsTheWholeContract(t *testing.T) {
	t.Parallel()
	page := get(t, docs.Page()).Body.String()

	var contract struct {
		Paths      map[string]map[string]any
		Components struct{ Schemas map[string]any }
		Errors     []struct{ Code string } `yaml:"x-error-catalogue"`
	}
	require.NoError(t, yaml.Unmarshal(api.Contract, &contract))
	for path := range contract.Paths {
		require.Contains(t, page, "<code>"+api.BasePath+path+"</code>")
	}
	for name := range contract.Components.Schemas {
		require.Contains(t, page, `id="`+name+`"`)
	}
	for _, e := range contract.Errors {
		require.Contains(t, page, `id="`+e.Code+`"`)
	}
	require.NotContains(t, page, "&lt;no value&gt;")
	require.NotContains(t, page, "map[")
}

func TestThePageAsksNobodyElse(t *testing.T) {
	t.Parallel()
	w := get(t, docs.Page())
	require.Equal(t, "text/html; charset=utf-8", w.Header().Get("Content-Type"))
	require.Contains(t, w.Header().Get("Content-Security-Policy"), "default-src 'none'")
	for _, link := range regexp.MustCompile(`(?:src|href)="([^"]*)"`).FindAllStringSubmatch(w.Body.String(), -1) {
		require.Regexp(t, `^(#|/openapi\.yaml$)`, link[1])
	}
	require.NotContains(t, w.Body.String(), "<script")
}

func TestEveryLinkLeadsSomewhere(t *testing.T) {
	t.Parallel()
	page := get(t, docs.Page()).Body.String()
	for _, link := range regexp.MustCompile(`href="#([^"]*)"`).FindAllStringSubmatch(page, -1) {
		require.Contains(t, page, `id="`+link[1]+`"`)
	}
}

func TestContractIsServedAsItIs(t *testing.T) {
	t.Parallel()
	w := get(t, docs.Contract())
	require.Equal(t, string(api.Contract), w.Body.String())
	require.True(t, strings.HasPrefix(w.Header().Get("Content-Type"), "application/yaml"))
}

func TestTextIsEscaped(t *testing.T) {
	t.Parallel()
	page, err := docs.Render([]byte("info: {title: x, description: 'a <b> `<script>` c'}"))
	require.NoError(t, err)
	require.Contains(t, string(page), "<p>a &lt;b&gt; <code>&lt;script&gt;</code> c</p>")

	_, err = docs.Render([]byte("\t"))
	require.Error(t, err)
}
