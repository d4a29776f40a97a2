package api_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"wafleet/shared/session"
)

const verbatim = `{"greetingMessage": "Welcome!", "workingHours": "9:00-18:00", "ours": {"unknown": [1, 2.50, null], "deep": {"a": "ä\u0001"}}, "empty": {}}`

func TestACompanyIsShownAsItWasDescribed(t *testing.T) {
	t.Parallel()
	b := setup(t, likeAFunction)
	b.do(t, http.MethodPost, "/companies", b.admin, `{"companyId": "salon", "title": "Beauty Salon", "phone": "+7 900 123-45-67", "config": `+verbatim+`}`).status(201)
	a := b.do(t, http.MethodGet, "/companies/salon", b.admin, "").status(200).golden("company")
	require.JSONEq(t, verbatim, mustJSON(t, a.value("data", "config")))

	own, other := "salon", "other"
	b.company(t, other, session.Created)
	b.do(t, http.MethodGet, "/companies/salon", b.key(t, &own, "read"), "").status(200)
	b.do(t, http.MethodGet, "/companies/salon", b.key(t, &other, "read"), "").status(403)
	b.do(t, http.MethodGet, "/companies/nobody", b.admin, "").status(404).code("COMPANY_NOT_FOUND")
	b.do(t, http.MethodGet, "/companies/a%20b", b.admin, "").status(400).code("VALIDATION_ERROR")
	require.Nil(t, b.do(t, http.MethodGet, "/companies/other", b.admin, "").status(200).value("data", "config"))
}

func TestUpdateCompany(t *testing.T) {
	t.Parallel()
	b := setup(t, likeAFunction)
	b.do(t, http.MethodPost, "/companies", b.admin, `{"companyId": "salon", "title": "Salon", "config": `+verbatim+`}`).status(201)
	patch := func(key, body string) answer { return b.do(t, http.MethodPatch, "/companies/salon", key, body) }

	a := patch(b.admin, `{"phone": "79001234567", "rateLimit": {"burst": 50}}`).status(200)
	require.Equal(t, "Salon", a.value("data", "title"), "what is not said stays")
	require.Equal(t, "79001234567", a.value("data", "phone"))
	require.EqualValues(t, 30, a.value("data", "rateLimit", "perMinute"))
	require.EqualValues(t, 50, a.value("data", "rateLimit", "burst"))
	require.JSONEq(t, verbatim, mustJSON(t, a.value("data", "config")))
	require.Equal(t, map[string]any{"only": true}, patch(b.admin, `{"config": {"only": true}}`).status(200).value("data", "config"), "replaced, not merged")

	for body, field := range map[string]string{
		`{"phone": "1"}`: "phone", `{"title": 1}`: "title", `{"config": []}`: "config", `{"companyId": "x"}`: "companyId",
		`{"rateLimit": {"perMinute": 0}}`: "rateLimit.perMinute", `{"rateLimit": {"burst": 100001}}`: "rateLimit.burst",
	} {
		require.Equal(t, field, patch(b.admin, body).status(400).code("VALIDATION_ERROR").value("error", "details", "field"), body)
	}
	own := "salon"
	patch(b.key(t, &own, "admin"), `{"title": "Ours"}`).status(200)
	patch(b.key(t, &own, "admin"), `{"rateLimit": {"perMinute": 1000}}`).status(403).code("FORBIDDEN")
	patch(b.key(t, &own, "send", "read", "session", "webhook"), `{"title": "Mine"}`).status(403)
	b.do(t, http.MethodPatch, "/companies/nobody", b.admin, `{"title": "x"}`).status(404).code("COMPANY_NOT_FOUND")
}
