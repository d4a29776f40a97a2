package batch

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"wafleet/shared/company"
	"wafleet/shared/queue"
)

// ErrBadJob says that a job cannot be read.
var ErrBadJob = errors.New("batch job is unreadable")

// Job says that a batch has something to be done about: recipients to be made messages, messages to be canceled. It holds
// nothing else, so that a job that is lost, late or doubled does no harm.
type Job struct {
	CompanyID string `json:"companyId"`
	BatchID   string `json:"batchId"`
}

// DecodeJob reads what Enqueue sent, or returns ErrBadJob.
func DecodeJob(b []byte) (Job, error) {
	var j Job
	if err := json.Unmarshal(b, &j); err != nil {
		return Job{}, fmt.Errorf("%w: %w", ErrBadJob, err)
	}
	if err := company.CheckID(j.CompanyID); err != nil {
		return Job{}, fmt.Errorf("%w: %w", ErrBadJob, err)
	}
	if j.BatchID == "" {
		return Job{}, fmt.Errorf("%w: batch is missing", ErrBadJob)
	}
	return j, nil
}

// Sender is the producer's side of a queue.
type Sender interface {
	Send(ctx context.Context, queue string, message queue.Message) error
}

// Enqueue sends a job. The company is its group, so that one with many batches does not starve the others.
func Enqueue(ctx context.Context, q Sender, job Job) error {
	m, err := job.message()
	if err != nil {
		return err
	}
	if err := q.Send(ctx, queue.Batches, m); err != nil {
		return fmt.Errorf("enqueue batch job: %w", err)
	}
	return nil
}

// ManySender sends several messages in one call.
type ManySender interface {
	SendBatch(ctx context.Context, queue string, messages []queue.Message) error
}

// EnqueueAll sends many jobs. The error joins what could not be sent.
func EnqueueAll(ctx context.Context, q ManySender, jobs []Job) error {
	var errs []error
	for some := range slices.Chunk(jobs, queue.MaxBatch) {
		messages := make([]queue.Message, 0, len(some))
		for _, job := range some {
			m, err := job.message()
			if err != nil {
				return err
			}
			messages = append(messages, m)
		}
		if err := q.SendBatch(ctx, queue.Batches, messages); err != nil {
			errs = append(errs, fmt.Errorf("enqueue batch jobs: %w", err))
		}
	}
	return errors.Join(errs...)
}

func (j Job) message() (queue.Message, error) {
	body, err := json.Marshal(j)
	if err != nil {
		return queue.Message{}, fmt.Errorf("encode batch job: %w", err)
	}
	return queue.Message{Group: j.CompanyID, Body: body}, nil
}
