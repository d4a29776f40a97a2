package delivery

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"

	"wafleet/shared/queue"
	"wafleet/shared/store"
	"wafleet/shared/store/db"
	"wafleet/shared/webhook"
)

// Verdicts: what becomes of a delivery after an attempt.
const (
	verdictDelivered = "delivered"
	verdictRetry     = "retry"
	verdictDead      = "dead"
	verdictDisabled  = "disabled"
	verdictOvertaken = "overtaken" // the claim had run out, and its new holder decides
)

// reasonFailing is the reason of an endpoint that was disabled because it failed for too long.
const reasonFailing = "failing"

// aftermath is what an attempt leads to beyond its own row: what is to be enqueued after the commit.
type aftermath struct {
	verdict string
	retryIn time.Duration // with verdictRetry
	calls   []webhook.Job // due now: parked deliveries of the endpoint, and the event that tells of its end
}

// endpointDisabled is the data of the event webhook.disabled.
type endpointDisabled struct {
	EndpointID string    `json:"endpointId"`
	URL        string    `json:"url"`
	Reason     string    `json:"reason"`
	Timestamp  time.Time `json:"timestamp"`
}

// settle writes what came of an attempt, in one transaction, and enqueues what follows from it.
func (d *Deliverer) settle(ctx context.Context, a attempt, outcome webhook.Outcome) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), settleTimeout)
	defer cancel()
	var after aftermath
	err := d.store.InTx(ctx, func(tx pgx.Tx) (err error) {
		switch {
		case outcome.Delivered():
			after, err = d.deliver(ctx, tx, a, outcome)
		case outcome.Disables():
			after, err = d.disable(ctx, tx, a, outcome, string(outcome.Result))
		default:
			after, err = d.fail(ctx, tx, a, outcome)
		}
		return err
	})
	d.attempts.WithLabelValues(string(outcome.Result)).Inc()
	d.logAttempt(ctx, a, outcome, after)
	if err != nil {
		return fmt.Errorf("settle delivery: %w", err)
	}
	if after.verdict == verdictRetry && after.retryIn <= queue.MaxDelay {
		d.enqueue(ctx, a, after.retryIn, a.job())
	}
	d.enqueue(ctx, a, 0, after.calls...)
	return nil
}

// The three below lock the endpoint before the delivery, as claim does, so that they cannot deadlock with it.

func (d *Deliverer) deliver(ctx context.Context, tx pgx.Tx, a attempt, outcome webhook.Outcome) (aftermath, error) {
	after := aftermath{verdict: verdictDelivered}
	err := d.queries.EndpointSucceeded(ctx, tx, db.EndpointSucceededParams{CompanyID: a.delivery.CompanyID, ID: a.endpoint.ID})
	if err != nil {
		return after, fmt.Errorf("count success: %w", err)
	}
	if _, err = d.queries.FinishDelivery(ctx, tx, db.FinishDeliveryParams{
		CompanyID: a.delivery.CompanyID, ID: a.delivery.ID, CreatedAt: a.delivery.CreatedAt, LastStatus: status(outcome),
	}); err != nil {
		return after, fmt.Errorf("finish delivery: %w", err)
	}
	room := 1 // the place of this attempt
	if a.endpoint.Failures >= failingAfter {
		room = d.inFlight // it was only probed, and is well again
	}
	after.calls, err = d.unpark(ctx, tx, a, room)
	return after, err
}

func (d *Deliverer) fail(ctx context.Context, tx pgx.Tx, a attempt, outcome webhook.Outcome) (aftermath, error) {
	endpoint, err := d.queries.EndpointFailed(ctx, tx, db.EndpointFailedParams{
		CompanyID: a.delivery.CompanyID, ID: a.endpoint.ID, Repeatedly: failingAfter,
		Delay: min(d.schedule.Delay(a.endpoint.Failures+1), maxProbe).Seconds(), Patience: patience.Seconds(),
	})
	if err != nil && !errors.Is(err, pgx.ErrNoRows) { // no rows: it was deleted meanwhile, which the next claim will find
		return aftermath{}, fmt.Errorf("count failure: %w", err)
	}
	if endpoint.Spent {
		return d.disable(ctx, tx, a, outcome, reasonFailing)
	}
	failing := endpoint.Failures >= failingAfter
	var (
		after aftermath
		rows  int64
	)
	if delay, more := d.schedule.Next(a.steps()); more {
		after.verdict, after.retryIn = verdictRetry, max(delay, outcome.RetryAfter)
		rows, err = d.retry(ctx, tx, a, outcome, after.retryIn, failing)
	} else {
		after.verdict = verdictDead
		rows, err = d.bury(ctx, tx, a, outcome)
	}
	if err != nil {
		return after, err
	}
	if rows == 0 {
		return aftermath{verdict: verdictOvertaken}, nil
	}
	if !failing {
		after.calls, err = d.unpark(ctx, tx, a, 1)
	}
	return after, err
}

func (d *Deliverer) retry(ctx context.Context, tx pgx.Tx, a attempt, outcome webhook.Outcome, delay time.Duration, failing bool) (int64, error) {
	var enqueuedFor *float64 // nil: too late for the queue, the sweeper does it
	if delay <= queue.MaxDelay {
		seconds := (delay + JobPatience).Seconds()
		enqueuedFor = &seconds
	}
	rows, err := d.queries.RetryDelivery(ctx, tx, db.RetryDeliveryParams{
		CompanyID: a.delivery.CompanyID, ID: a.delivery.ID, CreatedAt: a.delivery.CreatedAt, Attempts: a.delivery.Attempts,
		Delay: delay.Seconds(), EnqueuedFor: enqueuedFor, LastStatus: status(outcome), LastError: outcome.Summary(),
		Parked: failing, // goes before its time when a probe succeeds
	})
	if err != nil {
		return 0, fmt.Errorf("retry delivery: %w", err)
	}
	return rows, nil
}

// disable ends an endpoint and tells the others of it. The delivery is a dead letter then, as those are that still wait.
func (d *Deliverer) disable(ctx context.Context, tx pgx.Tx, a attempt, outcome webhook.Outcome, reason string) (aftermath, error) {
	after := aftermath{verdict: verdictDisabled}
	changed, err := d.queries.DisableEndpoint(ctx, tx, db.DisableEndpointParams{
		CompanyID: a.delivery.CompanyID, ID: a.endpoint.ID, Reason: reason,
	})
	if err != nil {
		return after, fmt.Errorf("disable endpoint: %w", err)
	}
	if _, err := d.bury(ctx, tx, a, outcome); err != nil || changed == 0 {
		return after, err
	}
	deliveries, err := d.store.AppendEvent(ctx, tx, store.Event{
		CompanyID: a.delivery.CompanyID, Type: webhook.WebhookDisabled,
		Data: endpointDisabled{
			EndpointID: a.endpoint.ID, URL: a.endpoint.URL, Reason: reason, Timestamp: time.Now().UTC(),
		},
	})
	if err != nil {
		return after, fmt.Errorf("tell of the disabled endpoint: %w", err)
	}
	after.calls = webhook.Jobs(deliveries)
	return after, nil
}

func (d *Deliverer) bury(ctx context.Context, tx pgx.Tx, a attempt, outcome webhook.Outcome) (int64, error) {
	rows, err := d.queries.BuryDelivery(ctx, tx, db.BuryDeliveryParams{
		CompanyID: a.delivery.CompanyID, ID: a.delivery.ID, CreatedAt: a.delivery.CreatedAt, Attempts: a.delivery.Attempts,
		LastStatus: status(outcome), LastError: outcome.Summary(),
	})
	if err != nil {
		return 0, fmt.Errorf("bury delivery: %w", err)
	}
	return rows, nil
}

// unpark calls deliveries that wait for their endpoint.
func (d *Deliverer) unpark(ctx context.Context, tx pgx.Tx, a attempt, room int) ([]webhook.Job, error) {
	rows, err := d.queries.UnparkDeliveries(ctx, tx, db.UnparkDeliveriesParams{
		CompanyID: a.delivery.CompanyID, EndpointID: a.endpoint.ID, Room: room, Hold: JobPatience.Seconds(),
	})
	if err != nil {
		return nil, fmt.Errorf("call parked deliveries: %w", err)
	}
	return webhook.Jobs(rows), nil
}

// release gives the claim back uncounted; the delivery is due again after the delay.
func (d *Deliverer) release(ctx context.Context, a attempt, delay time.Duration) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), settleTimeout)
	defer cancel()
	_, err := d.queries.ReleaseDelivery(ctx, d.store.Pool(), db.ReleaseDeliveryParams{
		CompanyID: a.delivery.CompanyID, ID: a.delivery.ID, CreatedAt: a.delivery.CreatedAt, Attempts: a.delivery.Attempts,
		Delay: delay.Seconds(),
	})
	if err != nil {
		return fmt.Errorf("release delivery: %w", err)
	}
	return nil
}

// discard ends a delivery that can never be sent.
func (d *Deliverer) discard(ctx context.Context, a attempt, reason string) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), settleTimeout)
	defer cancel()
	_, err := d.queries.BuryDelivery(ctx, d.store.Pool(), db.BuryDeliveryParams{
		CompanyID: a.delivery.CompanyID, ID: a.delivery.ID, CreatedAt: a.delivery.CreatedAt, Attempts: a.delivery.Attempts,
		LastError: reason,
	})
	if err != nil {
		return fmt.Errorf("bury delivery: %w", err)
	}
	return nil
}

// enqueue sends jobs on the fast path; what cannot be sent is left to the sweeper.
func (d *Deliverer) enqueue(ctx context.Context, a attempt, delay time.Duration, jobs ...webhook.Job) {
	if err := d.enqueuer.Enqueue(ctx, delay, jobs...); err != nil {
		d.log.With(a.fields()...).WarnContext(ctx, "webhook.left_to_sweep", "error", err)
	}
}

// logAttempt is the one line about an attempt.
func (d *Deliverer) logAttempt(ctx context.Context, a attempt, outcome webhook.Outcome, after aftermath) {
	level := slog.LevelInfo
	if !outcome.Delivered() {
		level = slog.LevelWarn
	}
	log := d.log.With(a.fields()...)
	if outcome.Err != nil {
		log = log.With("error", outcome.Err)
	}
	log.Log(ctx, level, "webhook.attempted", "result", outcome.Result, "status", outcome.Status,
		"duration_ms", outcome.Took.Milliseconds(), "verdict", after.verdict, "retry_in_ms", after.retryIn.Milliseconds())
}

// job is the job that would bring this attempt's delivery back.
func (a attempt) job() webhook.Job {
	return webhook.Job{CompanyID: a.delivery.CompanyID, DeliveryID: a.delivery.ID, CreatedAt: a.delivery.CreatedAt.UTC()}
}

func status(outcome webhook.Outcome) *int32 {
	if outcome.Status == 0 {
		return nil
	}
	code := int32(outcome.Status) //nolint:gosec // three digits
	return &code
}
