package api_test

import (
	"encoding/json"
	"net/http"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"wafleet/shared/session"
	"wafleet/shared/webhook"
	"wafleet/shared/webhook/webhooktest"
)

func TestTestWebhook(t *testing.T) {
	t.Parallel()
	b := setup(t, likeAFunction)
	b.company(t, "962302", session.Connected)
	receiver := webhooktest.New(t)
	id, secret := b.endpoint(t, "962302", receiver.URL)
	try := func() answer { return b.do(t, http.MethodPost, "/webhooks/"+id+"/test", b.admin, "") }

	a := try().status(200).golden("webhook-test")
	request := receiver.Await(t, 1)[0]
	require.NoError(t, webhook.Verify(request.Body, request.Header, secret))
	var payload webhook.Payload
	require.NoError(t, json.Unmarshal(request.Body, &payload))
	require.Equal(t, "webhook.test", payload.Type)
	require.Equal(t, a.value("data", "eventId"), payload.ID)
	require.Equal(t, payload.ID, request.Header.Get(webhook.HeaderID))
	require.JSONEq(t, `{"endpointId": "`+id+`"}`, string(payload.Data))

	receiver.Answer(webhooktest.Answer{Status: http.StatusGone})
	a = try().status(200)
	require.Equal(t, []any{false, 410.0}, []any{a.value("data", "delivered"), a.value("data", "status")})
	b.do(t, http.MethodPatch, "/webhooks/"+id, b.admin, `{"enabled": false}`).status(200)
	receiver.Answer(webhooktest.Answer{})
	require.Equal(t, true, try().status(200).value("data", "delivered"), "also while it is disabled")

	b.do(t, http.MethodPatch, "/webhooks/"+id, b.admin, `{"url": "http://127.0.0.1:1/"}`).status(200)
	a = try().status(200)
	require.Equal(t, []any{false, nil, "the connection was refused or broke"}, []any{
		a.value("data", "delivered"), a.value("data", "status"), a.value("data", "error"),
	})
	require.Zero(t, scan[int](t, b, `SELECT count(*) FROM webhook_deliveries`))
	require.Zero(t, scan[int](t, b, `SELECT failures FROM webhook_endpoints`), "a test counts for nothing")
	require.Zero(t, scan[int](t, b, `SELECT count(*) FROM events`))
}

// An endpoint that hangs costs its company its places and nobody else theirs.
func TestTestsThatHang(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.company(t, "a", session.Connected)
	b.company(t, "b", session.Connected)
	hanging, healthy := webhooktest.New(t), webhooktest.New(t)
	hanging.Answer(webhooktest.Answer{Hang: true})
	slow, _ := b.endpoint(t, "a", hanging.URL)
	quick, _ := b.endpoint(t, "b", healthy.URL)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() { b.do(t, http.MethodPost, "/webhooks/"+slow+"/test", b.admin, "") })
	}
	hanging.Await(t, 4)
	a := b.do(t, http.MethodPost, "/webhooks/"+slow+"/test", b.admin, "").status(429).code("RATE_LIMIT_EXCEEDED")
	require.Equal(t, "2", a.Header().Get("Retry-After"))
	b.do(t, http.MethodPost, "/webhooks/"+quick+"/test", b.admin, "").status(200)
	hanging.Release()
	wg.Wait()
	b.do(t, http.MethodPost, "/webhooks/"+slow+"/test", b.admin, "").status(200)
}
