package api_test

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"wafleet/shared/queue"
	"wafleet/shared/session"
	"wafleet/shared/webhook"
)

// webhookJobs takes the jobs out of the webhooks queue.
func (b *bundle) webhookJobs(t *testing.T) (jobs []webhook.Job) {
	t.Helper()
	for {
		got, err := b.queue.Receive(t.Context(), queue.Webhooks, queue.MaxBatch, 0, time.Minute)
		require.NoError(t, err)
		if len(got) == 0 {
			return jobs
		}
		for _, m := range got {
			job, err := webhook.DecodeJob(m.Body)
			require.NoError(t, err)
			jobs = append(jobs, job)
			require.NoError(t, b.queue.Delete(t.Context(), queue.Webhooks, []string{m.Handle}))
		}
	}
}

// deliveries lists what the API tells of an endpoint, page by page, as sequence numbers.
func (b *bundle) deliveries(t *testing.T, endpoint, query string) (seqs []int, pages int) {
	t.Helper()
	next := ""
	for {
		a := b.do(t, http.MethodGet, "/webhooks/"+endpoint+"/deliveries?"+query+"&after="+next, b.admin, "").status(200)
		pages++
		data, _ := a.value("data").([]any)
		for _, d := range data {
			delivery, _ := d.(map[string]any)
			seq, _ := delivery["sequence"].(float64)
			seqs = append(seqs, int(seq))
		}
		var more bool
		if next, more = a.value("next").(string); !more {
			return seqs, pages
		}
	}
}

func TestListDeliveries(t *testing.T) {
	t.Parallel()
	b := setup(t, likeAFunction)
	b.company(t, "962302", session.Connected)
	id, _ := b.endpoint(t, "962302", "https://example.com/hook")
	b.do(t, http.MethodGet, "/webhooks/"+id+"/deliveries", b.admin, "").status(200).golden("deliveries-none")
	for n := range 9 {
		appendEvent(t, b, "962302", n)
	}
	b.exec(t, `UPDATE webhook_deliveries SET state = 'dead', attempts = 3, last_status = 500, last_error = 'answered 500' WHERE event_seq IN (2, 5, 6)`)
	b.exec(t, `UPDATE webhook_deliveries SET state = 'delivered', delivered_at = now(), attempts = 1 WHERE event_seq IN (1, 8)`)
	b.do(t, http.MethodGet, "/webhooks/"+id+"/deliveries?limit=2", b.admin, "").status(200).golden("deliveries")
	for query, want := range map[string][]int{
		"limit=4":                 {9, 8, 7, 6, 5, 4, 3, 2, 1},
		"limit=9":                 {9, 8, 7, 6, 5, 4, 3, 2, 1},
		"state=dead&limit=2":      {6, 5, 2},
		"state=pending&limit=2":   {9, 7, 4, 3},
		"state=delivered&limit=1": {8, 1},
	} {
		seqs, _ := b.deliveries(t, id, query)
		require.Equal(t, want, seqs, query)
	}
	for query, field := range map[string]string{
		"state=lost": "state", "limit=0": "limit", "limit=501": "limit", "after=x": "after", "after=0": "after", "after=-1": "after",
	} {
		a := b.do(t, http.MethodGet, "/webhooks/"+id+"/deliveries?"+query, b.admin, "").status(400).code("VALIDATION_ERROR")
		require.Equal(t, field, a.value("error", "details", "field"), query)
	}
}

// A rare state in a long history is no walk through all of it: dead letters have an index, others come in short pages.
func TestRareDeliveriesInALongHistory(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.company(t, "962302", session.Connected)
	id, _ := b.endpoint(t, "962302", "https://example.com/hook")
	b.exec(t, `INSERT INTO webhook_deliveries (id, company_id, endpoint_id, event_seq, event_id, event_type, state)
		SELECT gen_random_uuid(), '962302', $1, n, gen_random_uuid(), 'message.sent',
			CASE WHEN n IN (3, 20000) THEN 'dead' WHEN n = 7 THEN 'pending' ELSE 'delivered' END
		FROM generate_series(1, 20000) AS n`, id)
	before := b.rowsRead(t)
	seqs, pages := b.deliveries(t, id, "state=dead")
	require.Equal(t, []int{20000, 3}, seqs)
	require.Equal(t, 1, pages)
	require.LessOrEqual(t, b.rowsRead(t)-before, int64(10))

	before = b.rowsRead(t)
	b.do(t, http.MethodGet, "/webhooks/"+id+"/deliveries?limit=10", b.admin, "").status(200)
	require.LessOrEqual(t, b.rowsRead(t)-before, int64(20))

	seqs, pages = b.deliveries(t, id, "state=pending")
	require.Equal(t, []int{7}, seqs)
	require.Equal(t, 4, pages, "5,000 a look")
}

// rowsRead is how many rows of deliveries this test's database has read.
func (b *bundle) rowsRead(t *testing.T) int64 {
	t.Helper()
	b.exec(t, `SELECT pg_stat_force_next_flush()`)
	return scan[int64](t, b, `SELECT coalesce(sum(seq_tup_read + coalesce(idx_tup_fetch, 0)), 0)::bigint FROM pg_stat_user_tables
		WHERE relname LIKE 'webhook_deliveries%'`)
}

func TestReplayDelivery(t *testing.T) {
	t.Parallel()
	b := setup(t, likeAFunction)
	b.company(t, "962302", session.Connected)
	b.company(t, "other", session.Connected)
	endpoint, _ := b.endpoint(t, "962302", "https://example.com/hook")
	appendEvent(t, b, "962302", 1)
	id := scan[string](t, b, `SELECT id::text FROM webhook_deliveries`)
	replay := func(key string) answer { return b.do(t, http.MethodPost, "/deliveries/"+id+"/replay", key, "") }

	b.exec(t, `UPDATE webhook_deliveries SET state = 'dead', attempts = 12, skipped = 2, last_status = 500, last_error = 'answered 500'`)
	a := replay(b.admin).status(202).golden("delivery-replayed")
	require.Equal(t, "pending", a.value("data", "state"))
	require.Equal(t, 0, scan[int](t, b, `SELECT attempts + skipped FROM webhook_deliveries WHERE next_attempt_at <= now()`), "the whole schedule is before it")
	jobs := b.webhookJobs(t)
	require.Len(t, jobs, 1, "it goes at once")
	require.Equal(t, id, jobs[0].DeliveryID.String())

	// One that waits is brought forward, and nothing of its schedule is given back.
	b.exec(t, `UPDATE webhook_deliveries SET attempts = 3, skipped = 0, next_attempt_at = now() + interval '5 h', enqueued_until = NULL`)
	replay(b.admin).status(202)
	require.Equal(t, 3, scan[int](t, b, `SELECT attempts + skipped FROM webhook_deliveries WHERE next_attempt_at <= now()`))
	require.Len(t, b.webhookJobs(t), 1)

	// One that is on the wire stays with whoever has it.
	b.exec(t, `UPDATE webhook_deliveries SET claimed_until = now() + interval '30 s'`)
	replay(b.admin).status(202)
	require.Equal(t, 1, scan[int](t, b, `SELECT count(*) FROM webhook_deliveries WHERE claimed_until > now()`))
	require.Empty(t, b.webhookJobs(t))

	b.exec(t, `UPDATE webhook_deliveries SET claimed_until = NULL, state = 'delivered', delivered_at = now()`)
	own, other := "962302", "other"
	require.Equal(t, "pending", replay(b.key(t, &own, "webhook")).status(202).value("data", "state"))
	replay(b.key(t, &other, "webhook")).status(404).golden("delivery-not-found")
	for _, bad := range []string{"x", "00000000-0000-0000-0000-000000000000", "%00"} {
		b.do(t, http.MethodPost, fmt.Sprintf("/deliveries/%s/replay", bad), b.admin, "").status(404).code("NOT_FOUND")
	}

	b.exec(t, `UPDATE webhook_deliveries SET state = 'dead'`)
	b.do(t, http.MethodPatch, "/webhooks/"+endpoint, b.admin, `{"enabled": false}`).status(200)
	replay(b.admin).status(409).golden("webhook-is-disabled")
	b.do(t, http.MethodDelete, "/webhooks/"+endpoint, b.admin, "").status(200)
	replay(b.admin).status(404).code("NOT_FOUND")
	require.Equal(t, "dead", scan[string](t, b, `SELECT state FROM webhook_deliveries`))
}

// With the queue gone a replay is still promised: the sweeper finds it.
func TestReplayWithoutAQueue(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.company(t, "962302", session.Connected)
	b.endpoint(t, "962302", "https://example.com/hook")
	appendEvent(t, b, "962302", 1)
	b.exec(t, `UPDATE webhook_deliveries SET state = 'dead'`)
	b.queue.setCut(true)
	id := scan[string](t, b, `SELECT id::text FROM webhook_deliveries`)
	b.do(t, http.MethodPost, "/deliveries/"+id+"/replay", b.admin, "").status(202)
	require.Equal(t, 1, scan[int](t, b, `SELECT count(*) FROM webhook_deliveries WHERE state = 'pending' AND enqueued_until IS NULL`))
}
