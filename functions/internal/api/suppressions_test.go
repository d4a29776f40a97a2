package api_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"wafleet/shared/session"
)

func TestSuppressions(t *testing.T) {
	t.Parallel()
	b := setup(t, likeAFunction)
	b.company(t, "962302", session.Connected)
	const list = "/companies/962302/suppressions"
	b.do(t, http.MethodGet, list, b.admin, "").status(200).golden("suppressions-none")
	add := func(body string, headers ...string) answer {
		return b.do(t, http.MethodPost, list, b.admin, body, headers...)
	}

	add(`{"phone": "+7 900 123-45-67", "note": "asked by phone"}`).status(201).golden("suppression")
	again := add(`{"phone": "79001234567", "note": "another note"}`).status(200)
	require.Equal(t, "asked by phone", again.value("data", "note"), "nothing has changed")
	add(`{"phone": "1234@lid"}`).status(201)
	b.exec(t, `INSERT INTO suppressions (company_id, address, person, source, message_id) VALUES
		('962302', '79005550011', '79005550011', 'message', 'in_1'), ('962302', '77@lid', '79005550011', 'message', 'in_1')`)
	b.do(t, http.MethodGet, list, b.admin, "").status(200).golden("suppressions")

	var seen []string
	next := ""
	for more := true; more; {
		a := b.do(t, http.MethodGet, list+"?limit=1&after="+next, b.admin, "").status(200)
		data, _ := a.value("data").([]any)
		require.LessOrEqual(t, len(data), 1)
		seen = append(seen, mustJSON(t, data))
		next, more = a.value("next").(string)
	}
	require.Len(t, seen, 3, "a person is listed once")

	b.do(t, http.MethodGet, list+"/77@lid", b.admin, "").status(200).golden("suppression-by-message")
	b.do(t, http.MethodGet, list+"/79005550011", b.admin, "").status(200).golden("suppression-by-message")
	b.do(t, http.MethodGet, list+"/79000000000", b.admin, "").status(404).golden("not-suppressed")
	b.do(t, http.MethodDelete, list+"/77%40lid", b.admin, "").status(200)
	b.do(t, http.MethodGet, list+"/79005550011", b.admin, "").status(404)
	b.do(t, http.MethodDelete, list+"/77@lid", b.admin, "").status(404)
	b.do(t, http.MethodDelete, list+"/+7(900)1234567", b.admin, "").status(200)
}

func TestSuppressionsRefuse(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.company(t, "962302", session.Connected)
	const list = "/companies/962302/suppressions"
	for body, field := range map[string]string{
		`{}`: "phone", `{"phone": ""}`: "phone", `{"phone": 79001234567}`: "phone", `{"phone": "123"}`: "phone", `{"phone": "@lid"}`: "phone",
		`{"phone": "79001234567@s.whatsapp.net"}`: "phone", `{"phone": "79001234567", "note": "` + strings.Repeat("x", 256) + `"}`: "note",
		`{"phone": "79001234567", "source": "message"}`: "source",
	} {
		a := b.do(t, http.MethodPost, list, b.admin, body).status(400).code("VALIDATION_ERROR")
		require.Equal(t, field, a.value("error", "details", "field"), body)
	}
	for query, field := range map[string]string{"?limit=0": "limit", "?limit=1001": "limit"} {
		require.Equal(t, field, b.do(t, http.MethodGet, list+query, b.admin, "").status(400).value("error", "details", "field"))
	}
	b.do(t, http.MethodGet, list+"/nobody", b.admin, "").status(400).code("VALIDATION_ERROR")
	b.do(t, http.MethodDelete, list+"/nobody", b.admin, "").status(400).code("VALIDATION_ERROR")
	b.do(t, http.MethodPost, "/companies/nobody/suppressions", b.admin, `{"phone": "79001234567"}`).status(404).code("COMPANY_NOT_FOUND")
	b.do(t, http.MethodGet, "/companies/nobody/suppressions", b.admin, "").status(404).code("COMPANY_NOT_FOUND")
	require.Zero(t, scan[int](t, b, `SELECT count(*) FROM suppressions`))
}

func TestSuppressOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.company(t, "962302", session.Connected)
	const list, body = "/companies/962302/suppressions", `{"phone": "79001234567"}`
	first := b.do(t, http.MethodPost, list, b.admin, body, "Idempotency-Key", "1").status(201)
	b.do(t, http.MethodDelete, list+"/79001234567", b.admin, "").status(200)
	again := b.do(t, http.MethodPost, list, b.admin, body, "Idempotency-Key", "1").status(201)
	require.Equal(t, "true", again.Header().Get("Idempotent-Replayed"))
	require.Equal(t, first.Body.String(), again.Body.String())
	require.Zero(t, scan[int](t, b, `SELECT count(*) FROM suppressions`), "answered, and not done again")
	b.do(t, http.MethodPost, list, b.admin, `{"phone": "79001234568"}`, "Idempotency-Key", "1").status(409).code("IDEMPOTENCY_CONFLICT")
}

// A send to somebody who is suppressed is refused at once, and spends nothing; a repeated call is answered as the first was.
func TestSendToASuppressedRecipient(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.company(t, "962302", session.Connected)
	send := func(number string, headers ...string) answer {
		return b.do(t, http.MethodPost, "/send", b.admin, fmt.Sprintf(`{"phone": %q, "message": "hi", "companyId": "962302"}`, number), headers...)
	}
	send("79001234567", "Idempotency-Key", "before").status(200)
	b.do(t, http.MethodPost, "/companies/962302/suppressions", b.admin, `{"phone": "79001234567"}`).status(201)
	a := send("+79001234567").status(409).golden("recipient-suppressed")
	require.Equal(t, false, a.value("error", "isRetryable"))
	require.Empty(t, a.Header().Get("RateLimit"), "no part of the limit is spent")
	send("79001234567", "Idempotency-Key", "before").status(200)
	send("79001234568").status(200)
	require.Equal(t, 2, scan[int](t, b, `SELECT count(*) FROM messages`))
	b.do(t, http.MethodDelete, "/companies/962302/suppressions/79001234567", b.admin, "").status(200)
	send("79001234567").status(200)
}
