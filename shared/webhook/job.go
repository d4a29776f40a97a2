package webhook

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"

	"wafleet/shared/company"
	"wafleet/shared/queue"
)

// ErrBadJob says that a queued job cannot be read.
var ErrBadJob = errors.New("webhook job is unreadable")

// Job names one delivery that is due. It holds no content: the truth about a delivery is its row.
type Job struct {
	CompanyID  string    `json:"companyId"`
	DeliveryID uuid.UUID `json:"deliveryId"`
	CreatedAt  time.Time `json:"createdAt"` // of the delivery: with it the row is found in one partition
}

// DecodeJob reads what EnqueueJobs sent, or returns ErrBadJob.
func DecodeJob(b []byte) (Job, error) {
	var j Job
	if err := json.Unmarshal(b, &j); err != nil {
		return Job{}, fmt.Errorf("%w: %w", ErrBadJob, err)
	}
	if err := company.CheckID(j.CompanyID); err != nil {
		return Job{}, fmt.Errorf("%w: %w", ErrBadJob, err)
	}
	if j.DeliveryID == uuid.Nil || j.CreatedAt.IsZero() {
		return Job{}, fmt.Errorf("%w: delivery is missing", ErrBadJob)
	}
	return j, nil
}

// Sender is the part of queue.Queue that jobs need.
type Sender interface {
	SendBatch(ctx context.Context, queue string, messages []queue.Message) error
}

var _ Sender = queue.Queue(nil)

// EnqueueJobs sends jobs to the webhooks queue, to be received after the delay (at most queue.MaxDelay). Each company is
// a group of its own, so that one with many does not starve the others. The error joins what could not be sent.
func EnqueueJobs(ctx context.Context, q Sender, delay time.Duration, jobs ...Job) error {
	var errs []error
	for batch := range slices.Chunk(jobs, queue.MaxBatch) {
		messages := make([]queue.Message, 0, len(batch))
		for _, job := range batch {
			body, err := json.Marshal(job)
			if err != nil {
				return fmt.Errorf("encode webhook job: %w", err)
			}
			messages = append(messages, queue.Message{Group: job.CompanyID, Delay: delay, Body: body})
		}
		if err := q.SendBatch(ctx, queue.Webhooks, messages); err != nil {
			errs = append(errs, fmt.Errorf("enqueue webhook jobs: %w", err))
		}
	}
	return errors.Join(errs...)
}

// delivery is what store.Delivery looks like. Naming that type here would make every receiver that verifies webhooks
// with this package link the database as well.
type delivery = struct {
	ID        uuid.UUID
	CompanyID string
	CreatedAt time.Time
}

// EnqueueDeliveries is the fast path for whoever wrote an event: after the commit it sends a job for each delivery that
// store.AppendEvent returned. It is best effort. What gets lost is found by the sweeper seconds later, so a caller logs
// the error and goes on.
func EnqueueDeliveries[D ~delivery](ctx context.Context, q Sender, deliveries []D) error {
	return EnqueueJobs(ctx, q, 0, Jobs(deliveries)...)
}

// Jobs returns the job of each delivery.
func Jobs[D ~delivery](deliveries []D) []Job {
	jobs := make([]Job, len(deliveries))
	for i, d := range deliveries {
		key := delivery(d)
		jobs[i] = Job{CompanyID: key.CompanyID, DeliveryID: key.ID, CreatedAt: key.CreatedAt.UTC()}
	}
	return jobs
}
