package api_test

import (
	"net/http"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"wafleet/functions/internal/auth"
)

// fill makes an installation of so many companies, with a history of many messages; the first company has most of it.
func (b *bundle) fill(t *testing.T, companies, messages int) {
	t.Helper()
	for _, statement := range []string{
		`INSERT INTO companies (company_id, shard) SELECT 'c-' || n, n % 4 FROM generate_series(1, $1::int) AS n`,
		`INSERT INTO whatsapp_sessions (company_id, state, status, desired_state, connected_at, jid)
			SELECT 'c-' || n, 'connected', 'connected', 'running', now() - interval '1 hour', (79000000000 + n) || ':1@s.whatsapp.net'
			FROM generate_series(1, $1::int) AS n`,
		`INSERT INTO company_seq (company_id, sent, received, failed) SELECT 'c-' || n, n, 2 * n, 1 FROM generate_series(1, $1::int) AS n`,
	} {
		b.exec(t, statement, companies)
	}
	b.exec(t, `INSERT INTO messages (company_id, phone, message_id, direction, status, shard, kind, chat, body, created_at, sent_at)
		SELECT 'c-' || CASE WHEN n % 3 = 0 THEN 1 + n % $1::int ELSE 1 END, '79001234567', 'm-' || n,
			CASE WHEN n % 2 = 0 THEN 'outgoing' ELSE 'incoming' END, CASE WHEN n % 2 = 0 THEN 'read' ELSE 'received' END, 1, 'text',
			(79001230000 + n % 5000)::text, 'body', now() - interval '1 day', CASE WHEN n % 2 = 0 THEN now() - interval '1 day' + interval '1 s' END
		FROM generate_series(1, $2::int) AS n`, companies, messages)
	b.exec(t, `INSERT INTO messages (company_id, phone, message_id, direction, status, shard, kind, chat, body, lane)
		SELECT 'c-1', '79001234567', 'w-' || n, 'outgoing', 'queued', 1, 'text', n::text, 'body', 1 FROM generate_series(1, 10000) AS n`)
	b.exec(t, `ANALYZE`)
}

// With ten thousand companies what operators and customers look at all the time is answered within 50 ms, in 99 cases of a
// hundred, and does not depend on how many messages there are. The bound asserted here is loose where other tests run
// beside this one; FLEET=1 measures with the true one.
func TestTenThousandCompanies(t *testing.T) { //nolint:paralleltest // it measures time
	if testing.Short() {
		t.Skip("fills a database with ten thousand companies")
	}
	messages, limit, rounds := 50_000, 500*time.Millisecond, 100
	if os.Getenv("FLEET") != "" {
		messages, limit, rounds = 300_000, 50*time.Millisecond, 400
	}
	b := setup(t)
	b.fill(t, 10_000, messages)
	h := b.attend(t)
	h.set(nil)
	b.exec(t, `UPDATE shard_lease SET host_id = 'h1', expires_at = now() + interval '1 hour'`)
	one := "c-1"
	key := b.key(t, &one, string(auth.Read))
	const unlimited = "GET /health (admin)" // lists all ten thousand, a megabyte of them
	slow := map[string]time.Duration{}
	for name, call := range map[string]func(){
		"GET /sessions?limit=100": func() { b.do(t, http.MethodGet, "/sessions?limit=100&after=c-5", b.admin, "").status(200) },
		"GET /sessions (company)": func() { b.do(t, http.MethodGet, "/sessions", key, "").status(200) },
		"GET /status":             func() { b.do(t, http.MethodGet, "/sessions/c-1/status", b.admin, "").status(200) },
		"GET /metrics":            func() { b.do(t, http.MethodGet, "/sessions/c-1/metrics", b.admin, "").status(200) },
		"GET /health":             func() { b.do(t, http.MethodGet, "/health", "", "").status(200) },
		"GET /health (company)":   func() { b.do(t, http.MethodGet, "/health", key, "").status(200) },
		unlimited:                 func() { b.do(t, http.MethodGet, "/health", b.admin, "").status(200) },
		"POST /diagnose": func() {
			b.do(t, http.MethodPost, "/diagnose", b.admin, `{"phone": "79001230001", "companyId": "c-1"}`).status(200)
		},
	} {
		took := make([]time.Duration, rounds)
		call()
		for i := range took {
			started := time.Now()
			call()
			took[i] = time.Since(started)
		}
		slices.Sort(took)
		t.Logf("%-24s p50 %6.2f ms, p99 %6.2f ms", name, ms(took[rounds/2]), ms(took[rounds*99/100]))
		if p99 := took[rounds*99/100]; p99 > limit && name != unlimited {
			slow[name] = p99
		}
	}
	require.Empty(t, slow)
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
