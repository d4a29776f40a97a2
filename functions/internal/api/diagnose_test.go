package api_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"wafleet/shared/session"
)

// diagnosis is the answer to a diagnose call, with its checks by name.
type diagnosis struct {
	answer
	verdicts, texts map[string]string
	order           []string
}

func diagnose(t *testing.T, b *bundle, number string) diagnosis {
	t.Helper()
	d := diagnosis{
		answer:   b.do(t, http.MethodPost, "/diagnose", b.admin, `{"phone": "`+number+`", "companyId": "962302"}`).status(200),
		verdicts: map[string]string{}, texts: map[string]string{},
	}
	checks, ok := d.value("data", "checks").([]any)
	require.True(t, ok)
	for _, c := range checks {
		c, ok := c.(map[string]any)
		require.True(t, ok)
		name, _ := c["name"].(string)
		d.order = append(d.order, name)
		d.verdicts[name], _ = c["verdict"].(string)
		d.texts[name], _ = c["text"].(string)
		require.NotEmpty(t, d.texts[name])
	}
	return d
}

// write puts a message to the number of the examples into the history.
func (b *bundle) write(t *testing.T, id, status, reason string) {
	t.Helper()
	b.exec(t, `INSERT INTO messages (company_id, phone, message_id, direction, status, reason, shard, kind, chat, body, wire, term, incarnation, enqueued_at)
		VALUES ('962302', '79001234567', $1, 'outgoing', $2, $3, 1, 'text', '79001234567', 'x', 'x', gen_random_uuid(), gen_random_uuid(), now())`, id, status, reason)
}

func TestDiagnoseWhereAllIsWell(t *testing.T) {
	t.Parallel()
	b := setup(t, likeAFunction)
	b.company(t, "962302", session.Connected)
	owned(t, b)
	b.write(t, "a", "read", "")
	d := diagnose(t, b, "+7 900 123-45-67")
	d.golden("diagnose-well")
	require.Equal(t, []string{"session", "owner", "phone", "recipient", "limits", "queue", "errors", "last_message"}, d.order)
	require.Equal(t, true, d.value("data", "healthy"))
	require.Contains(t, diagnose(t, b, "79001234567").texts["limits"], "30 messages", "looking takes nothing")
}

func TestDiagnoseWhatIsWrong(t *testing.T) {
	t.Parallel()
	b := setup(t, likeAFunction)
	b.company(t, "962302", session.LoggedOut)
	b.exec(t, `UPDATE whatsapp_sessions SET reason = 'device_removed', user_action = 'relink'`)
	b.write(t, "a", "queued", "")
	b.exec(t, `UPDATE messages SET created_at = now() - interval '5 minutes'`)
	d := diagnose(t, b, "79001234567")
	require.Equal(t, map[string]string{
		"session": "failed", "owner": "failed", "phone": "ok", "recipient": "unknown", "limits": "ok", "queue": "warning",
		"errors": "ok", "last_message": "warning",
	}, d.verdicts)
	require.Equal(t, session.Text("device_removed"), d.value("data", "summary"), "what comes first matters most")
	require.Equal(t, false, d.value("data", "healthy"))
	require.Contains(t, d.texts["last_message"], "no connection host")
	owned(t, b)
	require.Contains(t, diagnose(t, b, "79001234567").texts["last_message"], "not connected")
	require.NotContains(t, d.Body.String(), "h1")

	d = diagnose(t, b, "12")
	require.Equal(t, "failed", d.verdicts["phone"])
	require.Equal(t, "unknown", d.verdicts["recipient"])
	require.Equal(t, "12", d.value("data", "phone"))
}

func TestDiagnoseTheLastMessage(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.company(t, "962302", session.Connected)
	owned(t, b)
	require.Equal(t, "unknown", diagnose(t, b, "79001234567").verdicts["last_message"])
	for _, tc := range []struct{ status, reason, verdict, text string }{
		{"accepted", "", "warning", "on its way"},
		{"queued", "", "warning", "waits for its turn"},
		{"sending", "", "warning", "not sent yet"},
		{"sent", "", "ok", "was sent"},
		{"unconfirmed", "", "warning", "same id"},
		{"expired", "", "failed", "in time"},
		{"canceled", "", "warning", "withdrawn"},
		{"failed", "account_reachout_locked", "failed", "do not know it"},
		{"failed", "something_new", "failed", "something_new"},
		{"failed", "recipient_not_on_whatsapp", "failed", "not on WhatsApp"},
	} {
		b.write(t, tc.status+tc.reason, tc.status, tc.reason)
		d := diagnose(t, b, "79001234567")
		require.Equal(t, tc.verdict, d.verdicts["last_message"], tc)
		require.Contains(t, d.texts["last_message"], tc.text, tc)
	}
	d := diagnose(t, b, "79001234567")
	require.Equal(t, "failed", d.verdicts["recipient"])
	require.Equal(t, "warning", d.verdicts["errors"])
	require.Contains(t, d.texts["errors"], "1 × something_new")
	b.write(t, "held", "queued", "working_hours")
	b.exec(t, `UPDATE messages SET due_at = now() + interval '1 hour' WHERE message_id = 'held'`)
	require.Contains(t, diagnose(t, b, "79001234567").texts["last_message"], "held back: working_hours")
}

func TestDiagnoseLimits(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.company(t, "962302", session.Connected)
	b.exec(t, `UPDATE companies SET rate_per_minute = 1, rate_burst = 3`) // nothing comes back while the test lasts
	for range 3 {
		b.do(t, http.MethodPost, "/send", b.admin, hello).status(200)
	}
	d := diagnose(t, b, "79001234567")
	require.Equal(t, "failed", d.verdicts["limits"])
	require.Contains(t, d.texts["limits"], "1 sends a minute")
	b.redis.Close()
	require.Equal(t, "unknown", diagnose(t, b, "79001234567").verdicts["limits"])
}

func TestDiagnoseRefuses(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.company(t, "962302", session.Connected)
	ask := func(body string) answer { return b.do(t, http.MethodPost, "/diagnose", b.admin, body) }
	ask(`{"companyId": "962302"}`).status(400).code("VALIDATION_ERROR")
	ask(`{"phone": "` + strings.Repeat("7", 65) + `", "companyId": "962302"}`).status(400).code("VALIDATION_ERROR")
	ask(`{"phone": 5, "companyId": "962302"}`).status(400).code("VALIDATION_ERROR")
	ask(`{"phone": "79001234567", "companyId": "962302", "deep": true}`).status(400).code("VALIDATION_ERROR")
	ask(`{"phone": "79001234567"}`).status(400).code("VALIDATION_ERROR")
	ask(`{"phone": "79001234567", "companyId": "nobody"}`).status(404).code("COMPANY_NOT_FOUND")
	own := "962302"
	b.do(t, http.MethodPost, "/diagnose", b.key(t, &own, "read"), `{"phone": "79001234567"}`).status(200)
}
