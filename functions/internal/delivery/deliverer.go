package delivery

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/prometheus/client_golang/prometheus"

	"wafleet/shared/store"
	"wafleet/shared/store/db"
	"wafleet/shared/vault"
	"wafleet/shared/webhook"
)

const (
	// DefaultInFlight is how many attempts of one endpoint may run at a time.
	DefaultInFlight = 4
	// claimMargin is how much longer than an attempt a claim lasts: time to settle it.
	claimMargin = 15 * time.Second
	// failingAfter is how many failures in a row make an endpoint one that is only probed. It is above the default of
	// InFlight, so that one restart on the other side does not suffice.
	failingAfter = 5
	// patience is for how long an endpoint may fail without a single success before it is disabled.
	patience = 5 * 24 * time.Hour
	// maxProbe is the longest time between two probes of a failing endpoint.
	maxProbe = 5 * time.Minute
	// parkedFor is when a parked delivery comes back if nobody called it.
	parkedFor = time.Minute
	// releasedFor is when a delivery comes back that we could not even prepare.
	releasedFor = time.Minute
	// settleTimeout bounds the writes after an attempt, which happen even when the process is told to stop.
	settleTimeout = 10 * time.Second
)

// Opener opens what is stored about a company; *vault.Vault is one.
type Opener interface {
	Open(ctx context.Context, companyID, place string, sealed []byte) ([]byte, error)
}

var _ Opener = (*vault.Vault)(nil)

// Deps is what a Deliverer works with.
type Deps struct {
	Store   *store.Store
	Vault   Opener
	Queue   webhook.Sender
	Client  *webhook.Client
	Logger  *slog.Logger
	Metrics prometheus.Registerer // nil: not exported
}

// Config tunes a Deliverer. The zero value is ready for use.
type Config struct {
	// Schedule of the attempts; webhook.DefaultSchedule by default.
	Schedule webhook.Schedule
	// InFlight is how many attempts of one endpoint may run at a time; 4 by default.
	InFlight int
	// Claim is how long an attempt owns its delivery; it has to be longer than the client's timeout. By default
	// webhook.AttemptTimeout and 15 s.
	Claim time.Duration
}

// Deliverer makes attempts. It is safe for concurrent use.
type Deliverer struct {
	store    *store.Store
	queries  *db.Queries
	vault    Opener
	enqueuer Enqueuer
	client   *webhook.Client
	log      *slog.Logger
	attempts *prometheus.CounterVec
	schedule webhook.Schedule
	inFlight int
	claimFor time.Duration
}

// New returns a deliverer, or an error if its metrics cannot be registered.
func New(deps Deps, config Config) (*Deliverer, error) {
	d := &Deliverer{
		store: deps.Store, queries: deps.Store.Queries(), vault: deps.Vault, client: deps.Client, log: deps.Logger,
		enqueuer: NewEnqueuer(deps.Store, deps.Queue),
		attempts: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "wafleet_webhook_attempts_total", Help: "Webhook attempts by how they ended.",
		}, []string{"result"}),
		schedule: config.Schedule,
		inFlight: cmp.Or(config.InFlight, DefaultInFlight),
		claimFor: cmp.Or(config.Claim, webhook.AttemptTimeout+claimMargin),
	}
	if d.schedule.Attempts() == 0 {
		d.schedule = webhook.DefaultSchedule()
	}
	for _, result := range webhook.Results() {
		d.attempts.WithLabelValues(string(result)) // a rate needs a zero to start from
	}
	if deps.Metrics != nil {
		if err := deps.Metrics.Register(d.attempts); err != nil {
			return nil, fmt.Errorf("register webhook metrics: %w", err)
		}
	}
	return d, nil
}

// Handle does what one job asks for. nil means that the job may be deleted: the delivery was attempted, or needs nothing
// now. An error means that it is to come back: the database failed, or the job is unreadable (webhook.ErrBadJob),
// which the queue turns into a dead letter. When ctx ends, the attempt is broken off and given back.
func (d *Deliverer) Handle(ctx context.Context, body []byte) error {
	job, err := webhook.DecodeJob(body)
	if err != nil {
		return fmt.Errorf("read job: %w", err)
	}
	a, claimed, err := d.claim(ctx, job)
	if err != nil || !claimed {
		return err
	}
	signer, payload, err := d.prepare(ctx, a)
	if err != nil {
		return d.giveUp(ctx, a, err)
	}
	outcome := d.client.Post(ctx, a.endpoint.URL, signer, webhook.EventID(a.delivery.EventID), payload)
	if ctx.Err() != nil && outcome.Err != nil {
		// We hung up, not they. It may have arrived all the same: receivers fold by the id.
		return d.release(ctx, a, 0)
	}
	return d.settle(ctx, a, outcome)
}

// prepare reads what the attempt has to say and how to sign it.
func (d *Deliverer) prepare(ctx context.Context, a attempt) (*webhook.Signer, []byte, error) {
	signer, err := d.signer(ctx, a)
	if err != nil {
		return nil, nil, err
	}
	event, err := d.queries.GetEvent(ctx, d.store.Pool(), db.GetEventParams{
		CompanyID: a.delivery.CompanyID, Seq: a.delivery.EventSeq,
	})
	if err != nil {
		return nil, nil, fmt.Errorf("read event: %w", err)
	}
	data, err := d.vault.Open(ctx, event.CompanyID, store.EventContext(event.ID), event.Data)
	if err != nil {
		return nil, nil, fmt.Errorf("open event: %w", err)
	}
	payload, err := webhook.Payload{
		ID: webhook.EventID(event.ID), Type: event.Type, Timestamp: event.CreatedAt, CompanyID: event.CompanyID,
		Sequence: event.Seq, Data: data,
	}.Encode()
	if err != nil {
		return nil, nil, fmt.Errorf("encode event: %w", err)
	}
	return signer, payload, nil
}

func (d *Deliverer) signer(ctx context.Context, a attempt) (*webhook.Signer, error) {
	var secrets [2]webhook.Secret
	for i, sealed := range [][]byte{a.endpoint.Secret, a.endpoint.PreviousSecret} {
		if sealed == nil {
			continue
		}
		secret, err := d.vault.Open(ctx, a.delivery.CompanyID, webhook.SecretContext(a.endpoint.ID), sealed)
		if err != nil {
			return nil, fmt.Errorf("open webhook secret: %w", err)
		}
		secrets[i] = webhook.Secret(secret)
	}
	signer, err := webhook.NewSigner(secrets[0], secrets[1], a.endpoint.LegacySignature)
	if err != nil {
		return nil, fmt.Errorf("use webhook secret: %w", err)
	}
	return signer, nil
}

// giveUp settles an attempt that could not be prepared: for good if nothing will ever change that, else for a while.
func (d *Deliverer) giveUp(ctx context.Context, a attempt, cause error) error {
	for _, final := range []error{vault.ErrNoKey, vault.ErrCannotOpen, webhook.ErrInvalidSecret, pgx.ErrNoRows} {
		if errors.Is(cause, final) {
			d.log.With(a.fields()...).ErrorContext(ctx, "webhook.unreadable", "error", cause)
			return d.discard(ctx, a, "the event or the endpoint's secret cannot be read any more")
		}
	}
	d.log.With(a.fields()...).WarnContext(ctx, "webhook.postponed", "error", cause)
	return d.release(ctx, a, releasedFor)
}
