package api_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"wafleet/shared/rpc"
	"wafleet/shared/session"
)

// Every example answer of the predecessor's document: an answer of ours to the same call has all of its fields, each of the
// same type.
func TestThePredecessorsExamples(t *testing.T) {
	t.Parallel()
	b := setup(t, withDefaultCompany("962302"))
	owned(t, b)
	b.company(t, "962302", session.Connected)
	b.company(t, "123456", session.Stopped)
	b.company(t, "pairing", session.Pairing)
	require.NoError(t, b.board.PublishQR(t.Context(), "pairing", rpc.QR{Code: "2@AHR0cHM6Ly93ZWIud2hhdHNhcHAu", Attempt: 1, ExpiresAt: time.Now().Add(time.Minute)}))
	require.NoError(t, b.board.PublishPairingCode(t.Context(), "pairing", rpc.PairingCode{Code: "ABCD-EFGH", Phone: "79001234567", ExpiresAt: time.Now().Add(time.Minute)}))

	for _, tc := range []struct {
		method, path, body string
		status             int
		example            string
	}{
		{http.MethodPost, "/send", hello, 200, `{"success": true, "message": "Message sent successfully", "data": {"messageId": "3A0BD8F5E8B9C4D2E1F3"}}`},
		{http.MethodGet, "/sessions/962302/status", "", 200, `{"success": true, "data": {"connected": true, "status": "connected",
			"user": {"id": "79686484488@s.whatsapp.net", "name": "AI Admin Bot"}, "connectedAt": "2025-09-19T10:30:00Z"}}`},
		{http.MethodGet, "/sessions/pairing/qr", "", 200, `{"success": true, "data": {"qr": "2@AHR0cHM6Ly93ZWIud2hhdHNhcHAu...", "attempts": 1}}`},
		{
			http.MethodPost, "/sessions/pairing/pairing-code", `{"phoneNumber": "79001234567"}`, 200,
			`{"success": true, "data": {"code": "ABCD-EFGH", "expiresIn": 60, "phoneNumber": "79001234567"}}`,
		},
		{http.MethodPost, "/sessions/123456/initialize", `{"usePairingCode": true, "phoneNumber": "79001234567"}`, 200, `{"success": true}`},
		{http.MethodPost, "/sessions/123456/disconnect", "", 200, `{"success": true}`},
		{http.MethodGet, "/sessions", "", 200, `{"success": true, "data": {"962302": {"connected": true, "status": "connected"},
			"123456": {"connected": false, "status": "disconnected"}}, "summary": {"total": 2, "connected": 1}}`},
		{http.MethodGet, "/health", "", 200, `{"success": true, "data": {"initialized": true, "provider": "baileys", "defaultCompany": "962302",
			"totalSessions": 5, "connectedSessions": 4, "uptime": 86400, "memoryUsage": "120MB",
			"sessions": {"962302": {"connected": true, "uptime": 86400}},
			"metrics": {"messagesSent": 1250, "messagesReceived": 890, "averageResponseTime": 120}}}`},
		{http.MethodPost, "/send", `{"phone":"79001234567","message":"Hello World","companyId":"123456"}`, 409, `{"success": false, "error": {
			"code": "MESSAGE_SEND_ERROR", "message": "Failed to send message: Session not connected",
			"details": {"phone": "79001234567", "companyId": "962302"}, "isRetryable": true, "retryAfter": 60}}`},
	} {
		a := b.do(t, tc.method, tc.path, b.admin, tc.body).status(tc.status)
		var example any
		require.NoError(t, json.Unmarshal([]byte(tc.example), &example))
		requireShape(t, tc.method+" "+tc.path, example, a.value())
	}
}

// requireShape asserts that got has every field of the example, of the same JSON type.
func requireShape(t *testing.T, where string, example, got any) {
	t.Helper()
	require.IsType(t, example, got, where)
	object, ok := example.(map[string]any)
	if !ok {
		return
	}
	for name, value := range object {
		have, ok := got.(map[string]any)
		require.True(t, ok, where)
		require.Contains(t, have, name, where)
		requireShape(t, where+"."+name, value, have[name])
	}
}

func TestStatusIsThePredecessors(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.company(t, "962302", session.Connected)
	b.do(t, http.MethodGet, "/sessions/962302/status", b.admin, "").status(200).golden("status-connected")
	b.setState(t, "962302", session.Created)
	b.do(t, http.MethodGet, "/sessions/962302/status", b.admin, "").status(200).golden("status-created")
	for _, state := range session.States() {
		b.setState(t, "962302", state)
		a := b.do(t, http.MethodGet, "/sessions/962302/status", b.admin, "").status(200)
		require.Equal(t, state.Status(), a.value("data", "status"))
		require.Equal(t, string(state), a.value("data", "state"))
		require.Equal(t, state == session.Connected, a.value("data", "connected"))
		require.Equal(t, state == session.Connected, a.value("data", "user") != nil)
		require.Equal(t, state == session.Connected, a.value("data", "connectedAt") != nil)
	}
}

func TestSessionsAreListed(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.company(t, "962302", session.Connected)
	b.company(t, "123456", session.Stopped)
	b.do(t, http.MethodGet, "/sessions", b.admin, "").status(200).golden("sessions")

	own := "123456"
	a := b.do(t, http.MethodGet, "/sessions", b.key(t, &own, "read"), "").status(200)
	require.Equal(t, map[string]any{"123456": map[string]any{"connected": false, "status": "disconnected", "state": "stopped"}}, a.value("data"))
	require.EqualValues(t, 1, a.value("summary", "total"))
	require.EqualValues(t, 0, a.value("summary", "connected"))
}

func TestSessionsInPages(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for n := range 5 {
		b.company(t, fmt.Sprintf("c%d", n), session.Connected)
	}
	seen, next, pages := map[string]bool{}, "", 0
	for {
		a := b.do(t, http.MethodGet, "/sessions?limit=2&after="+next, b.admin, "").status(200)
		data, _ := a.value("data").(map[string]any)
		for id := range data {
			require.False(t, seen[id])
			seen[id] = true
		}
		require.EqualValues(t, 5, a.value("summary", "total"))
		pages++
		after, more := a.value("next").(string)
		if !more {
			break
		}
		next = after
	}
	require.Len(t, seen, 5)
	require.Equal(t, 3, pages)
	for _, bad := range []string{"limit=0", "limit=1001", "limit=x"} {
		a := b.do(t, http.MethodGet, "/sessions?"+bad, b.admin, "").status(400).code("VALIDATION_ERROR")
		require.Equal(t, "limit", a.value("error", "details", "field"))
	}
}

func TestSessionMetrics(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.company(t, "962302", session.Connected)
	b.do(t, http.MethodGet, "/sessions/962302/metrics", b.admin, "").status(200).golden("metrics-empty")

	b.exec(t, `INSERT INTO messages (company_id, phone, message_id, direction, status, shard, kind, chat, created_at, sent_at, body) VALUES
		('962302', '7', 'a', 'outgoing', 'sent', 1, 'text', '7', now(), now() + interval '100 ms', 'x'),
		('962302', '7', 'b', 'outgoing', 'read', 1, 'text', '7', now(), now() + interval '300 ms', 'x'),
		('962302', '7', 'c', 'outgoing', 'read', 1, 'text', '7', now(), now() + interval '200 ms', 'x'),
		('962302', '7', 'd', 'outgoing', 'failed', 1, 'text', '7', now(), NULL, 'x'),
		('962302', '7', 'e', 'outgoing', 'queued', 1, 'text', '7', now(), NULL, 'x'),
		('962302', '7', 'f', 'incoming', 'received', 1, 'text', '7', now(), NULL, 'x')`)
	b.exec(t, `UPDATE company_seq SET sent = 3, received = 1, failed = 1`)
	b.exec(t, `UPDATE whatsapp_sessions SET reconnects = 2, qr_attempts = 1`)
	b.do(t, http.MethodGet, "/sessions/962302/metrics", b.admin, "").status(200).golden("metrics")
}

// declared is what is asked of a session's owner.
func declared(t *testing.T, b *bundle, companyID string) string {
	t.Helper()
	return scan[string](t, b, `SELECT desired_state || '/' || desired_generation || '/' || pairing_method || '/' || coalesce(pairing_phone, '')
		FROM whatsapp_sessions WHERE company_id = $1`, companyID)
}

// nudges counts what owners are woken with.
func nudges(t *testing.T, b *bundle) <-chan string {
	t.Helper()
	sub := b.redis.NewSubscriber()
	sub.Subscribe("wafleet:nudges")
	out := make(chan string, 16)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case m := <-sub.Messages():
				out <- m.Message
			case <-ctx.Done():
				return
			}
		}
	}()
	t.Cleanup(func() {
		cancel()
		<-done
		sub.Close()
	})
	return out
}
