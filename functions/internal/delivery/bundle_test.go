package delivery_test

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"wafleet/functions/internal/delivery"
	"wafleet/shared/queue"
	"wafleet/shared/store"
	"wafleet/shared/store/db"
	"wafleet/shared/store/pgtest"
	"wafleet/shared/vault"
	"wafleet/shared/webhook"
)

const company = "962302"

// bundle is one installation with one company.
type bundle struct {
	pool      *pgxpool.Pool
	store     *store.Store
	vault     *vault.Vault
	queue     *outgoing
	logs      *logs
	metrics   *prometheus.Registry
	config    delivery.Config
	deliverer *delivery.Deliverer
}

// options change what newBundle builds.
type options struct {
	schedule string        // "0,1h,1h" by default
	timeout  time.Duration // of an attempt
	inFlight int           // 4 by default
	conns    int32
}

func newBundle(t *testing.T, o options) *bundle {
	t.Helper()
	if o.schedule == "" {
		o.schedule = "0,1h,1h"
	}
	if o.conns == 0 {
		o.conns = 4
	}
	pool := pgtest.New(t, pgtest.MaxConns(o.conns), pgtest.Configure(behindProxy))
	local, err := vault.NewLocal(bytes.Repeat([]byte{7}, vault.KeySize))
	require.NoError(t, err)
	v := vault.New(local, store.NewKeyring(pool))
	s := store.New(pool, v)
	_, err = s.CreateCompany(t.Context(), store.NewCompany{CompanyID: company, PerMinute: 30, RateMax: 30})
	require.NoError(t, err)

	schedule, err := webhook.ParseSchedule(o.schedule)
	require.NoError(t, err)
	client := webhook.NewClient(webhook.NewTargets(true, true), webhook.ClientConfig{Timeout: o.timeout})
	t.Cleanup(client.Close)
	b := &bundle{pool: pool, store: s, vault: v, queue: &outgoing{}, logs: &logs{}, metrics: prometheus.NewRegistry()}
	b.config = delivery.Config{Schedule: schedule, InFlight: o.inFlight}
	b.deliverer, err = delivery.New(delivery.Deps{
		Store: s, Vault: v, Queue: b.queue, Client: client, Metrics: b.metrics,
		Logger: slog.New(slog.NewJSONHandler(b.logs, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}, b.config)
	require.NoError(t, err)
	return b
}

// behindProxy has statements sent as functions behind a connection pooler send them: nothing is prepared, so every
// parameter has to be understood without asking the server for its type.
func behindProxy(c *pgxpool.Config) { c.ConnConfig.DefaultQueryExecMode = pgx.QueryExecModeExec }

// another returns a deliverer of another process on the same database, and the pool it works with.
func (b *bundle) another(t *testing.T) (*delivery.Deliverer, *pgxpool.Pool) {
	t.Helper()
	pool, err := pgxpool.NewWithConfig(t.Context(), b.pool.Config())
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	client := webhook.NewClient(webhook.NewTargets(true, true), webhook.ClientConfig{})
	t.Cleanup(client.Close)
	d, err := delivery.New(delivery.Deps{
		Store: store.New(pool, b.vault), Vault: b.vault, Queue: b.queue, Client: client, Logger: slog.New(slog.DiscardHandler),
	}, b.config)
	require.NoError(t, err)
	return d, pool
}

// endpoint creates an endpoint and returns its id and its secret.
func (b *bundle) endpoint(t *testing.T, url string, events ...string) (string, webhook.Secret) {
	t.Helper()
	id, secret := "we_"+uuid.NewString(), webhook.NewSecret()
	sealed, err := b.vault.Seal(t.Context(), company, webhook.SecretContext(id), []byte(secret))
	require.NoError(t, err)
	if events == nil {
		events = []string{}
	}
	_, err = b.store.Queries().CreateEndpoint(t.Context(), b.pool, db.CreateEndpointParams{
		ID: id, CompanyID: company, URL: url, Events: events, Secret: sealed,
	})
	require.NoError(t, err)
	return id, secret
}

// event writes an event and returns the jobs of its deliveries.
func (b *bundle) event(t *testing.T, data any) []webhook.Job {
	t.Helper()
	var deliveries []store.Delivery
	require.NoError(t, b.store.InTx(t.Context(), func(tx pgx.Tx) (err error) {
		deliveries, err = b.store.AppendEvent(t.Context(), tx, store.Event{CompanyID: company, Type: webhook.MessageSent, Data: data})
		return err
	}))
	return webhook.Jobs(deliveries)
}

// events writes n events for one endpoint and returns the jobs of their deliveries.
func (b *bundle) events(t *testing.T, n int) []webhook.Job {
	t.Helper()
	jobs := make([]webhook.Job, 0, n)
	for i := range n {
		jobs = append(jobs, b.event(t, map[string]int{"n": i})...)
	}
	return jobs
}

// handle gives the deliverer a job and requires that it is content.
func (b *bundle) handle(t *testing.T, jobs ...webhook.Job) {
	t.Helper()
	for _, job := range jobs {
		require.NoError(t, b.deliverer.Handle(t.Context(), encode(t, job)))
	}
}

// handleAll works off the jobs and everything that follows from them at once, as a queue would, until nothing is left.
func (b *bundle) handleAll(t *testing.T, jobs ...webhook.Job) {
	t.Helper()
	for len(jobs) > 0 {
		b.handle(t, jobs...)
		jobs = b.queue.take(t, 0)
	}
}

// row reads a delivery as it is stored.
func (b *bundle) row(t *testing.T, job webhook.Job) db.WebhookDelivery {
	t.Helper()
	rows, err := b.pool.Query(t.Context(), `SELECT * FROM webhook_deliveries WHERE id = $1`, job.DeliveryID)
	require.NoError(t, err)
	row, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[db.WebhookDelivery])
	require.NoError(t, err)
	return row
}

// endpointRow reads an endpoint as it is stored.
func (b *bundle) endpointRow(t *testing.T, id string) db.WebhookEndpoint {
	t.Helper()
	row, err := b.store.Queries().GetEndpoint(t.Context(), b.pool, db.GetEndpointParams{CompanyID: company, ID: id})
	require.NoError(t, err)
	return row
}

// due makes deliveries due now, as if their time had come.
func (b *bundle) due(t *testing.T, jobs ...webhook.Job) {
	t.Helper()
	for _, job := range jobs {
		b.exec(t, `UPDATE webhook_deliveries SET next_attempt_at = now() WHERE id = $1`, job.DeliveryID)
	}
}

// probeDue lets the time of the endpoint's next probe come.
func (b *bundle) probeDue(t *testing.T, endpointID string) {
	t.Helper()
	b.exec(t, `UPDATE webhook_endpoints SET probe_at = now() WHERE id = $1`, endpointID)
}

func (b *bundle) exec(t *testing.T, statement string, args ...any) {
	t.Helper()
	_, err := b.pool.Exec(t.Context(), statement, args...)
	require.NoError(t, err)
}

// attempts reads the metric.
func (b *bundle) attempts(t *testing.T, result webhook.Result) int {
	t.Helper()
	families, err := b.metrics.Gather()
	require.NoError(t, err)
	for _, family := range families {
		for _, metric := range family.GetMetric() {
			if family.GetName() == "wafleet_webhook_attempts_total" && metric.GetLabel()[0].GetValue() == string(result) {
				return int(metric.GetCounter().GetValue())
			}
		}
	}
	require.FailNowf(t, "no such metric", "result %s", result)
	return 0
}

func encode(t *testing.T, job webhook.Job) []byte {
	t.Helper()
	body, err := json.Marshal(job)
	require.NoError(t, err)
	return body
}

// outgoing is the sending end of a queue: it keeps what was sent until it is taken.
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

// take removes and returns the jobs that were sent with at most this delay.
func (q *outgoing) take(t *testing.T, delay time.Duration) []webhook.Job {
	t.Helper()
	q.mu.Lock()
	defer q.mu.Unlock()
	var jobs []webhook.Job
	var rest []queue.Message
	for _, message := range q.sent {
		if message.Delay > delay {
			rest = append(rest, message)
			continue
		}
		job, err := webhook.DecodeJob(message.Body)
		require.NoError(t, err)
		jobs = append(jobs, job)
	}
	q.sent = rest
	return jobs
}

// logs keeps what was logged.
type logs struct {
	mu  sync.Mutex
	out bytes.Buffer
}

func (l *logs) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.out.Write(p)
}

func (l *logs) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.out.String()
}

// lines returns the entries with this message.
func (l *logs) lines(t *testing.T, message string) []map[string]any {
	t.Helper()
	var found []map[string]any
	for line := range bytes.Lines([]byte(l.String())) {
		var entry map[string]any
		require.NoError(t, json.Unmarshal(line, &entry))
		if entry["msg"] == message {
			found = append(found, entry)
		}
	}
	return found
}
