package api_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"wafleet/functions/internal/feed"
	"wafleet/shared/message"
	"wafleet/shared/queue"
	"wafleet/shared/session"
	"wafleet/shared/store"
)

// twoRows has one recipient that can be sent to and one that cannot.
const twoRows = `{"companyId":"962302","name":"September reminder","template":{"type":"text","text":"Hello {{name}}"},
	"recipients":[{"to":"79001234567","fields":{"name":"Anna"}},{"to":"12","fields":{"name":"Boris"}}]}`

// batchOf is a valid batch of so many rows.
func batchOf(rows int) string {
	all := make([]string, rows)
	for i := range all {
		all[i] = fmt.Sprintf(`{"to":"7900%07d"}`, i+1)
	}
	return `{"companyId":"962302","template":{"type":"text","text":"hi"},"recipients":[` + strings.Join(all, ",") + `]}`
}

// feed does the jobs that wait in the batches queue.
func (b *bundle) feed(t *testing.T) {
	t.Helper()
	installation, err := store.EnsureInstallation(t.Context(), b.pool, 0)
	require.NoError(t, err)
	feeder, err := feed.New(feed.Deps{
		Store: b.store, Vault: b.vault, Queue: b.queue, Nudger: b.board, IDs: message.NewIDs(installation.IDSecret), Logger: slog.New(slog.DiscardHandler),
	})
	require.NoError(t, err)
	for {
		jobs, err := b.queue.Receive(t.Context(), queue.Batches, 10, 0, 0)
		require.NoError(t, err)
		if len(jobs) == 0 {
			return
		}
		for _, job := range jobs {
			require.NoError(t, feeder.HandleJob(t.Context(), job.Body))
			require.NoError(t, b.queue.Delete(t.Context(), queue.Batches, []string{job.Handle}))
		}
	}
}

// newBatch posts a batch and returns its id.
func (b *bundle) newBatch(t *testing.T, body string) string {
	t.Helper()
	id, ok := b.do(t, http.MethodPost, "/batches", b.admin, body).status(202).value("data", "batchId").(string)
	require.True(t, ok)
	return id
}

func TestABatchFromTheCallToItsEnd(t *testing.T) {
	t.Parallel()
	for name, how := range map[string]func(*options){"prepared": func(*options) {}, "like_a_function": likeAFunction} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t, how)
			b.company(t, "962302", session.Connected)
			created := b.do(t, http.MethodPost, "/batches", b.admin, twoRows).status(202).golden("batch-created")
			require.Equal(t, []any{"running", 2.0, 1.0}, []any{created.value("data", "status"), created.value("data", "total"), created.value("data", "accepted")})
			require.JSONEq(t, `[{"row":2,"code":"VALIDATION_ERROR","message":"to: phone number must have 10 to 15 digits"}]`, mustJSON(t, created.value("data", "invalid")))
			id, ok := created.value("data", "batchId").(string)
			require.True(t, ok)
			require.Regexp(t, `^bat_[A-Z2-7]{26}$`, id)
			path := "/batches/" + id

			require.JSONEq(t, `{"accepted":1}`, mustJSON(t, b.do(t, http.MethodGet, path, b.admin, "").status(200).value("data", "counts")))
			b.feed(t)
			got := b.do(t, http.MethodGet, path, b.admin, "").status(200).golden("batch")
			require.JSONEq(t, `{"queued":1}`, mustJSON(t, got.value("data", "counts")))
			require.Equal(t, []any{"September reminder", 1.0, 0.0, nil, nil}, []any{
				got.value("data", "name"), got.value("data", "invalid"), got.value("data", "progress"), got.value("data", "estimatedEnd"), got.value("data", "endedAt"),
			})

			b.exec(t, `UPDATE messages SET status = 'delivered', sent_at = now(), delivered_at = now()`)
			list := b.do(t, http.MethodGet, path+"/recipients", b.admin, "").status(200)
			first, ok := list.value("data").([]any)
			require.True(t, ok)
			require.Len(t, first, 2)
			row, ok := first[0].(map[string]any)
			require.True(t, ok)
			require.Equal(t, []any{1.0, "delivered", "79001234567"}, []any{row["row"], row["status"], row["to"]})
			require.Equal(t, "delivered", b.do(t, http.MethodGet, fmt.Sprintf("/messages/%s", row["messageId"]), b.admin, "").status(200).value("data", "status"))
			require.JSONEq(t, `{"row":2,"status":"invalid","code":"VALIDATION_ERROR","message":"to: phone number must have 10 to 15 digits"}`, mustJSON(t, first[1]))

			deliveries, err := b.store.EndBatch(t.Context(), "962302", scan[int64](t, b, `SELECT id FROM batches`))
			require.NoError(t, err)
			require.Empty(t, deliveries)
			got = b.do(t, http.MethodGet, path, b.admin, "").status(200)
			require.Equal(t, []any{"completed", 1.0}, []any{got.value("data", "status"), got.value("data", "progress")})
			require.NotNil(t, got.value("data", "endedAt"))
			b.do(t, http.MethodPost, path+"/pause", b.admin, "").status(409).code("BATCH_ENDED")
		})
	}
}

// The limit of 30 a minute is for single sends.
func TestABatchSpendsNothing(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.company(t, "962302", session.Created) // it waits, and has the time to
	for range 40 {
		b.newBatch(t, batchOf(1))
	}
	require.Equal(t, 40, scan[int](t, b, `SELECT count(*)::int FROM batches`))
}

func TestABatchIsIdempotent(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.company(t, "962302", session.Connected)
	key := []string{"Idempotency-Key", "september"}
	var calls sync.WaitGroup
	answers := make([]string, 4)
	for i := range answers {
		calls.Go(func() {
			answers[i] = mustJSON(t, b.do(t, http.MethodPost, "/batches", b.admin, twoRows, key...).status(202).value("data"))
		})
	}
	calls.Wait()
	require.Equal(t, []string{answers[0], answers[0], answers[0], answers[0]}, answers)
	require.Equal(t, 1, scan[int](t, b, `SELECT count(*)::int FROM batches`))

	id := scan[string](t, b, `SELECT batch_id FROM batches`)
	b.do(t, http.MethodPost, "/batches/"+id+"/pause", b.admin, "").status(200)
	again := b.do(t, http.MethodPost, "/batches", b.admin, twoRows, key...).status(202)
	require.Equal(t, "true", again.Header().Get("Idempotent-Replayed"))
	require.Equal(t, answers[0], mustJSON(t, again.value("data")), "answered as the first time")
	b.do(t, http.MethodPost, "/batches", b.admin, strings.Replace(twoRows, "Anna", "Nina", 1), key...).status(409).code("IDEMPOTENCY_CONFLICT")

	b.company(t, "other", session.Connected)
	b.do(t, http.MethodPost, "/batches", b.admin, strings.Replace(twoRows, "962302", "other", 1), key...).status(202)
}

func TestWhatABatchIsRefusedFor(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.company(t, "962302", session.Connected)
	for name, tc := range map[string]struct {
		body   string
		status int
		code   string
	}{
		"no body":          {``, 400, "VALIDATION_ERROR"},
		"no template":      {`{"companyId":"962302","recipients":[{"to":"79001234567"}]}`, 400, "VALIDATION_ERROR"},
		"no rows":          {`{"companyId":"962302","template":{"type":"text","text":"hi"},"recipients":[]}`, 400, "VALIDATION_ERROR"},
		"rows of no kind":  {`{"companyId":"962302","template":{"type":"text","text":"hi"},"recipients":{}}`, 400, "VALIDATION_ERROR"},
		"an unknown field": {strings.Replace(twoRows, `"name":"September`, `"title":"September`, 1), 400, "VALIDATION_ERROR"},
		"a bad template":   {strings.Replace(twoRows, "{{name}}", "{{name", 1), 400, "VALIDATION_ERROR"},
		"a NUL":            {strings.Replace(twoRows, "September", `\u0000`, 1), 400, "VALIDATION_ERROR"},
		"one too many":     {batchOf(10_001), 400, "VALIDATION_ERROR"},
		"too large":        {strings.Replace(twoRows, "Anna", strings.Repeat("a", 4<<20), 1), 413, "BODY_TOO_LARGE"},
		"nobody's":         {strings.Replace(twoRows, "962302", "nobody", 1), 404, "COMPANY_NOT_FOUND"},
	} {
		t.Log(name)
		b.do(t, http.MethodPost, "/batches", b.admin, tc.body).status(tc.status).code(tc.code)
	}
	require.Zero(t, scan[int](t, b, `SELECT count(*)::int FROM batches`))
	// Larger than what other routes take, and fine.
	b.do(t, http.MethodPost, "/batches", b.admin, strings.Replace(twoRows, `"name":"Anna"`, `"name":"Anna","note":"`+strings.Repeat("a", 3<<20)+`"`, 1)).status(202)
}

func TestWhoMayDoWhatToABatch(t *testing.T) {
	t.Parallel()
	b := setup(t)
	own, other := "962302", "other"
	b.company(t, own, session.Connected)
	b.company(t, other, session.Connected)
	id := b.newBatch(t, twoRows)
	send, read, foreign := b.key(t, &own, "send"), b.key(t, &own, "read"), b.key(t, &other, "send", "read")
	b.do(t, http.MethodPost, "/batches", send, twoRows).status(202)
	b.do(t, http.MethodPost, "/batches", read, twoRows).status(403).code("FORBIDDEN")
	b.do(t, http.MethodPost, "/batches", foreign, twoRows).status(403).code("FORBIDDEN")
	b.do(t, http.MethodPost, "/batches", "", twoRows).status(401)
	for _, what := range []string{"", "/recipients"} {
		b.do(t, http.MethodGet, "/batches/"+id+what, read, "").status(200)
		b.do(t, http.MethodGet, "/batches/"+id+what, send, "").status(403)
		b.do(t, http.MethodGet, "/batches/"+id+what, foreign, "").status(404).code("NOT_FOUND")
		b.do(t, http.MethodGet, "/batches/"+id+what+"?companyId=962302", foreign, "").status(403)
		b.do(t, http.MethodGet, "/batches/bat_none"+what, b.admin, "").status(404)
	}
	for _, what := range []string{"/pause", "/resume", "/cancel"} {
		b.do(t, http.MethodPost, "/batches/"+id+what, foreign, "").status(404).code("NOT_FOUND")
		b.do(t, http.MethodPost, "/batches/"+id+what, read, "").status(403)
		b.do(t, http.MethodPost, "/batches/"+id+what, b.admin, "").status(200)
	}
}

func TestPauseResumeCancel(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.company(t, "962302", session.Connected)
	id := b.newBatch(t, batchOf(3))
	b.feed(t)
	turn := func(what string, status int) answer {
		return b.do(t, http.MethodPost, "/batches/"+id+what, b.admin, "").status(status)
	}
	for range 2 { // saying it twice changes nothing
		require.Equal(t, "paused", turn("/pause", 200).value("data", "status"))
	}
	for range 2 {
		require.Equal(t, "running", turn("/resume", 200).value("data", "status"))
	}
	turn("/pause", 200)
	canceled := turn("/cancel", 200)
	require.Equal(t, "canceled", canceled.value("data", "status"))
	require.JSONEq(t, `{"queued":3}`, mustJSON(t, canceled.value("data", "counts")), "the rows follow")
	turn("/cancel", 200)
	turn("/pause", 409).code("BATCH_ENDED")
	turn("/resume", 409).code("BATCH_ENDED")
	b.feed(t)
	done := b.do(t, http.MethodGet, "/batches/"+id, b.admin, "").status(200)
	require.JSONEq(t, `{"canceled":3}`, mustJSON(t, done.value("data", "counts")))
	require.Equal(t, "1", mustJSON(t, done.value("data", "progress")))
}

func TestPagesOfRecipients(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.company(t, "962302", session.Connected)
	rows := strings.Replace(batchOf(9), `"to":"79000000004"`, `"to":"4"`, 1)
	id := b.newBatch(t, rows)
	b.feed(t)
	b.exec(t, `UPDATE messages SET status = 'failed', reason = 'recipient_not_on_whatsapp' WHERE batch_row IN (2, 7)`)
	list := func(query string) (found []int, next any) {
		a := b.do(t, http.MethodGet, "/batches/"+id+"/recipients"+query, b.admin, "").status(200)
		all, ok := a.value("data").([]any)
		require.True(t, ok)
		for _, one := range all {
			row, ok := one.(map[string]any)
			require.True(t, ok)
			number, ok := row["row"].(float64)
			require.True(t, ok)
			found = append(found, int(number))
		}
		return found, a.value("next")
	}
	var all []int
	for query := "?limit=4"; ; {
		page, next := list(query)
		all = append(all, page...)
		if next == nil {
			break
		}
		query = fmt.Sprintf("?limit=4&after=%s", next)
	}
	require.Equal(t, []int{1, 2, 3, 4, 5, 6, 7, 8, 9}, all)
	failed, _ := list("?status=failed")
	require.Equal(t, []int{2, 7}, failed)
	refused, _ := list("?status=invalid")
	require.Equal(t, []int{4}, refused)
	none, _ := list("?status=read")
	require.Empty(t, none)
	for _, bad := range []string{"?status=accepted", "?status=x", "?limit=0", "?limit=1001", "?after=x", "?after=-1"} {
		b.do(t, http.MethodGet, "/batches/"+id+"/recipients"+bad, b.admin, "").status(400).code("VALIDATION_ERROR")
	}
}

// The queue does not answer: the batch is stored all the same, and the sweeper finds that it has no job.
func TestABatchSurvivesTheQueue(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.company(t, "962302", session.Connected)
	b.queue.setCut(true)
	b.newBatch(t, twoRows)
	require.Contains(t, b.logs.String(), "batch.left_to_sweep")
	require.NotContains(t, b.logs.String(), "79001234567")
	require.NotContains(t, b.logs.String(), "Anna")
}

func TestABatchNeedsTheDatabase(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.company(t, "962302", session.Connected)
	b.newBatch(t, twoRows) // the key is known
	b.loseDatabase(t)
	b.doWith(t, context.WithoutCancel(t.Context()), http.MethodPost, "/batches", b.admin, twoRows).status(503).code("DATABASE_ERROR")
}
