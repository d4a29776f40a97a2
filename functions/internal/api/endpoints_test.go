package api_test

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"wafleet/shared/session"
	"wafleet/shared/store/db"
	"wafleet/shared/webhook"
	"wafleet/shared/webhook/webhooktest"
)

// endpoint creates an endpoint of the company and returns its id and secret.
func (b *bundle) endpoint(t *testing.T, companyID, url string) (id string, secret webhook.Secret) {
	t.Helper()
	a := b.do(t, http.MethodPost, "/webhooks", b.admin, fmt.Sprintf(`{"companyId": %q, "url": %q}`, companyID, url)).status(201)
	id, _ = a.value("data", "id").(string)
	text, _ := a.value("data", "secret").(string)
	return id, webhook.Secret(text)
}

func TestWebhooksAreListedAndShown(t *testing.T) {
	t.Parallel()
	b := setup(t, likeAFunction)
	b.company(t, "962302", session.Connected)
	b.company(t, "other", session.Connected)
	b.do(t, http.MethodGet, "/webhooks?companyId=962302", b.admin, "").status(200).golden("webhooks-none")
	first, _ := b.endpoint(t, "962302", "https://example.com/first")
	second, _ := b.endpoint(t, "962302", "https://example.com/second")
	foreign, _ := b.endpoint(t, "other", "https://example.com/other")
	a := b.do(t, http.MethodGet, "/webhooks?companyId=962302", b.admin, "").status(200).golden("webhooks")
	require.Contains(t, mustJSON(t, a.value("data")), first)
	require.NotContains(t, a.Body.String(), "whsec_", "a secret is shown once")
	b.do(t, http.MethodGet, "/webhooks/"+second, b.admin, "").status(200).golden("webhook-shown")

	own := "962302"
	key := b.key(t, &own, "webhook")
	b.do(t, http.MethodGet, "/webhooks/"+first, key, "").status(200)
	for _, id := range []string{foreign, "wh_nobody", "%00"} {
		for _, c := range []struct{ method, path, body string }{
			{http.MethodGet, "", ""},
			{http.MethodPatch, "", `{"enabled": false}`},
			{http.MethodDelete, "", ""},
			{http.MethodPost, "/test", ""},
			{http.MethodPost, "/rotate-secret", ""},
			{http.MethodGet, "/deliveries", ""},
		} {
			a := b.do(t, c.method, "/webhooks/"+id+c.path, key, c.body)
			if id != "%00" {
				a.status(404).code("NOT_FOUND")
			}
			require.GreaterOrEqual(t, a.Code, 400)
			require.Less(t, a.Code, 500)
		}
	}
	require.Equal(t, 3, scan[int](t, b, `SELECT count(*) FROM webhook_endpoints WHERE enabled AND previous_secret IS NULL`), "nothing has changed")
	b.do(t, http.MethodGet, "/webhooks?companyId=nobody", b.admin, "").status(404).code("COMPANY_NOT_FOUND")
}

func TestUpdateWebhook(t *testing.T) {
	t.Parallel()
	b := setup(t, likeAFunction)
	b.company(t, "962302", session.Connected)
	id, _ := b.endpoint(t, "962302", "https://example.com/hook")
	patch := func(body string) answer { return b.do(t, http.MethodPatch, "/webhooks/"+id, b.admin, body) }

	a := patch(`{"events": ["message.sent", "message.received", "message.sent"]}`).status(200)
	require.Equal(t, []any{"message.received", "message.sent"}, a.value("data", "events"))
	require.Equal(t, "https://example.com/hook", a.value("data", "url"), "what is not said stays")
	a = patch(`{"url": "https://example.com/new", "legacySignature": true}`).status(200)
	require.Equal(t, "https://example.com/new", a.value("data", "url"))
	require.Equal(t, true, a.value("data", "legacySignature"))
	require.Len(t, a.value("data", "events"), 2)
	require.Empty(t, patch(`{"events": []}`).status(200).value("data", "events"), "all of them again")
	require.Equal(t, true, patch(`{}`).status(200).value("data", "enabled"))

	a = patch(`{"enabled": false}`).status(200)
	require.Equal(t, "asked", a.value("data", "disabledReason"))
	appendEvent(t, b, "962302", 1)
	require.Zero(t, scan[int](t, b, `SELECT count(*) FROM webhook_deliveries`), "nothing is planned for it")

	for body, field := range map[string]string{
		`{"url": "https://10.0.0.1/x"}`: "url", `{"url": ""}`: "url", `{"url": 1}`: "url", `{"events": ["x"]}`: "events", `{"events": "x"}`: "events",
		`{"enabled": "yes"}`: "enabled", `{"secret": "whsec_x"}`: "secret", `{"companyId": "x"}`: "companyId",
	} {
		require.Equal(t, field, patch(body).status(400).code("VALIDATION_ERROR").value("error", "details", "field"), body)
	}
	patch("").status(400)
	require.Equal(t, "https://example.com/new", scan[string](t, b, `SELECT url FROM webhook_endpoints`))
}

// Enabling is a new start: the failures so far are forgotten, and what waits for the endpoint is called.
func TestEnablingAWebhookIsANewStart(t *testing.T) {
	t.Parallel()
	b := setup(t, likeAFunction)
	b.company(t, "962302", session.Connected)
	id, _ := b.endpoint(t, "962302", "https://example.com/hook")
	for n := range 6 {
		appendEvent(t, b, "962302", n)
	}
	b.exec(t, `UPDATE webhook_deliveries SET parked = true, next_attempt_at = now() + interval '5 h'`)
	b.exec(t, `UPDATE webhook_endpoints SET enabled = false, disabled_reason = 'failing', failures = 9, failing_since = now() - interval '6 days',
		probe_at = now() + interval '5 m'`)
	a := b.do(t, http.MethodPatch, "/webhooks/"+id, b.admin, `{"enabled": true}`).status(200)
	require.Equal(t, []any{true, "", 0.0, nil}, []any{
		a.value("data", "enabled"), a.value("data", "disabledReason"), a.value("data", "failures"), a.value("data", "failingSince"),
	})
	require.Equal(t, 4, scan[int](t, b, `SELECT count(*) FROM webhook_deliveries WHERE NOT parked AND next_attempt_at <= now()`), "as many as may be in flight")
	require.Len(t, b.webhookJobs(t), 4)
}

func TestDeleteWebhook(t *testing.T) {
	t.Parallel()
	b := setup(t, likeAFunction)
	b.company(t, "962302", session.Connected)
	id, _ := b.endpoint(t, "962302", "https://example.com/hook")
	b.do(t, http.MethodDelete, "/webhooks/"+id, b.admin, "").status(200).golden("webhook-deleted")
	b.do(t, http.MethodDelete, "/webhooks/"+id, b.admin, "").status(404).golden("webhook-not-found")
	b.do(t, http.MethodGet, "/webhooks/"+id, b.admin, "").status(404)
	appendEvent(t, b, "962302", 1)
	require.Zero(t, scan[int](t, b, `SELECT count(*) FROM webhook_deliveries`))
}

func TestAHundredWebhooksAreEnough(t *testing.T) {
	t.Parallel()
	b := setup(t, likeAFunction)
	b.company(t, "962302", session.Connected)
	for n := range 99 {
		_, err := b.store.Queries().CreateEndpoint(t.Context(), b.pool, db.CreateEndpointParams{
			ID: fmt.Sprint("wh_", n), CompanyID: "962302", URL: "https://example.com", Events: []string{}, Secret: []byte("sealed"),
		})
		require.NoError(t, err)
	}
	b.endpoint(t, "962302", "https://example.com/last")
	const more = `{"companyId": "962302", "url": "https://example.com/more"}`
	b.do(t, http.MethodPost, "/webhooks", b.admin, more).status(409).golden("webhook-limit")
	require.Equal(t, 100, scan[int](t, b, `SELECT count(*) FROM webhook_endpoints`))
	require.Len(t, b.do(t, http.MethodGet, "/webhooks?companyId=962302", b.admin, "").status(200).value("data"), 100)
}

func TestRotateSecret(t *testing.T) {
	t.Parallel()
	b := setup(t, likeAFunction)
	b.company(t, "962302", session.Connected)
	receiver := webhooktest.New(t)
	id, old := b.endpoint(t, "962302", receiver.URL)
	rotate := func(body string, headers ...string) answer {
		return b.do(t, http.MethodPost, "/webhooks/"+id+"/rotate-secret", b.admin, body, headers...)
	}
	a := rotate("", "Idempotency-Key", "1").status(200).golden("webhook-rotated")
	text, _ := a.value("data", "secret").(string)
	fresh := webhook.Secret(text)
	require.NotEqual(t, old, fresh)
	require.Equal(t, fresh, secretOf(t, rotate("", "Idempotency-Key", "1").status(200)), "once")
	rotate(`{"overlapSeconds": 1}`, "Idempotency-Key", "1").status(409).code("IDEMPOTENCY_CONFLICT")

	verify := func(secrets ...webhook.Secret) error {
		n := len(receiver.Requests())
		b.do(t, http.MethodPost, "/webhooks/"+id+"/test", b.admin, "").status(200)
		r := receiver.Await(t, n+1)[n]
		return webhook.Verify(r.Body, r.Header, secrets...)
	}
	require.NoError(t, verify(old), "the one so far still holds")
	require.NoError(t, verify(fresh))
	last := secretOf(t, rotate(`{"overlapSeconds": 0}`).status(200))
	require.ErrorIs(t, verify(old), webhook.ErrNotAuthentic)
	require.ErrorIs(t, verify(fresh), webhook.ErrNotAuthentic, "without overlap it ends at once")
	require.NoError(t, verify(last))

	for _, body := range []string{`{"overlapSeconds": -1}`, `{"overlapSeconds": 604801}`, `{"overlapSeconds": "1"}`} {
		require.Equal(t, "overlapSeconds", rotate(body).status(400).code("VALIDATION_ERROR").value("error", "details", "field"))
	}
	require.NoError(t, verify(last))
}

func secretOf(t *testing.T, a answer) webhook.Secret {
	t.Helper()
	text, ok := a.value("data", "secret").(string)
	require.True(t, ok)
	return webhook.Secret(text)
}
