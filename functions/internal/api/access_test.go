package api_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"wafleet/functions/internal/auth"
	"wafleet/shared/session"
)

// calls is one call for each operation, with %c in the place of the company.
var calls = []struct{ method, path, body, scope string }{
	{http.MethodPost, "/send", `{"phone":"79001234567","message":"hi","companyId":"%c"}`, "send"},
	{http.MethodGet, "/messages/3EB0000000000000000000?companyId=%c", "", "read"},
	{http.MethodGet, "/events?companyId=%c", "", "read"},
	{http.MethodGet, "/sessions/%c/status", "", "read"},
	{http.MethodGet, "/sessions/%c/metrics", "", "read"},
	{http.MethodGet, "/sessions/%c/qr", "", "session"},
	{http.MethodPost, "/sessions/%c/initialize", "{}", "session"},
	{http.MethodPost, "/sessions/%c/disconnect", "", "session"},
	{http.MethodPost, "/sessions/%c/restart", "", "session"},
	{http.MethodPost, "/sessions/%c/logout", "", "session"},
	{http.MethodDelete, "/sessions/%c", "", "session"},
	{http.MethodPost, "/sessions/%c/pairing-code", `{"phoneNumber":"79001234567"}`, "session"},
	{http.MethodPost, "/webhooks", `{"url":"https://example.com","companyId":"%c"}`, "webhook"},
	{http.MethodGet, "/webhooks?companyId=%c", "", "webhook"},
	{http.MethodGet, "/webhooks/wh_x?companyId=%c", "", "webhook"},
	{http.MethodPatch, "/webhooks/wh_x?companyId=%c", `{"enabled":true}`, "webhook"},
	{http.MethodDelete, "/webhooks/wh_x?companyId=%c", "", "webhook"},
	{http.MethodPost, "/webhooks/wh_x/test?companyId=%c", "", "webhook"},
	{http.MethodPost, "/webhooks/wh_x/rotate-secret?companyId=%c", "", "webhook"},
	{http.MethodGet, "/webhooks/wh_x/deliveries?companyId=%c", "", "webhook"},
	{http.MethodPost, "/deliveries/0b0e8a52-4d5c-4a47-a9b1-0a2f5e8a6f01/replay?companyId=%c", "", "webhook"},
	{http.MethodGet, "/keys?companyId=%c", "", "admin"},
	{http.MethodGet, "/keys/key_x?companyId=%c", "", "admin"},
	{http.MethodPatch, "/keys/key_x?companyId=%c", `{"name":"n"}`, "admin"},
	{http.MethodDelete, "/keys/key_x?companyId=%c", "", "admin"},
	{http.MethodDelete, "/companies/%c", "", "admin"},
	{http.MethodGet, "/companies/%c/suppressions", "", "read"},
	{http.MethodPost, "/companies/%c/suppressions", `{"phone":"79001234567"}`, "send"},
	{http.MethodGet, "/companies/%c/suppressions/79001234567", "", "read"},
	{http.MethodDelete, "/companies/%c/suppressions/79001234567", "", "send"},
	{http.MethodPost, "/keys", `{"companyId":"%c","scopes":["read"]}`, "admin"},
	{http.MethodPost, "/companies", `{"companyId":"%c"}`, "admin"},
	{http.MethodGet, "/companies/%c", "", "read"},
	{http.MethodPatch, "/companies/%c", `{"title":"t"}`, "admin"},
	{http.MethodPost, "/diagnose", `{"phone":"79001234567","companyId":"%c"}`, "read"},
	{http.MethodGet, "/sessions", "", "read"},
}

func for_(company, text string) string { return strings.ReplaceAll(text, "%c", company) } //nolint:revive // reads well where it is used

func TestEveryCallNeedsAKey(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.company(t, "own", session.Connected)
	for _, c := range calls {
		for _, key := range []string{"", auth.NewKey(), "nonsense", b.admin + "x"} {
			a := b.do(t, c.method, for_("own", c.path), key, for_("own", c.body)).status(401).code("UNAUTHORIZED")
			require.Equal(t, "Bearer", a.Header().Get("WWW-Authenticate"))
		}
		// A bad body changes nothing: who calls is asked first.
		b.do(t, c.method, for_("own", c.path), "", "{").status(401)
	}
	b.do(t, http.MethodPost, "/send", "", "").status(401).golden("unauthorized")
}

func TestKeysInEitherHeader(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.do(t, http.MethodGet, "/sessions", "", "", "X-API-Key", b.admin).status(200)
	b.do(t, http.MethodGet, "/sessions", "", "", "Authorization", "bearer "+b.admin).status(200)
	b.do(t, http.MethodGet, "/sessions", "", "", "Authorization", "Basic "+b.admin).status(401)
}

// A company key is answered 403 for another company, whether or not there is one, and before anything is looked at.
func TestAForeignCompanyIsForbidden(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.company(t, "own", session.Connected)
	b.company(t, "other", session.Connected)
	own := "own"
	key := b.key(t, &own, "send", "read", "session", "webhook", "admin")
	for _, c := range calls {
		if !strings.Contains(c.path+c.body, "%c") {
			continue
		}
		var texts []string
		for _, company := range []string{"other", "nobody"} {
			a := b.do(t, c.method, for_(company, c.path), key, for_(company, c.body), "X-Request-Id", "r").status(403).code("FORBIDDEN")
			texts = append(texts, strings.ReplaceAll(a.Body.String(), company, "%c"))
		}
		require.Equal(t, texts[0], texts[1], "%s tells whether a company exists", c.path)
	}
	b.do(t, http.MethodGet, "/sessions/other/status", key, "").golden("forbidden")
	require.Zero(t, scan[int](t, b, `SELECT count(*) FROM webhook_endpoints`))
	require.Equal(t, "running/0/qr/", declared(t, b, "other"))
}

func TestScopes(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.company(t, "own", session.Connected)
	own := "own"
	for _, scope := range []string{"send", "read", "session", "webhook", "admin"} {
		key := b.key(t, &own, scope)
		for _, c := range calls {
			if c.path == "/companies" || (c.path == "/companies/%c" && c.method == http.MethodDelete) {
				continue // for admin keys of the installation only, see below
			}
			a := b.do(t, c.method, for_("own", c.path), key, for_("own", c.body))
			if allowed := c.scope == scope || scope == "admin"; allowed {
				require.NotEqual(t, 403, a.Code, "%s %s", scope, c.path)
				require.NotEqual(t, 401, a.Code, "%s %s", scope, c.path)
			} else {
				require.Equal(t, c.scope, a.status(403).value("error", "details", "scope"), "%s %s", scope, c.path)
			}
		}
		b.do(t, http.MethodPost, "/companies", key, `{"companyId":"own"}`).status(403)
		b.do(t, http.MethodPost, "/companies", key, `{"companyId":"new"}`).status(403)
		b.do(t, http.MethodDelete, "/companies/own", key, "").status(403)
	}
}

// An admin key of the installation may have less than all scopes, too.
func TestAnAdminKeyWithScopes(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.company(t, "own", session.Connected)
	reader := b.key(t, nil, "read")
	b.do(t, http.MethodGet, "/sessions/own/status", reader, "").status(200)
	b.do(t, http.MethodPost, "/companies", reader, `{"companyId":"new"}`).status(403)
	b.do(t, http.MethodPost, "/send", reader, `{"phone":"79001234567","message":"hi","companyId":"own"}`).status(403)
}

func TestACompanyKeyNeedsToNameNothing(t *testing.T) {
	t.Parallel()
	b := setup(t, withDefaultCompany("default"))
	b.company(t, "own", session.Connected)
	b.company(t, "default", session.Connected)
	own := "own"
	key := b.key(t, &own, "admin")
	b.do(t, http.MethodPost, "/send", key, `{"phone":"79001234567","message":"hi"}`).status(200)
	b.do(t, http.MethodPost, "/webhooks", key, `{"url":"https://example.com"}`).status(201)
	b.do(t, http.MethodGet, "/events", key, "").status(200)
	require.Equal(t, "own", scan[string](t, b, `SELECT company_id FROM messages`))
	require.Equal(t, "own", scan[string](t, b, `SELECT company_id FROM webhook_endpoints`))
}

func TestUnknownAndMalformedCompaniesForAnAdmin(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.do(t, http.MethodGet, "/sessions/nobody/status", b.admin, "").status(404).code("COMPANY_NOT_FOUND")
	b.do(t, http.MethodGet, "/sessions/nobody/metrics", b.admin, "").status(404).code("COMPANY_NOT_FOUND")
	b.do(t, http.MethodGet, "/events?companyId=nobody", b.admin, "").status(404).code("COMPANY_NOT_FOUND")
	b.do(t, http.MethodGet, "/sessions/a%20b/status", b.admin, "").status(400).code("VALIDATION_ERROR")
	b.do(t, http.MethodGet, "/sessions/a%00b/status", b.admin, "").status(400).code("VALIDATION_ERROR")
	b.do(t, http.MethodGet, "/messages/a%00b", b.admin, "").status(400).code("VALIDATION_ERROR")
	b.do(t, http.MethodGet, "/events", b.admin, "").status(400).golden("company-required")
}
