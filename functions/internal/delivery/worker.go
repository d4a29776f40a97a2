package delivery

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"wafleet/shared/queue"
)

const (
	// defaultConcurrency is how many attempts a process makes at a time. An attempt mostly waits, without a database
	// connection, so the number is high: it is how many endpoints may hang at once before others notice.
	defaultConcurrency = 64
	// deleteTimeout bounds the acknowledgement of a job.
	deleteTimeout = 5 * time.Second
	// minBackoff and maxBackoff are the waiting times while the queue does not answer.
	minBackoff, maxBackoff = 100 * time.Millisecond, 5 * time.Second
)

// errStarted says that a Worker was started twice.
var errStarted = errors.New("worker is already started")

// Receiver is the part of queue.Queue that a Worker needs.
type Receiver interface {
	Receive(ctx context.Context, queue string, most int, wait, visibility time.Duration) ([]queue.Received, error)
	Delete(ctx context.Context, queue string, handles []string) error
}

var _ Receiver = queue.Queue(nil)

// Handler does what a job asks for; *Deliverer is one.
type Handler interface {
	Handle(ctx context.Context, body []byte) error
}

var _ Handler = (*Deliverer)(nil)

// Worker takes jobs from the webhooks queue for as long as it runs, in a process that does not have a platform to do that.
type Worker struct {
	queue   Receiver
	handler Handler
	log     *slog.Logger
	slots   chan struct{} // one per attempt that may still begin; its capacity is the limit

	// mu guards what follows.
	mu         sync.Mutex
	stopFetch  context.CancelFunc // nil before Start
	cancelWork context.CancelFunc
	done       chan struct{}
}

// NewWorker returns a worker with so many attempts at a time; 0 means 64.
func NewWorker(q Receiver, handler Handler, log *slog.Logger, concurrency int) *Worker {
	w := &Worker{queue: q, handler: handler, log: log, slots: make(chan struct{}, cmp.Or(concurrency, defaultConcurrency))}
	for range cap(w.slots) {
		w.slots <- struct{}{}
	}
	return w
}

// Start begins to take jobs. ctx bounds nothing but the start; Stop ends the work.
func (w *Worker) Start(ctx context.Context) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.stopFetch != nil {
		return errStarted
	}
	base := context.WithoutCancel(ctx)
	fetchCtx, stopFetch := context.WithCancel(base)
	workCtx, cancelWork := context.WithCancel(base)
	w.stopFetch, w.cancelWork, w.done = stopFetch, cancelWork, make(chan struct{})
	go func() {
		defer close(w.done)
		w.loop(fetchCtx, workCtx)
	}()
	return nil
}

// Stop takes no new jobs and waits for the attempts in flight. When ctx ends first they are broken off and given back.
// It may be called again, and before Start.
func (w *Worker) Stop(ctx context.Context) error {
	w.mu.Lock()
	stopFetch, cancelWork, done := w.stopFetch, w.cancelWork, w.done
	w.mu.Unlock()
	if stopFetch == nil {
		return nil
	}
	stopFetch()
	select {
	case <-done:
	case <-ctx.Done():
		cancelWork()
		<-done // bounded: what is broken off has settleTimeout and deleteTimeout
	}
	cancelWork()
	return nil
}

func (w *Worker) loop(fetchCtx, workCtx context.Context) {
	var attempts sync.WaitGroup
	defer attempts.Wait()
	backoff := minBackoff
	for {
		room := w.reserve(fetchCtx)
		if room == 0 {
			return
		}
		jobs, err := w.queue.Receive(fetchCtx, queue.Webhooks, room, queue.MaxWait, 0)
		for range room - len(jobs) {
			w.slots <- struct{}{}
		}
		for _, job := range jobs { // also those that came although we were told to stop: they are ours
			attempts.Go(func() {
				defer func() { w.slots <- struct{}{} }()
				w.handle(workCtx, job)
			})
		}
		if err == nil || fetchCtx.Err() != nil {
			backoff = minBackoff
			continue
		}
		w.log.WarnContext(fetchCtx, "webhook.receive_failed", "error", err, "backoff_ms", backoff.Milliseconds())
		pause(fetchCtx, rand.N(backoff)) //nolint:gosec // jitter needs no secrecy
		backoff = min(2*backoff, maxBackoff)
	}
}

// reserve waits for a slot and takes up to as many as one receive can fill; 0 when ctx ends.
func (w *Worker) reserve(ctx context.Context) int {
	if ctx.Err() != nil {
		return 0
	}
	select {
	case <-w.slots:
	case <-ctx.Done():
		return 0
	}
	for n := 1; n < queue.MaxBatch; n++ {
		select {
		case <-w.slots:
		default:
			return n
		}
	}
	return queue.MaxBatch
}

func (w *Worker) handle(ctx context.Context, job queue.Received) {
	if err := w.handler.Handle(ctx, job.Body); err != nil {
		// Left in the queue: it comes back, and ends as a dead letter if it always fails.
		w.log.ErrorContext(ctx, "webhook.job_failed", "receives", job.Receives, "error", err)
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), deleteTimeout)
	defer cancel()
	if err := w.queue.Delete(ctx, queue.Webhooks, []string{job.Handle}); err != nil && !errors.Is(err, queue.ErrReceiptExpired) {
		w.log.WarnContext(ctx, "webhook.delete_failed", "error", err) // a duplicate then, which finds nothing to do
	}
}

// pause waits, or returns early when ctx ends.
func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
