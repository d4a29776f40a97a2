package delivery_test

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"wafleet/shared/queue"
	"wafleet/shared/webhook/webhooktest"
)

// Many copies of every job at once, more than the endpoint has places for: nothing is lost, and once a delivery is
// delivered, not one more request speaks of it.
func TestDuplicateJobsDeliverOnce(t *testing.T) {
	t.Parallel()
	const events, copies = 12, 6
	b := newBundle(t, options{conns: 10})
	receiver := webhooktest.New(t)
	b.endpoint(t, receiver.URL)
	jobs := b.events(t, events)
	var wg sync.WaitGroup
	errs := make(chan error, events*copies)
	for range copies {
		for _, job := range jobs {
			body := encode(t, job)
			wg.Go(func() { errs <- b.deliverer.Handle(t.Context(), body) })
		}
	}
	wg.Wait()
	close(errs)
	for err := range errs {
		require.NoError(t, err)
	}
	b.handleAll(t, b.queue.take(t, 0)...) // what was parked and called
	for _, job := range jobs {
		b.due(t, job) // parked, and not yet called
		b.handle(t, job)
		require.Equal(t, "delivered", b.row(t, job).State)
	}
	require.Len(t, receiver.Requests(), events)
	require.LessOrEqual(t, receiver.MostOpen(), 4)
	b.handle(t, jobs...)
	require.Len(t, receiver.Requests(), events, "delivered is delivered")
}

// A process that dies between the POST and the settling leaves a claim behind. When the claim has run out, the
// delivery goes out again under the same id.
func TestCrashBetweenPostAndSettling(t *testing.T) {
	t.Parallel()
	b := newBundle(t, options{})
	receiver := webhooktest.New(t)
	receiver.Answer(webhooktest.Answer{Hang: true})
	b.endpoint(t, receiver.URL)
	job := b.event(t, struct{}{})[0]

	// The process that dies has lost its database by the time the answer comes.
	crashing, pool := b.another(t)
	body, done := encode(t, job), make(chan error, 1)
	go func() { done <- crashing.Handle(context.WithoutCancel(t.Context()), body) }()
	receiver.Await(t, 1)
	pool.Close()
	receiver.Release()
	require.Error(t, <-done, "the job must come back")
	require.Equal(t, "pending", b.row(t, job).State)

	receiver.Answer(webhooktest.Answer{})
	b.handle(t, job)
	require.Len(t, receiver.Requests(), 1, "as long as the claim lasts, nobody else tries")
	b.exec(t, `UPDATE webhook_deliveries SET claimed_until = now() - interval '1 second'`)
	b.handle(t, job)
	ids := webhooktest.IDs(receiver.Await(t, 2))
	require.Equal(t, ids[0], ids[1])
	row := b.row(t, job)
	require.Equal(t, "delivered", row.State)
	require.Equal(t, 2, row.Attempts)
}

// An attempt that was overtaken must not undo what a later one achieved; but a 2xx it heard is true.
func TestLateOutcomes(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		late  int
		state string
	}{
		"a late failure":  {http.StatusInternalServerError, "delivered"},
		"a late delivery": {http.StatusOK, "delivered"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBundle(t, options{})
			receiver := webhooktest.New(t)
			receiver.Answer(webhooktest.Answer{Hang: true, Status: c.late}, webhooktest.Answer{Status: http.StatusOK})
			b.endpoint(t, receiver.URL)
			job := b.event(t, struct{}{})[0]
			body, done := encode(t, job), make(chan error, 1)
			go func() { done <- b.deliverer.Handle(context.WithoutCancel(t.Context()), body) }()
			receiver.Await(t, 1)
			b.exec(t, `UPDATE webhook_deliveries SET claimed_until = now() - interval '1 second'`)
			b.handle(t, job)
			finished := b.row(t, job)
			require.Equal(t, "delivered", finished.State)
			receiver.Release()
			require.NoError(t, <-done)
			require.Equal(t, c.state, b.row(t, job).State)
			require.Equal(t, finished.DeliveredAt, b.row(t, job).DeliveredAt)
		})
	}
}

// The claim ran out and somebody else holds the delivery: the failure of the earlier attempt is not written over it.
func TestFailureAfterLosingTheClaim(t *testing.T) {
	t.Parallel()
	for name, schedule := range map[string]string{"more steps": "0,5s", "last step": "0"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBundle(t, options{schedule: schedule})
			receiver := webhooktest.New(t)
			receiver.Answer(webhooktest.Answer{Hang: true, Status: http.StatusInternalServerError})
			b.endpoint(t, receiver.URL)
			job := b.event(t, struct{}{})[0]
			body, done := encode(t, job), make(chan error, 1)
			go func() { done <- b.deliverer.Handle(context.WithoutCancel(t.Context()), body) }()
			receiver.Await(t, 1)
			b.exec(t, `UPDATE webhook_deliveries SET attempts = 2, claimed_until = now() + interval '1 hour'`)
			held := b.row(t, job)
			receiver.Release()
			require.NoError(t, <-done)
			require.Equal(t, held, b.row(t, job))
			require.Empty(t, b.queue.take(t, time.Hour), "it is not ours to try again")
			require.Equal(t, "overtaken", b.logs.lines(t, "webhook.attempted")[0]["verdict"])
		})
	}
}

func TestInterruptedAttemptIsGivenBack(t *testing.T) {
	t.Parallel()
	b := newBundle(t, options{})
	receiver := webhooktest.New(t)
	receiver.Answer(webhooktest.Answer{Hang: true})
	id, _ := b.endpoint(t, receiver.URL)
	job := b.event(t, struct{}{})[0]
	ctx, cancel := context.WithCancel(t.Context())
	body, done := encode(t, job), make(chan error, 1)
	go func() { done <- b.deliverer.Handle(ctx, body) }()
	receiver.Await(t, 1)
	cancel()
	require.NoError(t, <-done)
	row := b.row(t, job)
	require.Equal(t, "pending", row.State)
	require.Nil(t, row.ClaimedUntil)
	require.Zero(t, row.Attempts, "our own stop is not the endpoint's failure")
	require.Zero(t, b.endpointRow(t, id).Failures)

	receiver.Answer(webhooktest.Answer{})
	b.handle(t, job)
	require.Equal(t, "delivered", b.row(t, job).State)
}

func TestQueueThatRefusesLeavesTheRetryToTheSweeper(t *testing.T) {
	t.Parallel()
	b := newBundle(t, options{schedule: "0,5s"})
	receiver := webhooktest.New(t)
	receiver.Answer(webhooktest.Answer{Status: 500})
	b.endpoint(t, receiver.URL)
	job := b.event(t, struct{}{})[0]
	b.queue.refuse = errors.Join(queue.ErrUnavailable)
	b.handle(t, job)
	row := b.row(t, job)
	require.Nil(t, row.EnqueuedUntil, "nobody speaks for it, so the sweeper must")
	require.Equal(t, "pending", row.State)
	require.Len(t, b.logs.lines(t, "webhook.left_to_sweep"), 1)
}
