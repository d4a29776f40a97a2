package api_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"wafleet/functions/internal/auth"
	"wafleet/shared/company"
	"wafleet/shared/session"
	"wafleet/shared/webhook"
)

func TestCreateCompany(t *testing.T) {
	t.Parallel()
	b := setup(t, likeAFunction)
	create := func(body string, headers ...string) answer {
		return b.do(t, http.MethodPost, "/companies", b.admin, body, headers...)
	}
	create(`{"companyId": "962302"}`).status(201).golden("company-bare")
	create(`{"companyId": "full", "title": "Beauty Salon", "phone": "+7 900 123-45-67", "config": {"a": [1]}, "rateLimit": {"perMinute": 60}}`).
		status(201).golden("company-full")
	create(`{"companyId": "962302"}`).status(409).golden("company-exists")
	require.Equal(t, int64(company.Shard("962302", 4)), scan[int64](t, b, `SELECT shard FROM companies WHERE company_id = '962302'`))
	b.do(t, http.MethodGet, "/sessions/full/status", b.admin, "").status(200)

	for body, field := range map[string]string{
		`{}`:                    "companyId",
		`{"companyId": ""}`:     "companyId",
		`{"companyId": "a b"}`:  "companyId",
		`{"companyId": "ä"}`:    "companyId",
		`{"companyId": 962302}`: "companyId",
		`{"companyId": "` + strings.Repeat("a", 51) + `"}`:                "companyId",
		`{"companyId": "x", "phone": "1"}`:                                "phone",
		`{"companyId": "x", "title": "` + strings.Repeat("я", 256) + `"}`: "title",
		`{"companyId": "x", "config": 1}`:                                 "config",
		`{"companyId": "x", "rateLimit": {"perMinute": 0}}`:               "rateLimit.perMinute",
		`{"companyId": "x", "rateLimit": {"burst": 100001}}`:              "rateLimit.burst",
		`{"companyId": "x", "rateLimit": {"burst": "5"}}`:                 "rateLimit.burst",
		`{"companyId": "x", "rateLimit": {"perHour": 5}}`:                 "rateLimit.perHour",
	} {
		a := create(body).status(400).code("VALIDATION_ERROR")
		require.Equal(t, field, a.value("error", "details", "field"), body)
	}
	require.Equal(t, 2, scan[int](t, b, `SELECT count(*) FROM companies`))
}

func TestCreateCompanyOnce(t *testing.T) {
	t.Parallel()
	b := setup(t, likeAFunction)
	create := func(body, key string) answer {
		return b.do(t, http.MethodPost, "/companies", b.admin, body, "Idempotency-Key", key)
	}
	first := create(`{"companyId": "a", "title": "A"}`, "1").status(201)
	b.do(t, http.MethodPost, "/sessions/a/initialize", b.admin, `{"name": "renamed"}`).status(200)
	again := create(`{"companyId": "a", "title": "A"}`, "1").status(201)
	require.Equal(t, first.Body.String(), again.Body.String())
	require.Equal(t, "true", again.Header().Get("Idempotent-Replayed"))
	create(`{"companyId": "a", "title": "B"}`, "1").status(409).code("IDEMPOTENCY_CONFLICT")
	create(`{"companyId": "a", "title": "A"}`, "2").status(409).code("COMPANY_EXISTS")
	b.do(t, http.MethodPost, "/companies", b.admin, `{"companyId": "a", "title": "A"}`).status(409).code("COMPANY_EXISTS")
}

func TestCreateKey(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.company(t, "962302", session.Connected)
	create := func(key, body string) answer { return b.do(t, http.MethodPost, "/keys", key, body) }

	a := create(b.admin, `{"companyId": "962302", "name": "backend", "scopes": ["send", "read", "send"]}`).status(201).golden("key")
	key, _ := a.value("data", "key").(string)
	b.do(t, http.MethodPost, "/send", key, `{"phone": "79001234567", "message": "hi"}`).status(200)
	b.do(t, http.MethodGet, "/sessions/962302/qr", key, "").status(403).golden("scope-missing")
	require.Equal(t, 0, scan[int](t, b, `SELECT count(*) FROM api_keys WHERE encode(hash, 'escape') LIKE '%' || $1 || '%' OR id = $1`, key), "only the hash is stored")
	require.Equal(t, auth.Hash(key), scan[[]byte](t, b, `SELECT hash FROM api_keys WHERE name = 'backend'`))

	for body, field := range map[string]string{
		`{"companyId": "962302"}`:                                "scopes",
		`{"companyId": "962302", "scopes": []}`:                  "scopes",
		`{"companyId": "962302", "scopes": ["all"]}`:             "scopes",
		`{"companyId": "962302", "scopes": "send"}`:              "scopes",
		`{"scopes": ["send"]}`:                                   "companyId",
		`{"companyId": "a/b", "scopes": ["send"]}`:               "companyId",
		`{"companyId": "962302", "scopes": ["send"], "id": "x"}`: "id",
	} {
		bad := create(b.admin, body).status(400).code("VALIDATION_ERROR")
		require.Equal(t, field, bad.value("error", "details", "field"), body)
	}
	create(b.admin, `{"companyId": "nobody", "scopes": ["send"]}`).status(404).code("COMPANY_NOT_FOUND")

	own := "962302"
	create(b.key(t, &own, "admin"), `{"companyId": "962302", "scopes": ["send"]}`).status(201)
	create(b.key(t, &own, "admin"), `{"companyId": "other", "scopes": ["send"]}`).status(403)
	create(b.key(t, &own, "send", "read", "session", "webhook"), `{"companyId": "962302", "scopes": ["send"]}`).status(403)
}

func TestCreateKeyOnce(t *testing.T) {
	t.Parallel()
	b := setup(t, likeAFunction)
	b.company(t, "962302", session.Connected)
	const body = `{"companyId": "962302", "scopes": ["send"]}`
	answers := make([]answer, 8)
	var wg sync.WaitGroup
	for i := range answers {
		wg.Go(func() { answers[i] = b.do(t, http.MethodPost, "/keys", b.admin, body, "Idempotency-Key", "1") })
	}
	wg.Wait()
	for _, a := range answers {
		require.Equal(t, answers[0].Body.String(), a.status(201).Body.String())
	}
	require.Equal(t, 1, scan[int](t, b, `SELECT count(*) FROM api_keys WHERE company_id = '962302'`))
	key, _ := answers[0].value("data", "key").(string)
	require.Equal(t, 0, scan[int](t, b, `SELECT count(*) FROM idempotent_answers WHERE position($1::bytea in answer) > 0`, []byte(key)), "kept sealed")

	b.do(t, http.MethodPost, "/keys", b.admin, strings.Replace(body, "send", "read", 1), "Idempotency-Key", "1").status(409).code("IDEMPOTENCY_CONFLICT")
	b.do(t, http.MethodPost, "/keys", b.admin, body, "Idempotency-Key", "").status(400).code("VALIDATION_ERROR")
	b.do(t, http.MethodPost, "/keys", b.admin, body).status(201)
	require.Equal(t, 2, scan[int](t, b, `SELECT count(*) FROM api_keys WHERE company_id = '962302'`))
}

func TestCreateWebhook(t *testing.T) {
	t.Parallel()
	b := setup(t, likeAFunction)
	b.company(t, "962302", session.Connected)
	create := func(body string, headers ...string) answer {
		return b.do(t, http.MethodPost, "/webhooks", b.admin, body, headers...)
	}
	a := create(`{"companyId": "962302", "url": "https://example.com/hook", "events": ["message.sent", "message.received", "message.sent"], "legacySignature": true}`).
		status(201).golden("webhook")
	id, _ := a.value("data", "id").(string)
	sealed := scan[[]byte](t, b, `SELECT secret FROM webhook_endpoints WHERE id = $1 AND legacy_signature AND enabled AND events = '{message.received,message.sent}'`, id)
	secret, err := b.vault.Open(t.Context(), "962302", webhook.SecretContext(id), sealed)
	require.NoError(t, err)
	require.Equal(t, a.value("data", "secret"), string(secret))

	create(`{"companyId": "962302", "url": "http://127.0.0.1:8080/hook"}`).status(201).golden("webhook-all-events")

	first := create(`{"companyId": "962302", "url": "https://example.com/once"}`, "Idempotency-Key", "1").status(201)
	again := create(`{"companyId": "962302", "url": "https://example.com/once"}`, "Idempotency-Key", "1").status(201)
	require.Equal(t, first.Body.String(), again.Body.String())
	create(`{"companyId": "962302", "url": "https://example.com/twice"}`, "Idempotency-Key", "1").status(409).code("IDEMPOTENCY_CONFLICT")
	require.Equal(t, 3, scan[int](t, b, `SELECT count(*) FROM webhook_endpoints`))

	create(`{"companyId": "nobody", "url": "https://example.com/hook"}`).status(404).code("COMPANY_NOT_FOUND")
	bad := create(`{"companyId": "962302", "url": "https://example.com/hook", "events": ["message.gone"]}`).status(400)
	require.Equal(t, "events", bad.value("error", "details", "field"))
}

func TestWebhookTargets(t *testing.T) {
	t.Parallel()
	dev, production := setup(t), setup(t, func(o *options) { o.config.Mode = "production" })
	closed := setup(t, func(o *options) { o.config.AllowLoopbackTargets = false })
	for _, b := range []*bundle{dev, production, closed} {
		b.company(t, "a", session.Connected)
	}
	create := func(b *bundle, url string) int {
		a := b.do(t, http.MethodPost, "/webhooks", b.admin, fmt.Sprintf(`{"companyId": "a", "url": %q}`, url))
		if a.Code != 201 {
			require.Equal(t, "url", a.code("VALIDATION_ERROR").value("error", "details", "field"))
		}
		return a.Code
	}
	for url, want := range map[string][3]int{ // dev, production, dev without loopback
		"https://example.com/x":            {201, 201, 201},
		"http://example.com/x":             {201, 400, 201},
		"http://127.0.0.1:9/x":             {201, 400, 400},
		"https://localhost/x":              {201, 400, 400},
		"https://[::1]/x":                  {201, 400, 400},
		"https://10.0.0.1/x":               {400, 400, 400},
		"https://192.168.1.1/x":            {400, 400, 400},
		"https://169.254.169.254/latest":   {400, 400, 400},
		"https://[::ffff:169.254.169.254]": {400, 400, 400},
		"ftp://example.com":                {400, 400, 400},
		"https://user:pw@example.com":      {400, 400, 400},
		"not a url":                        {400, 400, 400},
		"":                                 {400, 400, 400},
	} {
		require.Equal(t, want, [3]int{create(dev, url), create(production, url), create(closed, url)}, url)
	}
}
