package sweep

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"wafleet/functions/internal/delivery"
	"wafleet/shared/media"
	"wafleet/shared/store"
	"wafleet/shared/store/db"
	"wafleet/shared/webhook"
)

const (
	// notEnqueuedAge is how old an accepted message is when nobody can still be about to enqueue it.
	notEnqueuedAge = 15 * time.Minute
	// deliveryGrace is how long the fast path of a delivery is waited for.
	deliveryGrace = 5 * time.Second
	// defaultPage is how many rows one statement takes on.
	defaultPage = 500
	// partitionsEvery is how often the months to come are looked after, partitionsAhead how many there have to be.
	partitionsEvery = time.Hour
	partitionsAhead = 3
)

// What a sweep does, as the label of its metric.
const (
	labelNotEnqueued = "not_enqueued"
	labelExpired     = "expired"
	labelDeliveries  = "deliveries"
	labelSecrets     = "secrets"
	labelMedia       = "media"
)

// Deps is what a Sweeper works with.
type Deps struct {
	Store   *store.Store
	Queue   webhook.Sender
	Media   media.Store // nil: no files are kept
	Logger  *slog.Logger
	Metrics prometheus.Registerer // nil: not exported
}

// Config tunes a Sweeper. The zero value is ready for use.
type Config struct {
	// Page is how many rows one statement takes on; 500 by default.
	Page int
}

// Sweeper sweeps. It is safe for concurrent use.
type Sweeper struct {
	store    *store.Store
	queries  *db.Queries
	queue    webhook.Sender
	enqueuer delivery.Enqueuer
	log      *slog.Logger
	swept    *prometheus.CounterVec
	page     int
	media    media.Store

	// mu guards what follows.
	mu          sync.Mutex
	partitions  time.Time // when they were last looked after
	mediaLooked time.Time // when all unused files had been deleted
}

// New returns a sweeper, or an error if its metrics cannot be registered.
func New(deps Deps, config Config) (*Sweeper, error) {
	s := &Sweeper{
		store: deps.Store, queries: deps.Store.Queries(), queue: deps.Queue, media: deps.Media, log: deps.Logger,
		enqueuer: delivery.NewEnqueuer(deps.Store, deps.Queue),
		swept: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "wafleet_swept_total",
			Help: "What the sweeper found behind: messages not_enqueued and expired, webhook deliveries, old secrets, unused media.",
		}, []string{"what"}),
		page: cmp.Or(config.Page, defaultPage),
	}
	for _, label := range []string{labelNotEnqueued, labelExpired, labelDeliveries, labelSecrets, labelMedia} {
		s.swept.WithLabelValues(label) // a rate needs a zero to start from
	}
	if deps.Metrics != nil {
		if err := deps.Metrics.Register(s.swept); err != nil {
			return nil, fmt.Errorf("register sweep metrics: %w", err)
		}
	}
	return s, nil
}

// Run sweeps until nothing is left or ctx ends, which is no error: the next run goes on. The error joins what could not
// be done; one task does not keep the others from theirs.
func (s *Sweeper) Run(ctx context.Context) error {
	var errs []error
	for _, task := range []struct {
		name string
		do   func(context.Context) error
	}{
		{"ensure partitions", s.ensurePartitions},
		{"enqueue due deliveries", s.enqueueDue},
		{"fail messages that were not enqueued", s.failNotEnqueued},
		{"expire messages", s.expire},
		{"drop old secrets", s.dropOldSecrets},
		{"drop unused media", s.dropUnusedMedia},
	} {
		if ctx.Err() != nil {
			break
		}
		if err := task.do(ctx); err != nil && ctx.Err() == nil {
			errs = append(errs, fmt.Errorf("%s: %w", task.name, err))
		}
	}
	return errors.Join(errs...)
}

func (s *Sweeper) ensurePartitions(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if time.Since(s.partitions) < partitionsEvery {
		return nil
	}
	if err := s.queries.EnsurePartitions(ctx, s.store.Pool(), partitionsAhead); err != nil {
		return fmt.Errorf("create: %w", err)
	}
	s.partitions = time.Now()
	return nil
}

// enqueueDue sends jobs for deliveries whose own were lost, or that were too far away for the queue.
func (s *Sweeper) enqueueDue(ctx context.Context) error {
	for ctx.Err() == nil {
		rows, err := s.queries.EnqueueDueDeliveries(ctx, s.store.Pool(), db.EnqueueDueDeliveriesParams{
			Hold: delivery.JobPatience.Seconds(), Grace: deliveryGrace.Seconds(), PageSize: s.page,
		})
		if err != nil {
			return fmt.Errorf("mark: %w", err)
		}
		if err := s.enqueuer.Enqueue(ctx, 0, webhook.Jobs(rows)...); err != nil {
			return fmt.Errorf("send: %w", err)
		}
		s.swept.WithLabelValues(labelDeliveries).Add(float64(len(rows)))
		if len(rows) < s.page {
			break
		}
	}
	return nil
}

func (s *Sweeper) dropOldSecrets(ctx context.Context) error {
	n, err := s.queries.DropOldSecrets(ctx, s.store.Pool())
	if err != nil {
		return fmt.Errorf("update endpoints: %w", err)
	}
	s.swept.WithLabelValues(labelSecrets).Add(float64(n))
	return nil
}
