package sweep_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"wafleet/functions/internal/sweep"
	"wafleet/shared/media"
	"wafleet/shared/message"
	"wafleet/shared/queue"
	"wafleet/shared/store"
	"wafleet/shared/store/db"
	"wafleet/shared/store/pgtest"
	"wafleet/shared/vault"
	"wafleet/shared/webhook"
)

const company = "962302"

// bundle is one installation with one company and one endpoint.
type bundle struct {
	pool    *pgxpool.Pool
	store   *store.Store
	vault   *vault.Vault
	queue   *outgoing
	media   *media.Folder
	logs    *bytes.Buffer
	metrics *prometheus.Registry
	sweeper *sweep.Sweeper
}

func newBundle(t *testing.T, page int) *bundle {
	t.Helper()
	pool := pgtest.New(t, pgtest.Configure(behindProxy))
	local, err := vault.NewLocal(bytes.Repeat([]byte{7}, vault.KeySize))
	require.NoError(t, err)
	b := &bundle{
		pool: pool, vault: vault.New(local, store.NewKeyring(pool)), queue: &outgoing{}, logs: &bytes.Buffer{},
		metrics: prometheus.NewRegistry(),
	}
	b.store = store.New(pool, b.vault)
	b.company(t, company)
	b.media, err = media.OpenFolder(t.TempDir())
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, b.media.Close()) })
	b.sweeper, err = sweep.New(sweep.Deps{
		Store: b.store, Queue: b.queue, Media: b.media, Metrics: b.metrics, Logger: slog.New(slog.NewJSONHandler(b.logs, nil)),
	}, sweep.Config{Page: page})
	require.NoError(t, err)
	return b
}

// behindProxy has statements sent as functions behind a connection pooler send them: nothing is prepared, so every
// parameter has to be understood without asking the server for its type.
func behindProxy(c *pgxpool.Config) { c.ConnConfig.DefaultQueryExecMode = pgx.QueryExecModeExec }

// company creates a company with an endpoint for every event.
func (b *bundle) company(t *testing.T, id string) {
	t.Helper()
	_, err := b.store.CreateCompany(t.Context(), store.NewCompany{CompanyID: id, PerMinute: 30, RateMax: 30})
	require.NoError(t, err)
	_, err = b.store.Queries().CreateEndpoint(t.Context(), b.pool, db.CreateEndpointParams{
		ID: "wh_" + id, CompanyID: id, URL: "https://example.com", Events: []string{}, Secret: []byte("sealed"),
	})
	require.NoError(t, err)
}

// accept records a message as the API does in its first step; age makes it that old.
func (b *bundle) accept(t *testing.T, companyID, id string, age time.Duration, ttl *float64) {
	t.Helper()
	ref := "ref-" + id
	_, err := b.store.Queries().AcceptMessage(t.Context(), b.pool, db.AcceptMessageParams{
		CompanyID: companyID, Phone: "79001234567", MessageID: id, Kind: "text", Chat: "79001234567",
		ClientRef: &ref, BodyHash: []byte("hash"), Ttl: ttl,
	})
	require.NoError(t, err)
	b.exec(t, `UPDATE messages SET created_at = now() - make_interval(secs => $1) WHERE message_id = $2`, age.Seconds(), id)
}

func (b *bundle) exec(t *testing.T, statement string, args ...any) {
	t.Helper()
	_, err := b.pool.Exec(t.Context(), statement, args...)
	require.NoError(t, err)
}

func (b *bundle) run(t *testing.T) {
	t.Helper()
	require.NoError(t, b.sweeper.Run(t.Context()))
}

func (b *bundle) message(t *testing.T, id string) db.Message {
	t.Helper()
	row, err := b.store.Queries().GetMessage(t.Context(), b.pool, db.GetMessageParams{CompanyID: company, MessageID: id})
	require.NoError(t, err)
	return row
}

// events returns what the company's log tells, opened.
func (b *bundle) events(t *testing.T) (types []string, data []message.Progress) {
	t.Helper()
	rows, err := b.store.Queries().ListEvents(t.Context(), b.pool, db.ListEventsParams{CompanyID: company, PageSize: 1000})
	require.NoError(t, err)
	for _, row := range rows {
		opened, err := b.vault.Open(t.Context(), company, store.EventContext(row.ID), row.Data)
		require.NoError(t, err)
		var p message.Progress
		require.NoError(t, json.Unmarshal(opened, &p))
		types, data = append(types, row.Type), append(data, p)
	}
	return types, data
}

// swept reads the metric.
func (b *bundle) swept(t *testing.T) map[string]int {
	t.Helper()
	families, err := b.metrics.Gather()
	require.NoError(t, err)
	counts := map[string]int{}
	for _, metric := range families[0].GetMetric() {
		counts[metric.GetLabel()[0].GetValue()] = int(metric.GetCounter().GetValue())
	}
	return counts
}

// outgoing is the sending end of a queue.
type outgoing struct {
	mu     sync.Mutex
	sent   []queue.Message
	refuse error
}

func (q *outgoing) SendBatch(_ context.Context, _ string, messages []queue.Message) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.refuse != nil {
		return q.refuse
	}
	q.sent = append(q.sent, messages...)
	return nil
}

// take removes and returns the jobs that were sent, by delivery.
func (q *outgoing) take(t *testing.T) map[string]int {
	t.Helper()
	q.mu.Lock()
	defer q.mu.Unlock()
	counts := map[string]int{}
	for _, m := range q.sent {
		job, err := webhook.DecodeJob(m.Body)
		require.NoError(t, err)
		counts[job.DeliveryID.String()]++
	}
	q.sent = nil
	return counts
}

func TestNothingToDo(t *testing.T) {
	t.Parallel()
	b := newBundle(t, 0)
	b.run(t)
	require.Empty(t, cmp.Diff(map[string]int{"not_enqueued": 0, "expired": 0, "deliveries": 0, "secrets": 0, "batches": 0, "batch_ends": 0, "companies": 0, "media": 0}, b.swept(t)))
	require.Empty(t, b.logs.String())
}

func TestMessagesThatWereNotEnqueuedFail(t *testing.T) {
	t.Parallel()
	b := newBundle(t, 0)
	b.accept(t, company, "lost", 16*time.Minute, nil)
	b.accept(t, company, "young", 14*time.Minute, nil)
	b.accept(t, company, "enqueued", 16*time.Minute, nil)
	require.NoError(t, b.store.Queries().MarkEnqueued(t.Context(), b.pool, db.MarkEnqueuedParams{CompanyID: company, MessageID: "enqueued"}))

	b.run(t)
	row := b.message(t, "lost")
	require.Equal(t, "failed", row.Status)
	require.Equal(t, message.ReasonNotEnqueued, row.Reason)
	require.Contains(t, string(row.Trace), `"not_enqueued"`)
	require.Equal(t, "accepted", b.message(t, "young").Status)
	require.Equal(t, "accepted", b.message(t, "enqueued").Status)

	types, data := b.events(t)
	require.Equal(t, []string{webhook.MessageFailed}, types)
	require.Equal(t, "lost", data[0].MessageID)
	require.Equal(t, message.Failed, data[0].Status)
	require.Equal(t, "not_enqueued", data[0].Reason)
	require.Equal(t, "ref-lost", data[0].ClientRef)
	require.Equal(t, "79001234567", data[0].To.Phone)
	require.Len(t, b.queue.take(t), 1, "its webhook is on the way")
	require.Equal(t, 1, b.swept(t)["not_enqueued"])
	require.Contains(t, b.logs.String(), `"level":"ERROR","msg":"messages.not_enqueued","messages":1`)

	b.run(t)
	types, _ = b.events(t)
	require.Len(t, types, 1, "told once")
}

func TestMessagesExpire(t *testing.T) {
	t.Parallel()
	b := newBundle(t, 0)
	hour := time.Hour.Seconds()
	for _, id := range []string{"accepted", "queued", "sending", "sent", "living"} {
		b.accept(t, company, id, 0, &hour)
	}
	b.exec(t, `UPDATE messages SET expires_at = now() - interval '1 second' WHERE message_id <> 'living'`)
	b.exec(t, `UPDATE messages SET status = 'queued', body = 'x' WHERE message_id = 'queued'`)
	b.exec(t, `UPDATE messages SET status = 'sending', body = 'x', wire = 'x', term = gen_random_uuid(), incarnation = gen_random_uuid() WHERE message_id = 'sending'`)
	b.exec(t, `UPDATE messages SET status = 'sent', body = 'x' WHERE message_id = 'sent'`)

	b.run(t)
	for id, want := range map[string]string{
		"accepted": "expired", "queued": "expired", "sending": "sending", "sent": "sent", "living": "accepted",
	} {
		require.Equal(t, want, b.message(t, id).Status, id)
	}
	types, _ := b.events(t)
	require.Equal(t, []string{webhook.MessageExpired, webhook.MessageExpired}, types)
	require.Equal(t, 2, b.swept(t)["expired"])
}

// More than a page, and one company whose key is gone: it is passed by and everybody else is served.
func TestOneBadMessageHoldsUpNoOther(t *testing.T) {
	t.Parallel()
	b := newBundle(t, 3)
	b.company(t, "shredded")
	for i := range 4 {
		b.accept(t, "shredded", fmt.Sprintf("bad-%d", i), time.Hour, nil)
	}
	for i := range 8 {
		b.accept(t, company, fmt.Sprintf("good-%d", i), 30*time.Minute, nil)
	}
	b.exec(t, `DELETE FROM company_keys WHERE company_id = 'shredded'`)

	require.ErrorIs(t, b.sweeper.Run(t.Context()), vault.ErrNoKey)
	for i := range 8 {
		require.Equal(t, "failed", b.message(t, fmt.Sprintf("good-%d", i)).Status)
	}
	var open int
	require.NoError(t, b.pool.QueryRow(t.Context(),
		`SELECT count(*) FROM messages WHERE company_id = 'shredded' AND status = 'accepted'`).Scan(&open))
	require.Equal(t, 4, open, "without its event a message is not moved")
}

func TestSweepersDoNotTellTwice(t *testing.T) {
	t.Parallel()
	b := newBundle(t, 5)
	for i := range 20 {
		b.accept(t, company, fmt.Sprintf("m-%d", i), time.Hour, nil)
	}
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() { _ = b.sweeper.Run(t.Context()) })
	}
	wg.Wait()
	b.run(t)
	types, _ := b.events(t)
	require.Len(t, types, 20)
}

func TestDueDeliveriesAreEnqueued(t *testing.T) {
	t.Parallel()
	b := newBundle(t, 2)
	deliver := func(change string) string {
		var deliveries []store.Delivery
		require.NoError(t, b.store.InTx(t.Context(), func(tx pgx.Tx) (err error) {
			deliveries, err = b.store.AppendEvent(t.Context(), tx, store.Event{CompanyID: company, Type: webhook.MessageSent, Data: struct{}{}})
			return err
		}))
		b.exec(t, `UPDATE webhook_deliveries SET `+change+` WHERE id = $1`, deliveries[0].ID)
		return deliveries[0].ID.String()
	}
	want := map[string]int{}
	for _, change := range []string{
		`next_attempt_at = now() - interval '6 seconds'`,
		`next_attempt_at = now() - interval '6 seconds', parked = true`,
		`next_attempt_at = now() - interval '1 hour', enqueued_until = now() - interval '1 second'`,
		`next_attempt_at = now() - interval '1 hour', claimed_until = now() - interval '1 second'`,
		`next_attempt_at = now() - interval '3 days', attempts = 9`,
	} {
		want[deliver(change)] = 1
	}
	for _, change := range []string{
		`next_attempt_at = now()`, // the fast path may still be on its way
		`next_attempt_at = now() + interval '1 second'`,
		`next_attempt_at = now() - interval '1 hour', enqueued_until = now() + interval '1 minute'`,
		`next_attempt_at = now() - interval '1 hour', claimed_until = now() + interval '1 minute'`,
		`next_attempt_at = now() - interval '1 hour', state = 'delivered'`,
		`next_attempt_at = now() - interval '1 hour', state = 'dead'`,
	} {
		deliver(change)
	}
	b.run(t)
	require.Equal(t, want, b.queue.take(t))
	require.Equal(t, 5, b.swept(t)["deliveries"])
	b.run(t)
	require.Empty(t, b.queue.take(t), "a job speaks for each of them now")

	// The queue is down: the marks are taken back and the next run tries again.
	b.exec(t, `UPDATE webhook_deliveries SET enqueued_until = NULL`)
	b.queue.refuse = queue.ErrUnavailable
	require.ErrorIs(t, b.sweeper.Run(t.Context()), queue.ErrUnavailable)
	b.queue.refuse = nil
	b.run(t)
	require.GreaterOrEqual(t, len(b.queue.take(t)), 5)
}

func TestRotationsEnd(t *testing.T) {
	t.Parallel()
	b := newBundle(t, 0)
	b.company(t, "other")
	b.exec(t, `UPDATE webhook_endpoints SET previous_secret = 'old', previous_until = now() + make_interval(hours => CASE company_id WHEN 'other' THEN 1 ELSE -1 END)`)
	b.run(t)
	var left []string
	rows, err := b.pool.Query(t.Context(), `SELECT company_id FROM webhook_endpoints WHERE previous_secret IS NOT NULL`)
	require.NoError(t, err)
	left, err = pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(t, err)
	require.Equal(t, []string{"other"}, left)
}

func TestPartitionsOfTheMonthsToCome(t *testing.T) {
	t.Parallel()
	b := newBundle(t, 0)
	far := "events_" + time.Now().UTC().AddDate(0, 0, -time.Now().UTC().Day()+1).AddDate(0, 3, 0).Format("200601")
	b.exec(t, `DROP TABLE `+far)
	b.run(t)
	b.exec(t, `SELECT 1 FROM `+far)
	b.exec(t, `DROP TABLE `+far)
	b.run(t) // not again within the hour
	_, err := b.pool.Exec(t.Context(), `SELECT 1 FROM `+far)
	require.Error(t, err)
}

func TestTasksFailAlone(t *testing.T) {
	t.Parallel()
	b := newBundle(t, 0)
	b.accept(t, company, "lost", time.Hour, nil)
	b.exec(t, `ALTER TABLE webhook_endpoints RENAME COLUMN previous_until TO gone`)
	err := b.sweeper.Run(t.Context())
	require.ErrorContains(t, err, "drop old secrets")
	require.Equal(t, "failed", b.message(t, "lost").Status)
}

func TestRunEndsWithItsContext(t *testing.T) {
	t.Parallel()
	b := newBundle(t, 0)
	b.accept(t, company, "lost", time.Hour, nil)
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("deadline"))
	require.NoError(t, b.sweeper.Run(ctx))
	require.Equal(t, "accepted", b.message(t, "lost").Status)
}
