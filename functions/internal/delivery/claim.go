package delivery

import (
	"context"
	"errors"
	"fmt"
	"net/url"

	"github.com/jackc/pgx/v5"

	"wafleet/shared/store/db"
	"wafleet/shared/webhook"
)

// Texts that a customer finds at a delivery that was not attempted.
const (
	textDisabled = "the endpoint is disabled"
	textDeleted  = "the endpoint was deleted"
	textSkipped  = "the endpoint fails repeatedly: not tried at this step"
)

// attempt is a claimed delivery and its endpoint at that moment.
type attempt struct {
	delivery db.WebhookDelivery
	endpoint db.LockEndpointOfDeliveryRow
}

// steps is how much of the schedule is used up, this attempt included.
func (a attempt) steps() int { return a.delivery.Attempts + a.delivery.Skipped }

// fields name the attempt in logs. Of the URL only the host: the rest may hold the customer's token.
func (a attempt) fields() []any {
	host := ""
	if u, err := url.Parse(a.endpoint.URL); err == nil {
		host = u.Host
	}
	return []any{
		"company_id", a.delivery.CompanyID, "endpoint_id", a.endpoint.ID, "delivery_id", a.delivery.ID,
		"event_id", webhook.EventID(a.delivery.EventID), "event_type", a.delivery.EventType, "sequence", a.delivery.EventSeq,
		"attempt", a.delivery.Attempts, "skipped", a.delivery.Skipped, "host", host,
	}
}

// claim takes the job's delivery for one attempt, or finds that there is none to make now and leaves the delivery in
// the state that says so.
func (d *Deliverer) claim(ctx context.Context, job webhook.Job) (a attempt, claimed bool, err error) {
	err = d.store.InTx(ctx, func(tx pgx.Tx) (err error) {
		a, claimed, err = d.claimIn(ctx, tx, job)
		return err
	})
	if err != nil {
		return attempt{}, false, fmt.Errorf("claim delivery: %w", err)
	}
	return a, claimed, nil
}

func (d *Deliverer) claimIn(ctx context.Context, tx pgx.Tx, job webhook.Job) (attempt, bool, error) {
	endpoint, err := d.queries.LockEndpointOfDelivery(ctx, tx, db.LockEndpointOfDeliveryParams{
		CompanyID: job.CompanyID, ID: job.DeliveryID, CreatedAt: job.CreatedAt,
	})
	if errors.Is(err, pgx.ErrNoRows) {
		return attempt{}, false, d.buryOrphan(ctx, tx, job)
	}
	if err != nil {
		return attempt{}, false, fmt.Errorf("lock endpoint: %w", err)
	}
	step := endpoint.Attempts + endpoint.Skipped
	switch {
	case !endpoint.Enabled:
		return attempt{}, false, d.buryUntried(ctx, tx, job, endpoint)
	case endpoint.Held && step+1 < d.schedule.Attempts():
		return attempt{}, false, d.skip(ctx, tx, job, step)
	}
	delivery, err := d.queries.ClaimDelivery(ctx, tx, db.ClaimDeliveryParams{
		CompanyID: job.CompanyID, ID: job.DeliveryID, CreatedAt: job.CreatedAt,
		Hold: d.claimFor.Seconds(), InFlight: d.inFlight,
	})
	if errors.Is(err, pgx.ErrNoRows) {
		return attempt{}, false, d.park(ctx, tx, job)
	}
	if err != nil {
		return attempt{}, false, fmt.Errorf("take delivery: %w", err)
	}
	a := attempt{delivery: delivery, endpoint: endpoint}
	if endpoint.Failures >= failingAfter {
		if err := d.reserveProbe(ctx, tx, a); err != nil {
			return attempt{}, false, err
		}
	}
	return a, true, nil
}

// reserveProbe holds everybody else back while the probe runs. Settling it sets the real time of the next one.
func (d *Deliverer) reserveProbe(ctx context.Context, tx pgx.Tx, a attempt) error {
	err := d.queries.ReserveProbe(ctx, tx, db.ReserveProbeParams{
		CompanyID: a.delivery.CompanyID, ID: a.endpoint.ID, Delay: d.claimFor.Seconds(),
	})
	if err != nil {
		return fmt.Errorf("reserve probe: %w", err)
	}
	return nil
}

func (d *Deliverer) skip(ctx context.Context, tx pgx.Tx, job webhook.Job, step int) error {
	delay, _ := d.schedule.Next(step + 1)
	err := d.queries.SkipDelivery(ctx, tx, db.SkipDeliveryParams{
		CompanyID: job.CompanyID, ID: job.DeliveryID, CreatedAt: job.CreatedAt,
		Delay: delay.Seconds(), LastError: textSkipped,
	})
	if err != nil {
		return fmt.Errorf("skip step: %w", err)
	}
	return nil
}

func (d *Deliverer) park(ctx context.Context, tx pgx.Tx, job webhook.Job) error {
	err := d.queries.ParkDelivery(ctx, tx, db.ParkDeliveryParams{
		CompanyID: job.CompanyID, ID: job.DeliveryID, CreatedAt: job.CreatedAt, Delay: parkedFor.Seconds(),
	})
	if err != nil {
		return fmt.Errorf("park delivery: %w", err)
	}
	return nil
}

func (d *Deliverer) buryUntried(ctx context.Context, tx pgx.Tx, job webhook.Job, endpoint db.LockEndpointOfDeliveryRow) error {
	_, err := d.queries.BuryDelivery(ctx, tx, db.BuryDeliveryParams{
		CompanyID: job.CompanyID, ID: job.DeliveryID, CreatedAt: job.CreatedAt,
		Attempts: endpoint.Attempts, LastError: textDisabled,
	})
	if err != nil {
		return fmt.Errorf("bury delivery: %w", err)
	}
	return nil
}

// buryOrphan is for a job without a claimable delivery: mostly there is nothing to do, unless the endpoint was deleted.
func (d *Deliverer) buryOrphan(ctx context.Context, tx pgx.Tx, job webhook.Job) error {
	_, err := d.queries.BuryOrphan(ctx, tx, db.BuryOrphanParams{
		CompanyID: job.CompanyID, ID: job.DeliveryID, CreatedAt: job.CreatedAt, LastError: textDeleted,
	})
	if err != nil {
		return fmt.Errorf("bury orphan: %w", err)
	}
	return nil
}
