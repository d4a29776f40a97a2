package api_test

import (
	"bytes"
	"context"
	"encoding/xml"
	"image/png"
	"log/slog"
	"net/http"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"wafleet/shared/ratelimit"
	"wafleet/shared/rpc"
	"wafleet/shared/session"
)

func publishQR(t *testing.T, b *bundle, id string) {
	t.Helper()
	require.NoError(t, b.board.PublishQR(t.Context(), id, rpc.QR{
		Code: "2@AHR0cHM6Ly93ZWIud2hhdHNhcHAu", Attempt: 1, ExpiresAt: time.Now().Add(20*time.Second + 400*time.Millisecond),
	}))
}

func TestQR(t *testing.T) {
	t.Parallel()
	b := setup(t)
	owned(t, b)
	b.company(t, "962302", session.Pairing)
	publishQR(t, b, "962302")
	for _, accept := range []string{"", "*/*", "application/json", "text/html", "application/json, image/png;q=0.9", "garbage;;"} {
		b.do(t, http.MethodGet, "/sessions/962302/qr", b.admin, "", "Accept", accept).status(200).golden("qr")
	}
}

func TestQRAsAPicture(t *testing.T) {
	t.Parallel()
	b := setup(t)
	owned(t, b)
	b.company(t, "962302", session.Pairing)
	publishQR(t, b, "962302")

	a := b.do(t, http.MethodGet, "/sessions/962302/qr", b.admin, "", "Accept", "image/png").status(200)
	require.Equal(t, "image/png", a.Header().Get("Content-Type"))
	picture, err := png.Decode(bytes.NewReader(a.Body.Bytes()))
	require.NoError(t, err)
	require.Equal(t, picture.Bounds().Dx(), picture.Bounds().Dy())
	require.Greater(t, picture.Bounds().Dx(), 100)

	a = b.do(t, http.MethodGet, "/sessions/962302/qr", b.admin, "", "Accept", "image/*;q=0.5, image/svg+xml").status(200)
	require.Equal(t, "image/svg+xml", a.Header().Get("Content-Type"))
	require.NoError(t, xml.Unmarshal(a.Body.Bytes(), new(struct{})))
	require.Contains(t, a.Body.String(), `viewBox="0 0 `)
}

func TestWhyThereIsNoQR(t *testing.T) {
	t.Parallel()
	b := setup(t)
	owned(t, b)
	b.company(t, "962302", session.Created)
	ask := func() answer {
		return b.do(t, http.MethodGet, "/sessions/962302/qr", b.admin, "").status(409).code("QR_NOT_AVAILABLE")
	}

	ask().golden("qr-not-initialized")
	b.setState(t, "962302", session.Connected)
	ask().golden("qr-connected")
	b.setState(t, "962302", session.Pairing)
	ask().golden("qr-not-shown-yet")
	for state, word := range map[session.State]string{
		session.Reconnecting: "connecting", session.LoggedOut: "logged_out", session.Failed: "failed", session.Stopped: "initialize",
	} {
		b.setState(t, "962302", state)
		require.Contains(t, ask().value("error", "message"), word)
	}
	b.setState(t, "962302", session.Pairing)
	b.exec(t, `UPDATE whatsapp_sessions SET pairing_method = 'pairing_code'`)
	require.Contains(t, ask().value("error", "message"), "pairing code")

	b.do(t, http.MethodGet, "/sessions/nobody/qr", b.admin, "").status(404).code("COMPANY_NOT_FOUND")
	b.exec(t, `UPDATE whatsapp_sessions SET pairing_method = 'qr'`)
	b.redis.Close()
	b.do(t, http.MethodGet, "/sessions/962302/qr", b.admin, "").status(503).code("CONNECTION_ERROR")
}

// owner stands for the connection host: once it is nudged it publishes a code for the number that was asked for.
func owner(t *testing.T, b *bundle, code string) {
	t.Helper()
	woken, done := nudges(t, b), make(chan struct{})
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(func() { cancel(); <-done })
	go func() {
		defer close(done)
		select {
		case id := <-woken:
			var number string
			if b.pool.QueryRow(ctx, `SELECT pairing_phone FROM whatsapp_sessions WHERE company_id = $1`, id).Scan(&number) == nil {
				_ = b.board.PublishPairingCode(ctx, id, rpc.PairingCode{Code: code, Phone: number, ExpiresAt: time.Now().Add(time.Minute)})
			}
		case <-ctx.Done():
		}
	}()
}

func TestPairingCode(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.company(t, "962302", session.Created)
	owner(t, b, "ABCD-EFGH")
	b.do(t, http.MethodPost, "/sessions/962302/pairing-code", b.admin, `{"phoneNumber": "+7 (900) 123-45-67"}`).status(200).golden("pairing-code")
	require.Equal(t, "running/1/pairing_code/79001234567", declared(t, b, "962302"))

	b.do(t, http.MethodPost, "/sessions/962302/pairing-code", b.admin, `{"phoneNumber": "79001234567"}`).status(200)
	require.Equal(t, "running/1/pairing_code/79001234567", declared(t, b, "962302"), "the code on show is still good")
}

func TestACodeForAnotherNumberIsNotHandedOut(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.company(t, "962302", session.Pairing)
	require.NoError(t, b.board.PublishPairingCode(t.Context(), "962302", rpc.PairingCode{
		Code: "OLD1-OLD1", Phone: "79001111111", ExpiresAt: time.Now().Add(time.Minute),
	}))
	owner(t, b, "NEW2-NEW2")
	a := b.do(t, http.MethodPost, "/sessions/962302/pairing-code", b.admin, `{"phoneNumber": "79002222222"}`).status(200)
	require.Equal(t, "NEW2-NEW2", a.value("data", "code"))
}

func TestPairingCodeRefuses(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.company(t, "962302", session.Connected)
	ask := func(body string) answer {
		return b.do(t, http.MethodPost, "/sessions/962302/pairing-code", b.admin, body)
	}
	ask(`{"phoneNumber": "79001234567"}`).status(409).golden("pairing-code-linked")
	ask(`{"phoneNumber": 79001234567}`).status(400).code("VALIDATION_ERROR")
	ask(`{"phoneNumber": "abc"}`).status(400).code("VALIDATION_ERROR")
	ask(`{}`).status(400).code("VALIDATION_ERROR")
	ask(``).status(400).golden("body-missing")
	b.do(t, http.MethodPost, "/sessions/nobody/pairing-code", b.admin, `{"phoneNumber": "79001234567"}`).status(404).code("COMPANY_NOT_FOUND")
}

func TestNoPairingCodeInTime(t *testing.T) {
	t.Parallel()
	b := setup(t)
	owned(t, b)
	b.company(t, "962302", session.Created)
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	a := b.doWith(t, ctx, http.MethodPost, "/sessions/962302/pairing-code", b.admin, `{"phoneNumber": "79001234567"}`)
	a.status(409).golden("pairing-code-missing")
	require.NotContains(t, b.logs.String(), "79001234567")
}

// Nobody can scan what nobody listens to.
func TestNoQRWithoutAnOwner(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.company(t, "962302", session.Pairing)
	publishQR(t, b, "962302")
	ask := func() answer { return b.do(t, http.MethodGet, "/sessions/962302/qr", b.admin, "") }
	ask().status(409).golden("qr-no-owner")
	owned(t, b)
	ask().status(200)
	b.exec(t, `UPDATE shard_lease SET expires_at = now() WHERE shard = 1`)
	a := ask().status(409).code("QR_NOT_AVAILABLE")
	require.Equal(t, true, a.value("error", "isRetryable"))
	require.NotContains(t, a.Body.String(), "h1", "hosts are nobody's business")
}

// Every way in which a pairing fails is told in words, by each call that can meet it.
func TestWhyAPairingFailed(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.company(t, "962302", session.Failed)
	for _, reason := range []string{
		"pairing_timeout", "pairing_code_refused", "number_taken", "wrong_number", "pairing_failed", "pairing_rate_limited",
		"phone_without_multidevice",
	} {
		b.exec(t, `UPDATE whatsapp_sessions SET reason = $1`, reason)
		text := session.Text(reason)
		require.NotEmpty(t, text)
		a := b.do(t, http.MethodGet, "/sessions/962302/qr", b.admin, "").status(409).code("QR_NOT_AVAILABLE")
		require.Equal(t, text, a.value("error", "message"))
		require.Equal(t, reason, a.value("error", "details", "reason"))
		require.Equal(t, text, b.do(t, http.MethodGet, "/sessions/962302/status", b.admin, "").status(200).value("data", "explanation"))
	}
}

func TestACodeForANumberOfAnotherCompany(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.company(t, "962302", session.Created)
	b.company(t, "rival", session.Connected)
	number := numberOf("rival")
	a := b.do(t, http.MethodPost, "/sessions/962302/pairing-code", b.admin, `{"phoneNumber": "`+number+`"}`).status(409).golden("pairing-code-taken")
	require.NotContains(t, a.Body.String(), "rival")
	b.do(t, http.MethodPost, "/sessions/962302/initialize", b.admin, `{"usePairingCode": true, "phoneNumber": "`+number+`"}`).
		status(409).code("PAIRING_CODE_ERROR")
	require.Equal(t, "stopped/0/qr/", declared(t, b, "962302"), "nothing was declared")

	b.setState(t, "rival", session.LoggedOut)
	b.do(t, http.MethodPost, "/sessions/962302/initialize", b.admin, `{"usePairingCode": true, "phoneNumber": "`+number+`"}`).status(200)
}

// refusing stands for an owner that takes up what was declared and gives up on it for this reason.
func refusing(t *testing.T, b *bundle, reason string) {
	t.Helper()
	woken, done := nudges(t, b), make(chan struct{})
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(func() { cancel(); <-done })
	go func() {
		defer close(done)
		select {
		case id := <-woken:
			_, _ = b.pool.Exec(ctx, `UPDATE whatsapp_sessions SET state = 'failed', reason = $2, user_action = 'relink',
				observed_generation = desired_generation WHERE company_id = $1`, id, reason)
		case <-ctx.Done():
		}
	}()
}

func TestTheOwnerRefusesACode(t *testing.T) {
	t.Parallel()
	for reason, code := range map[string]string{"pairing_code_refused": "PAIRING_CODE_ERROR", "pairing_rate_limited": "PAIRING_RATE_LIMITED"} {
		t.Run(reason, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			owned(t, b)
			b.company(t, "962302", session.Failed)
			b.exec(t, `UPDATE whatsapp_sessions SET reason = 'pairing_timeout'`) // of an earlier pairing
			refusing(t, b, reason)
			a := b.do(t, http.MethodPost, "/sessions/962302/pairing-code", b.admin, `{"phoneNumber": "79001234567"}`).code(code)
			require.Equal(t, session.Text(reason), a.value("error", "message"))
			require.Equal(t, reason, a.value("error", "details", "reason"))
			require.Equal(t, true, a.value("error", "isRetryable"))
		})
	}
}

// Codes that WhatsApp would answer with a block are not asked for.
func TestTooManyPairingCodes(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.company(t, "962302", session.Created)
	client := redis.NewClient(&redis.Options{Addr: b.redis.Addr()})
	t.Cleanup(func() { require.NoError(t, client.Close()) })
	budget := ratelimit.NewPairing(client, slog.New(slog.DiscardHandler))
	for range 100 {
		if ok, _ := budget.Take(t.Context(), "79001234567"); !ok {
			break
		}
	}
	a := b.do(t, http.MethodPost, "/sessions/962302/pairing-code", b.admin, `{"phoneNumber": "79001234567"}`).status(429).code("PAIRING_RATE_LIMITED")
	after, ok := a.value("error", "retryAfter").(float64)
	require.True(t, ok)
	require.InDelta(t, 360, after, 360)
	require.Positive(t, after)
	require.NotEmpty(t, a.Header().Get("Retry-After"))
	require.Equal(t, "stopped/0/qr/", declared(t, b, "962302"), "nothing was declared")
	require.NotContains(t, b.logs.String(), "79001234567")
}

func TestNoPairingCodeWithoutAnOwner(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.company(t, "962302", session.Created)
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	a := b.doWith(t, ctx, http.MethodPost, "/sessions/962302/pairing-code", b.admin, `{"phoneNumber": "79001234567"}`)
	require.Contains(t, a.status(409).code("PAIRING_CODE_ERROR").value("error", "message"), "No connection host")
	require.Equal(t, "running/1/pairing_code/79001234567", declared(t, b, "962302"), "it is pairing once there is one")
}
