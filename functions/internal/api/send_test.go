package api_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"wafleet/shared/message"
	"wafleet/shared/queue"
	"wafleet/shared/rpc"
	"wafleet/shared/session"
)

const hello = `{"phone":"79001234567","message":"Hello World","companyId":"962302"}`

func TestSendIsThePredecessors(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.company(t, "962302", session.Connected)
	b.do(t, http.MethodPost, "/send", b.admin, hello).status(200).golden("send")
}

// The same, in the way functions talk to a database behind a proxy.
func TestSendLikeAFunction(t *testing.T) {
	t.Parallel()
	b := setup(t, likeAFunction)
	b.company(t, "962302", session.Connected)
	b.do(t, http.MethodPost, "/send", b.admin, hello, "Idempotency-Key", "1").status(200)
	b.do(t, http.MethodPost, "/send", b.admin, hello, "Idempotency-Key", "1").status(200)
}

func TestAnAcceptedSendIsQueuedSealed(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.company(t, "962302", session.Reconnecting) // comes back by itself: accepted
	id := b.do(t, http.MethodPost, "/send", b.admin, `{"phone":"+7 (900) 123-45-67","message":"привет","companyId":"962302"}`).
		status(200).value("data", "messageId")

	require.Equal(t, "accepted/79001234567/79001234567/text/true/1 day/f", scan[string](t, b, `
		SELECT status || '/' || phone || '/' || chat || '/' || kind || '/' || (enqueued_at IS NOT NULL) || '/' ||
			(expires_at - created_at) || '/' || (body IS NOT NULL)::text::char FROM messages WHERE message_id = $1`, id))

	queued := b.queued(t)
	require.Len(t, queued, 1)
	require.Equal(t, "962302", queued[0].Group)
	require.Equal(t, id, queued[0].DedupID)
	require.NotContains(t, string(queued[0].Body), "привет")

	envelope, err := message.DecodeEnvelope(queued[0].Body)
	require.NoError(t, err)
	text, err := b.vault.Open(t.Context(), "962302", message.BodyContext(envelope.MessageID), envelope.Body)
	require.NoError(t, err)
	require.JSONEq(t, `{"type":"text","text":"привет"}`, string(text))
}

func TestSendNeedsASession(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.company(t, "962302", session.Created)
	for _, state := range []session.State{session.Created, session.LoggedOut, session.Banned, session.Failed, session.Stopped} {
		b.setState(t, "962302", state)
		b.do(t, http.MethodPost, "/send", b.admin, hello).status(409).golden("send-not-connected")
	}
	for _, state := range []session.State{session.Pairing, session.Connecting, session.Connected, session.Reconnecting} {
		b.setState(t, "962302", state)
		b.do(t, http.MethodPost, "/send", b.admin, hello).status(200)
	}
	require.Equal(t, 4, scan[int](t, b, `SELECT count(*) FROM messages`))
}

func TestSendRefuses(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.company(t, "962302", session.Connected)
	long := strings.Repeat("я", 4097)
	for name, tc := range map[string]struct {
		body, field string
	}{
		"no phone":            {`{"message":"x","companyId":"962302"}`, "phone"},
		"phone is null":       {`{"phone":null,"message":"x","companyId":"962302"}`, "phone"},
		"phone is a number":   {`{"phone":79001234567,"message":"x","companyId":"962302"}`, "phone"},
		"phone too short":     {`{"phone":"123456789","message":"x","companyId":"962302"}`, "phone"},
		"phone too long":      {`{"phone":"1234567890123456","message":"x","companyId":"962302"}`, "phone"},
		"phone with letters":  {`{"phone":"7900123456O","message":"x","companyId":"962302"}`, "phone"},
		"arabic digits":       {`{"phone":"٧٩٠٠١٢٣٤٥٦٧","message":"x","companyId":"962302"}`, "phone"},
		"no message":          {`{"phone":"79001234567","companyId":"962302"}`, "message"},
		"white message":       {`{"phone":"79001234567","message":" \n\t ","companyId":"962302"}`, "message"},
		"message too long":    {`{"phone":"79001234567","message":"` + long + `","companyId":"962302"}`, "message"},
		"message is a number": {`{"phone":"79001234567","message":1,"companyId":"962302"}`, "message"},
		"bad company":         {`{"phone":"79001234567","message":"x","companyId":"a b"}`, "companyId"},
		"no company":          {`{"phone":"79001234567","message":"x"}`, "companyId"},
		"unknown field":       {`{"phone":"79001234567","message":"x","companyId":"962302","colour":1}`, "colour"},
		"wrong case":          {`{"Phone":"79001234567","message":"x","companyId":"962302"}`, "Phone"},
		"a field twice":       {`{"phone":"79001234567","message":"x","message":"y","companyId":"962302"}`, "message"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := b.do(t, http.MethodPost, "/send", b.admin, tc.body).status(400).code("VALIDATION_ERROR")
			require.Equal(t, tc.field, a.value("error", "details", "field"), a.Body.String())
			require.Equal(t, false, a.value("error", "isRetryable"))
		})
	}
	b.do(t, http.MethodPost, "/send", b.admin, strings.Replace(hello, "962302", "nobody", 1)).status(404).golden("company-not-found")
	b.do(t, http.MethodPost, "/send", b.admin, hello, "Idempotency-Key", strings.Repeat("k", 256)).status(400).code("VALIDATION_ERROR")
	require.Zero(t, scan[int](t, b, `SELECT count(*) FROM messages`))
}

func TestTheLongestMessageIsTaken(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.company(t, "962302", session.Connected)
	b.do(t, http.MethodPost, "/send", b.admin, `{"phone":"79001234567","message":"`+strings.Repeat("😀", 4096)+`","companyId":"962302"}`).status(200)
}

// Validation asks nobody, so that it works while nothing else does.
func TestValidationNeedsNeitherRedisNorQueue(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.redis.Close()
	b.queue.setCut(true)
	b.do(t, http.MethodPost, "/send", b.admin, `{"phone":"1","message":"x","companyId":"962302"}`).status(400).code("VALIDATION_ERROR")
}

func TestIdempotencyKey(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.company(t, "962302", session.Connected)
	b.company(t, "other", session.Connected)
	send := func(body, key string) answer {
		return b.do(t, http.MethodPost, "/send", b.admin, body, "Idempotency-Key", key)
	}
	first := send(hello, "order-1").status(200)
	again := send(hello, "order-1").status(200).golden("send-replayed")
	require.Equal(t, first.Body.String(), again.Body.String())
	require.Empty(t, first.Header().Get("Idempotent-Replayed"))
	require.Equal(t, first.Body.String(), send(strings.Replace(hello, "79001234567", "+7 900 123-45-67", 1), "order-1").status(200).Body.String(),
		"the same number in another spelling is the same body")

	send(strings.Replace(hello, "World", "Moon", 1), "order-1").status(409).golden("idempotency-conflict")
	send(strings.Replace(hello, "79001234567", "79001234568", 1), "order-1").status(409).code("IDEMPOTENCY_CONFLICT")
	require.NotEqual(t, first.Body.String(), send(hello, "order-2").status(200).Body.String())
	require.NotEqual(t, first.Body.String(), send(strings.Replace(hello, "962302", "other", 1), "order-1").status(200).Body.String(),
		"companies do not share keys")

	b.setState(t, "962302", session.LoggedOut)
	send(hello, "order-1").status(200)
	require.Len(t, b.queued(t), 3, "the queue has folded the repeated calls")
}

// A replay long after the message went out says what the first call said and queues nothing.
func TestAReplayQueuesNothingOnceTheMessageIsWithAHost(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.company(t, "962302", session.Connected)
	first := b.do(t, http.MethodPost, "/send", b.admin, hello, "Idempotency-Key", "1").status(200)
	b.queued(t)
	b.exec(t, `UPDATE messages SET status = 'sent', body = 'x'`)
	b.exec(t, `DELETE FROM queue_fifo_dedup`)
	again := b.do(t, http.MethodPost, "/send", b.admin, hello, "Idempotency-Key", "1").status(200)
	require.Equal(t, first.Body.String(), again.Body.String())
	require.Empty(t, b.queued(t))
}

func TestTwentyAtOnceWithOneKey(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.company(t, "962302", session.Connected)
	answers := make([]answer, 20)
	var wg sync.WaitGroup
	for i := range answers {
		wg.Go(func() { answers[i] = b.do(t, http.MethodPost, "/send", b.admin, hello, "Idempotency-Key", "race") })
	}
	wg.Wait()
	fresh := 0
	for _, a := range answers {
		a.status(200)
		require.Equal(t, answers[0].Body.String(), a.Body.String())
		if a.Header().Get("Idempotent-Replayed") == "" {
			fresh++
		}
	}
	require.Equal(t, 1, fresh)
	require.Equal(t, 1, scan[int](t, b, `SELECT count(*) FROM messages`))
	require.Len(t, b.queued(t), 1)
}

func TestQueueErrorIs503AndARetryGoesOn(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.company(t, "962302", session.Connected)
	b.queue.setCut(true)
	b.do(t, http.MethodPost, "/send", b.admin, hello, "Idempotency-Key", "1").status(503).golden("queue-unavailable")
	b.do(t, http.MethodPost, "/send", b.admin, hello, "Idempotency-Key", "1").status(503)
	require.Equal(t, "accepted", scan[string](t, b, `SELECT status FROM messages WHERE enqueued_at IS NULL`), "the row stays")

	b.queue.setCut(false)
	b.do(t, http.MethodPost, "/send", b.admin, hello, "Idempotency-Key", "1").status(200)
	require.Equal(t, 1, scan[int](t, b, `SELECT count(*) FROM messages WHERE enqueued_at IS NOT NULL`))
	require.Len(t, b.queued(t), 1)
}

func TestARetryLiftsNotEnqueued(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.company(t, "962302", session.Connected)
	b.queue.setCut(true)
	b.do(t, http.MethodPost, "/send", b.admin, hello, "Idempotency-Key", "1").status(503)
	b.exec(t, `UPDATE messages SET status = 'failed', reason = 'not_enqueued'`) // as sweep does after 15 minutes
	b.queue.setCut(false)
	b.do(t, http.MethodPost, "/send", b.admin, hello, "Idempotency-Key", "1").status(200)
	require.Len(t, b.queued(t), 1)

	b.exec(t, `UPDATE messages SET reason = 'recipient_not_on_whatsapp'`)
	b.exec(t, `DELETE FROM queue_fifo_dedup`)
	b.do(t, http.MethodPost, "/send", b.admin, hello, "Idempotency-Key", "1").status(200)
	require.Empty(t, b.queued(t), "any other failure is final")
}

func TestThirtyAMinute(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.company(t, "962302", session.Connected)
	b.company(t, "other", session.Connected)
	for n := range 30 {
		a := b.do(t, http.MethodPost, "/send", b.admin, hello, "Idempotency-Key", strconv.Itoa(n)).status(200)
		require.Equal(t, `"sends";q=30;w=60`, a.Header().Get("RateLimit-Policy"))
		require.Regexp(t, `^"sends";r=\d+;t=\d+$`, a.Header().Get("RateLimit"))
	}
	a := b.do(t, http.MethodPost, "/send", b.admin, hello).status(429).golden("rate-limited")
	require.Regexp(t, `^"sends";r=0;t=\d+$`, a.Header().Get("RateLimit"))
	b.do(t, http.MethodPost, "/send", b.admin, hello, "Idempotency-Key", "7").status(200)
	b.do(t, http.MethodPost, "/send", b.admin, `{"phone":"1","companyId":"962302","message":"x"}`).status(400)
	b.do(t, http.MethodPost, "/send", b.admin, strings.Replace(hello, "962302", "other", 1)).status(200)
	require.Equal(t, 31, scan[int](t, b, `SELECT count(*) FROM messages`))
}

func TestACompanysOwnLimit(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.do(t, http.MethodPost, "/companies", b.admin, `{"companyId":"small","rateLimit":{"perMinute":6,"burst":2}}`).status(201)
	b.setState(t, "small", session.Connected)
	body := strings.Replace(hello, "962302", "small", 1)
	b.do(t, http.MethodPost, "/send", b.admin, body).status(200)
	b.do(t, http.MethodPost, "/send", b.admin, body).status(200)
	a := b.do(t, http.MethodPost, "/send", b.admin, body).status(429)
	require.Equal(t, "10", a.Header().Get("Retry-After"))
}

func TestWithoutRedisTheLimitHolds(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.company(t, "962302", session.Connected)
	b.redis.Close()
	for range 30 {
		b.do(t, http.MethodPost, "/send", b.admin, hello).status(200)
	}
	b.do(t, http.MethodPost, "/send", b.admin, hello).status(429)
	require.Contains(t, b.do(t, http.MethodGet, "/health", "", "").status(200).value("data", "degraded"), "redis")
}

func TestDefaultCompany(t *testing.T) {
	t.Parallel()
	b := setup(t, withDefaultCompany("962302"))
	b.company(t, "962302", session.Connected)
	b.do(t, http.MethodPost, "/send", b.admin, `{"phone":"79001234567","message":"hi"}`).status(200)
	require.Equal(t, "962302", scan[string](t, b, `SELECT company_id FROM messages`))
}

func TestASendIsCountedAndLoggedWithoutItsSecrets(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.company(t, "962302", session.Connected)
	b.do(t, http.MethodPost, "/send", b.admin, hello, "X-Request-Id", "my-id").status(200)
	b.do(t, http.MethodPost, "/send", b.admin, `{"phone":"79001234567"}`).status(400)

	var lines []map[string]any
	for text := range strings.Lines(b.logs.String()) {
		var line map[string]any
		require.NoError(t, json.Unmarshal([]byte(text), &line))
		if line["msg"] == "api.request" {
			lines = append(lines, line)
		}
	}
	require.Len(t, lines, 2, "one line a request")
	require.Equal(t, "POST /api/whatsapp/send", lines[0]["route"])
	require.Equal(t, "POST", lines[0]["method"])
	require.EqualValues(t, 200, lines[0]["status"])
	require.Equal(t, "962302", lines[0]["company_id"])
	require.Equal(t, "my-id", lines[0]["request_id"])
	require.Contains(t, lines[0], "duration_ms")
	require.Equal(t, "VALIDATION_ERROR", lines[1]["code"])
	for _, secret := range []string{"Hello World", "79001234567", b.admin} {
		require.NotContains(t, b.logs.String(), secret)
	}

	metrics := b.do(t, http.MethodGet, "//metrics", b.admin, "").status(200).Body.String()
	require.Contains(t, metrics, `wafleet_accepts_total{result="accepted"} 1`)
	require.Contains(t, metrics, `wafleet_api_request_seconds_count{route="POST /api/whatsapp/send",status="200"} 1`)
}

// Order per company is the queue's: the API only has to hand over in the order of its answers.
func TestSendsAreQueuedInTheOrderOfTheirAnswers(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.company(t, "962302", session.Connected)
	var want, got []string
	for n := range 12 {
		body := fmt.Sprintf(`{"phone":"79001234567","message":"%d","companyId":"962302"}`, n)
		id, _ := b.do(t, http.MethodPost, "/send", b.admin, body).status(200).value("data", "messageId").(string)
		want = append(want, id)
	}
	for _, m := range b.queued(t) {
		got = append(got, m.DedupID)
	}
	require.Equal(t, want, got)
	require.LessOrEqual(t, len(want), queue.MaxBatch*2)
}

// Where hosts read the API's database a send goes through no queue: it waits there for its turn, and the host is woken.
func TestSendIntoTheHostsDatabase(t *testing.T) {
	t.Parallel()
	b := setup(t, inTheHostsDatabase)
	b.company(t, "962302", session.Connected)
	woken := make(chan string, 1)
	listener := b.listen(t, rpc.Hints{Outbox: func(companyID string) { woken <- companyID }})
	defer listener()
	b.queue.setCut(true) // nothing needs it
	id := b.do(t, http.MethodPost, "/send", b.admin, hello, "Idempotency-Key", "1").status(200).golden("send").value("data", "messageId")
	select {
	case companyID := <-woken:
		require.Equal(t, "962302", companyID)
	case <-time.After(5 * time.Second):
		require.FailNow(t, "no host was woken")
	}
	var status string
	var body []byte
	require.NoError(t, b.pool.QueryRow(t.Context(), `SELECT status, body FROM messages WHERE message_id = $1`, id).Scan(&status, &body))
	require.Equal(t, "queued", status)
	text, err := b.vault.Open(t.Context(), "962302", message.BodyContext(fmt.Sprint(id)), body)
	require.NoError(t, err)
	require.JSONEq(t, `{"type":"text","text":"Hello World"}`, string(text))

	replay := b.do(t, http.MethodPost, "/send", b.admin, hello, "Idempotency-Key", "1").status(200)
	require.Equal(t, "true", replay.Header().Get("Idempotent-Replayed"))
	require.Equal(t, 1, scan[int](t, b, `SELECT count(*) FROM messages`))
}
