package delivery

import (
	"context"
	"errors"
	"fmt"
	"time"

	"wafleet/shared/store"
	"wafleet/shared/store/db"
	"wafleet/shared/webhook"
)

// JobPatience is how long a job that was sent is trusted to be still in the queue, after its delay. Only then does the
// sweeper send another one.
const JobPatience = 5 * time.Minute

// Enqueuer sends jobs for deliveries that are marked as enqueued, and takes the mark back when that fails.
type Enqueuer struct {
	store *store.Store
	queue webhook.Sender
}

// NewEnqueuer returns an enqueuer.
func NewEnqueuer(s *store.Store, q webhook.Sender) Enqueuer { return Enqueuer{store: s, queue: q} }

// Enqueue sends the jobs, to be received after the delay. After an error some may have been sent; the sweeper will look
// at all of them.
func (e Enqueuer) Enqueue(ctx context.Context, delay time.Duration, jobs ...webhook.Job) error {
	if len(jobs) == 0 {
		return nil
	}
	sendErr := webhook.EnqueueJobs(ctx, e.queue, delay, jobs...)
	if sendErr == nil {
		return nil
	}
	marks := db.ForgetJobsParams{
		Companies: make([]string, len(jobs)), Ids: make([]string, len(jobs)), Created: make([]time.Time, len(jobs)),
	}
	for i, job := range jobs {
		marks.Companies[i], marks.Ids[i], marks.Created[i] = job.CompanyID, job.DeliveryID.String(), job.CreatedAt
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), settleTimeout)
	defer cancel()
	if err := e.store.Queries().ForgetJobs(ctx, e.store.Pool(), marks); err != nil {
		sendErr = errors.Join(sendErr, fmt.Errorf("take marks back: %w", err))
	}
	return sendErr
}
