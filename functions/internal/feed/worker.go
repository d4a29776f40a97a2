package feed

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"wafleet/shared/queue"
)

const (
	// deleteTimeout bounds the acknowledgement of a message.
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

// Handle does what a message of a queue asks for. After an error it has to come back.
type Handle func(ctx context.Context, body []byte) error

// Handlers are those of a feeder, by queue.
func (f *Feeder) Handlers() map[string]Handle {
	return map[string]Handle{queue.Batches: f.HandleJob, queue.Bulk: f.HandleBulk}
}

// Worker takes messages from queues, one at a time from each, in a process that does not have a platform to do that.
type Worker struct {
	queue    Receiver
	handlers map[string]Handle
	log      *slog.Logger

	// mu guards what follows.
	mu         sync.Mutex
	stopFetch  context.CancelFunc // nil before Start
	cancelWork context.CancelFunc
	loops      sync.WaitGroup
}

// NewWorker returns a worker that is not started yet.
func NewWorker(q Receiver, handlers map[string]Handle, log *slog.Logger) *Worker {
	return &Worker{queue: q, handlers: handlers, log: log}
}

// Start begins to take messages. ctx bounds nothing but the start; Stop ends the work.
func (w *Worker) Start(ctx context.Context) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.stopFetch != nil {
		return errStarted
	}
	base := context.WithoutCancel(ctx)
	fetchCtx, stopFetch := context.WithCancel(base)
	workCtx, cancelWork := context.WithCancel(base)
	w.stopFetch, w.cancelWork = stopFetch, cancelWork
	for name, handle := range w.handlers {
		w.loops.Go(func() { w.loop(fetchCtx, workCtx, name, handle) })
	}
	return nil
}

// Stop takes nothing new and waits for what is in hand. When ctx ends first that is broken off and comes back later. It may be
// called again, and before Start.
func (w *Worker) Stop(ctx context.Context) error {
	w.mu.Lock()
	stopFetch, cancelWork := w.stopFetch, w.cancelWork
	w.mu.Unlock()
	if stopFetch == nil {
		return nil
	}
	stopFetch()
	defer context.AfterFunc(ctx, cancelWork)()
	w.loops.Wait() // bounded: a transaction that is broken off ends, and then there is deleteTimeout
	cancelWork()
	return nil
}

func (w *Worker) loop(fetchCtx, workCtx context.Context, name string, handle Handle) {
	backoff := minBackoff
	for fetchCtx.Err() == nil {
		messages, err := w.queue.Receive(fetchCtx, name, 1, queue.MaxWait, 0)
		for _, m := range messages { // also one that came although we were told to stop: it is ours
			w.handle(workCtx, name, m, handle)
		}
		if err == nil || fetchCtx.Err() != nil {
			backoff = minBackoff
			continue
		}
		w.log.WarnContext(fetchCtx, "feed.receive_failed", "queue", name, "error", err, "backoff_ms", backoff.Milliseconds())
		pause(fetchCtx, rand.N(backoff)) //nolint:gosec // jitter needs no secrecy
		backoff = min(2*backoff, maxBackoff)
	}
}

func (w *Worker) handle(ctx context.Context, name string, m queue.Received, handle Handle) {
	if err := handle(ctx, m.Body); err != nil {
		// Left in the queue: it comes back, and ends as a dead letter if it always fails.
		w.log.ErrorContext(ctx, "feed.job_failed", "queue", name, "receives", m.Receives, "error", err)
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), deleteTimeout)
	defer cancel()
	if err := w.queue.Delete(ctx, name, []string{m.Handle}); err != nil && !errors.Is(err, queue.ErrReceiptExpired) {
		w.log.WarnContext(ctx, "feed.delete_failed", "queue", name, "error", err) // a duplicate then, which finds nothing to do
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
