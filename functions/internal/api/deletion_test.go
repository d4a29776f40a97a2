package api_test

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"wafleet/shared/session"
)

func TestListCompanies(t *testing.T) {
	t.Parallel()
	b := setup(t, likeAFunction)
	b.do(t, http.MethodGet, "/companies", b.admin, "").status(200).golden("companies-none")
	for _, id := range []string{"c", "a", "B"} {
		b.do(t, http.MethodPost, "/companies", b.admin, fmt.Sprintf(`{"companyId": %q}`, id)).status(201)
	}
	a := b.do(t, http.MethodGet, "/companies?limit=2", b.admin, "").status(200).golden("companies")
	next, _ := a.value("next").(string)
	a = b.do(t, http.MethodGet, "/companies?limit=2&after="+next, b.admin, "").status(200)
	require.Len(t, a.value("data"), 1)
	require.Nil(t, a.value("next"))
	own := "a"
	data, _ := b.do(t, http.MethodGet, "/companies", b.key(t, &own, "read"), "").status(200).value("data").([]any)
	require.Len(t, data, 1, "a company key sees its own")
	b.do(t, http.MethodGet, "/companies", b.key(t, &own, "send"), "").status(403)
	for _, query := range []string{"limit=0", "limit=1001", "limit=x"} {
		b.do(t, http.MethodGet, "/companies?"+query, b.admin, "").status(400).code("VALIDATION_ERROR")
	}
}

// Ten thousand companies are a matter of pages, each of which costs what it shows.
func TestListTenThousandCompanies(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.exec(t, `INSERT INTO companies (company_id, shard) SELECT 'c' || to_char(n, 'FM00000'), 0 FROM generate_series(1, 10000) AS n`)
	started, next, seen, pages := time.Now(), "", 0, 0
	for more := true; more; pages++ {
		a := b.do(t, http.MethodGet, "/companies?limit=1000&after="+next, b.admin, "").status(200)
		data, _ := a.value("data").([]any)
		seen += len(data)
		next, more = a.value("next").(string)
	}
	require.Equal(t, []int{10_000, 10}, []int{seen, pages})
	require.Less(t, time.Since(started), 10*time.Second)
	started = time.Now()
	b.do(t, http.MethodGet, "/companies?after=c05000", b.admin, "").status(200)
	require.Less(t, time.Since(started), time.Second)
}

func TestDeleteCompany(t *testing.T) {
	t.Parallel()
	b := setup(t, likeAFunction)
	b.company(t, "962302", session.Connected)
	b.company(t, "other", session.Connected)
	key, admin := b.key(t, new("962302"), "read"), b.key(t, new("962302"), "admin")
	b.endpoint(t, "962302", "https://example.com/hook")
	b.do(t, http.MethodPost, "/send", b.admin, hello).status(200)
	appendEvent(t, b, "962302", 1)
	remove := func(key string) answer { return b.do(t, http.MethodDelete, "/companies/962302", key, "") }

	remove(admin).status(403).code("FORBIDDEN")
	remove(b.admin).status(409).golden("company-live")
	b.do(t, http.MethodGet, "/companies/962302", key, "").status(200)
	require.Equal(t, 1, scan[int](t, b, `SELECT count(*) FROM webhook_endpoints`), "a refusal changes nothing")

	b.setState(t, "962302", session.Stopped)
	b.exec(t, `UPDATE whatsapp_sessions SET desired_generation = desired_generation + 1 WHERE company_id = '962302'`)
	remove(b.admin).status(409).code("SESSION_ERROR") // its owner has not got to it yet
	b.exec(t, `UPDATE whatsapp_sessions SET observed_generation = desired_generation WHERE company_id = '962302'`)
	remove(b.admin).status(200).golden("company-deleted")
	remove(b.admin).status(404).code("COMPANY_NOT_FOUND")

	for table, want := range map[string]int{"company_keys": 0, "api_keys": 0, "webhook_endpoints": 0, "whatsapp_sessions": 0, "company_seq": 0, "idempotent_answers": 0} {
		require.Equal(t, want, scan[int](t, b, `SELECT count(*) FROM `+table+` WHERE company_id = '962302'`), table)
		if table == "company_keys" || table == "whatsapp_sessions" {
			require.Equal(t, 1, scan[int](t, b, `SELECT count(*) FROM `+table+` WHERE company_id = 'other'`), table)
		}
	}
	b.do(t, http.MethodGet, "/companies/962302", key, "").status(401)
	for _, c := range []struct{ method, path, body string }{
		{http.MethodGet, "/companies/962302", ""},
		{http.MethodPatch, "/companies/962302", `{"title": "x"}`},
		{http.MethodGet, "/sessions/962302/status", ""},
		{http.MethodPost, "/sessions/962302/initialize", ""},
		{http.MethodPost, "/send", hello},
		{http.MethodPost, "/keys", `{"companyId": "962302", "scopes": ["read"]}`},
		{http.MethodPost, "/webhooks", `{"companyId": "962302", "url": "https://example.com"}`},
		{http.MethodPost, "/companies/962302/suppressions", `{"phone": "79001234567"}`},
		{http.MethodGet, "/webhooks?companyId=962302", ""},
		{http.MethodGet, "/keys?companyId=962302", ""},
	} {
		b.do(t, c.method, c.path, b.admin, c.body).status(404).code("COMPANY_NOT_FOUND")
	}
	require.NotContains(t, b.do(t, http.MethodGet, "/companies", b.admin, "").Body.String(), "962302")
	b.do(t, http.MethodPost, "/companies", b.admin, `{"companyId": "962302"}`).status(409).golden("company-id-kept")
}

// An answer that was kept for a company that is gone is not given again.
func TestACreatedCompanyIsNotReplayedAfterItsEnd(t *testing.T) {
	t.Parallel()
	b := setup(t)
	const body = `{"companyId": "salon"}`
	b.do(t, http.MethodPost, "/companies", b.admin, body, "Idempotency-Key", "1").status(201)
	b.do(t, http.MethodDelete, "/companies/salon", b.admin, "").status(200)
	b.do(t, http.MethodPost, "/companies", b.admin, body, "Idempotency-Key", "1").status(409).code("COMPANY_EXISTS")
}
