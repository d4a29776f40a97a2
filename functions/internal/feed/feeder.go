package feed

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"

	"github.com/jackc/pgx/v5"
	"github.com/prometheus/client_golang/prometheus"

	"wafleet/functions/internal/batch"
	"wafleet/shared/message"
	"wafleet/shared/problem"
	"wafleet/shared/queue"
	"wafleet/shared/store"
	"wafleet/shared/store/db"
	"wafleet/shared/webhook"
)

// cancelStep is how many messages are canceled in one transaction, which holds the company's event counter.
const cancelStep = 500

// Sender is the producer's side of the queues that a Feeder sends to.
type Sender interface {
	batch.Sender
	webhook.Sender
}

var _ Sender = queue.Queue(nil)

// Nudger wakes the owner of a company; *rpc.Board is one.
type Nudger interface {
	NudgeOutbox(ctx context.Context, companyID string) error
}

// Deps is what a Feeder works with.
type Deps struct {
	Store   *store.Store
	Vault   store.Sealer
	Queue   Sender
	Nudger  Nudger
	IDs     message.IDs
	Logger  *slog.Logger
	Metrics prometheus.Registerer // nil: not exported
}

// Feeder does what the jobs of both queues ask for. It is safe for concurrent use.
type Feeder struct {
	store   *store.Store
	queries *db.Queries
	vault   store.Sealer
	queue   Sender
	nudger  Nudger
	ids     message.IDs
	creator *batch.Creator
	log     *slog.Logger
	rows    *prometheus.CounterVec
	bulk    *prometheus.CounterVec
}

// New returns a feeder, or an error if its metrics cannot be registered.
func New(d Deps) (*Feeder, error) {
	f := &Feeder{
		store: d.Store, queries: d.Store.Queries(), vault: d.Vault, queue: d.Queue, nudger: d.Nudger, ids: d.IDs,
		creator: batch.NewCreator(d.Store, d.Queue, d.Logger), log: d.Logger,
		rows: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "wafleet_batch_rows_total", Help: "Rows of batches that became messages (queued), were refused, or were canceled.",
		}, []string{"status"}),
		bulk: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "wafleet_bulk_total", Help: "Messages of the bulk queue: accepted, replayed, refused into quarantine, unreadable for the dead-letter queue.",
		}, []string{"result"}),
	}
	for _, result := range []string{resultAccepted, resultReplayed, resultRefused, resultUnreadable} {
		f.bulk.WithLabelValues(result) // a rate needs a zero to start from
	}
	if d.Metrics == nil {
		return f, nil
	}
	for _, metric := range []prometheus.Collector{f.rows, f.bulk} {
		if err := d.Metrics.Register(metric); err != nil {
			return nil, fmt.Errorf("register feed metrics: %w", err)
		}
	}
	return f, nil
}

// HandleJob does all there is to do about the batch that a job names. After an error the job has to come back.
func (f *Feeder) HandleJob(ctx context.Context, body []byte) error {
	job, err := batch.DecodeJob(body)
	if err != nil {
		return err
	}
	b, err := f.find(ctx, job)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil // its company was deleted
	}
	if err == nil && b.FedAt == nil {
		err = f.feed(ctx, b)
		if err == nil {
			b, err = f.find(ctx, job) // it may have been canceled meanwhile
		}
	}
	if err == nil && b.Status == statusCanceled {
		err = f.cancel(ctx, b)
	}
	if errors.Is(err, store.ErrNoCompany) || errors.Is(err, pgx.ErrNoRows) {
		return nil
	}
	return err
}

const statusCanceled = "canceled"

func (f *Feeder) find(ctx context.Context, job batch.Job) (db.Batch, error) {
	b, err := f.queries.GetBatch(ctx, f.store.Pool(), db.GetBatchParams{CompanyID: job.CompanyID, BatchID: job.BatchID})
	if err != nil {
		return b, fmt.Errorf("read batch: %w", err)
	}
	return b, nil
}

// feed makes messages of all recipients that are none yet. The owner is woken as soon as there is something to send.
func (f *Feeder) feed(ctx context.Context, b db.Batch) error {
	text, err := f.store.BatchTemplate(ctx, b)
	if err != nil {
		return fmt.Errorf("feed batch %s: %w", b.BatchID, err)
	}
	content, err := message.DecodeContent(text)
	if err != nil {
		return fmt.Errorf("feed batch %s: %w", b.BatchID, err)
	}
	template, err := batch.ParseTemplate(content)
	if err != nil {
		return fmt.Errorf("feed batch %s: %w", b.BatchID, err)
	}
	read := func(recipients []byte, suppressed func([]string) ([]string, error)) ([]store.BatchRow, []store.InvalidRow, error) {
		return f.rowsOf(b, template, recipients, suppressed)
	}
	for more, chunks := true, 0; more; chunks++ {
		if more, err = f.store.FeedBatch(ctx, b, read); err != nil {
			return fmt.Errorf("feed batch %s: %w", b.BatchID, err)
		}
		if chunks == 0 || !more {
			f.nudge(ctx, b.CompanyID)
		}
	}
	// 0 rows: somebody else holds the last recipients and marks it then.
	fed, err := f.queries.MarkFed(ctx, f.store.Pool(), db.MarkFedParams{CompanyID: b.CompanyID, Batch: b.ID})
	if err != nil {
		return fmt.Errorf("mark batch %s as fed: %w", b.BatchID, err)
	}
	if fed > 0 {
		f.log.InfoContext(ctx, "batch.fed", "company_id", b.CompanyID, "batch_id", b.BatchID, "rows", b.Accepted)
	}
	return nil
}

// rowsOf makes messages of some recipients. A row that was valid when the batch was created, and is not any more, is refused.
func (f *Feeder) rowsOf(b db.Batch, template batch.Template, text []byte, suppressed func([]string) ([]string, error)) (
	rows []store.BatchRow, refused []store.InvalidRow, err error,
) {
	var recipients []batch.Recipient
	if err := json.Unmarshal(text, &recipients); err != nil {
		return nil, nil, fmt.Errorf("decode recipients: %w", err)
	}
	addresses := make([]string, len(recipients))
	for i := range recipients {
		addresses[i] = recipients[i].To
	}
	unwilling, err := suppressed(addresses)
	if err != nil {
		return nil, nil, fmt.Errorf("look for suppressed recipients: %w", err)
	}
	for _, r := range recipients {
		if slices.Contains(unwilling, r.To) {
			refused = append(refused, store.InvalidRow{
				Row: r.Row, Code: string(problem.RecipientSuppressed.Code), Message: problem.RecipientSuppressed.Message,
			})
			continue
		}
		content, err := template.Render(r.Fields)
		if err != nil {
			refused = append(refused, store.InvalidRow{Row: r.Row, Code: string(problem.Validation.Code), Message: err.Error()})
			continue
		}
		body, err := content.Encode()
		if err != nil {
			return nil, nil, fmt.Errorf("encode row: %w", err)
		}
		rows = append(rows, store.BatchRow{Row: r.Row, MessageID: f.ids.ForRow(b.CompanyID, b.BatchID, r.Row), Phone: r.To, Content: body})
	}
	f.rows.WithLabelValues(string(message.Queued)).Add(float64(len(rows)))
	f.rows.WithLabelValues("refused").Add(float64(len(refused)))
	return rows, refused, nil
}

// cancel tells of each message of a canceled batch that it will not be sent.
func (f *Feeder) cancel(ctx context.Context, b db.Batch) error {
	for ctx.Err() == nil {
		canceled, deliveries, err := f.store.CancelBatchRows(ctx, b, cancelStep)
		if err != nil {
			return fmt.Errorf("cancel batch %s: %w", b.BatchID, err)
		}
		f.rows.WithLabelValues(string(message.Canceled)).Add(float64(canceled))
		if err := webhook.EnqueueDeliveries(ctx, f.queue, deliveries); err != nil {
			f.log.WarnContext(ctx, "webhook.left_to_sweep", "deliveries", len(deliveries), "error", err)
		}
		if canceled < cancelStep {
			return nil
		}
	}
	return fmt.Errorf("cancel batch %s: %w", b.BatchID, ctx.Err())
}

// nudge wakes the owner. One that gets lost costs seconds: the owner also looks by itself.
func (f *Feeder) nudge(ctx context.Context, companyID string) {
	if err := f.nudger.NudgeOutbox(ctx, companyID); err != nil {
		f.log.WarnContext(ctx, "session.nudge", "error", err, "company_id", companyID)
	}
}
