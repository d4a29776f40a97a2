package delivery_test

import (
	"context"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"wafleet/shared/store/db"
	"wafleet/shared/webhook"
	"wafleet/shared/webhook/webhooktest"
)

// fail lets deliveries of one endpoint fail until it counts as failing, and returns them.
func (b *bundle) fail(t *testing.T, receiver *webhooktest.Receiver, times int) []webhook.Job {
	t.Helper()
	receiver.Answer(webhooktest.Answer{Status: http.StatusInternalServerError})
	jobs := b.events(t, times)
	b.handle(t, jobs...)
	b.queue.take(t, time.Hour)
	return jobs
}

// An endpoint that hangs holds its four places and nothing else; the rest of its deliveries waits without a worker.
func TestHangingEndpointHoldsFourPlaces(t *testing.T) {
	t.Parallel()
	b := newBundle(t, options{conns: 10})
	hanging, healthy := webhooktest.New(t), webhooktest.New(t)
	hanging.Answer(webhooktest.Answer{Hang: true})
	b.endpoint(t, hanging.URL, webhook.MessageSent)
	jobs := b.events(t, 10)

	var wg sync.WaitGroup
	for _, job := range jobs[:4] {
		body := encode(t, job)
		wg.Go(func() { _ = b.deliverer.Handle(context.WithoutCancel(t.Context()), body) })
	}
	hanging.Await(t, 4)
	b.handle(t, jobs[4:]...) // returns at once: there is no place
	require.Len(t, hanging.Requests(), 4)
	for _, job := range jobs[4:] {
		row := b.row(t, job)
		require.True(t, row.Parked)
		require.Zero(t, row.Attempts)
		require.Zero(t, row.Skipped, "waiting for a place is no step of the schedule")
	}

	b.exec(t, `UPDATE webhook_endpoints SET events = '{webhook.disabled}'`)
	b.endpoint(t, healthy.URL)
	b.handle(t, b.events(t, 1)...)
	require.Len(t, healthy.Requests(), 1, "others are served meanwhile")

	hanging.Release()
	wg.Wait()
	b.handleAll(t, b.queue.take(t, 0)...) // each finished attempt calls one of those that wait
	for _, job := range jobs {
		require.Equal(t, "delivered", b.row(t, job).State)
	}
	require.Len(t, hanging.Requests(), 10)
	require.Equal(t, 4, hanging.MostOpen())
}

// The limit holds over processes, because claims queue up on the endpoint's row.
func TestPlacesAreSharedByAllProcesses(t *testing.T) {
	t.Parallel()
	b := newBundle(t, options{conns: 6})
	receiver := webhooktest.New(t)
	receiver.Answer(webhooktest.Answer{Hang: true})
	b.endpoint(t, receiver.URL)
	jobs := b.events(t, 24)
	other, _ := b.another(t)
	var wg sync.WaitGroup
	for i, job := range jobs {
		body, deliverer := encode(t, job), b.deliverer
		if i%2 == 0 {
			deliverer = other
		}
		wg.Go(func() { _ = deliverer.Handle(context.WithoutCancel(t.Context()), body) })
	}
	receiver.Await(t, 4)
	require.Eventually(t, func() bool {
		var parked int
		err := b.pool.QueryRow(t.Context(), `SELECT count(*) FROM webhook_deliveries WHERE parked`).Scan(&parked)
		return err == nil && parked == 20
	}, 20*time.Second, 10*time.Millisecond)
	require.Equal(t, 4, receiver.MostOpen())
	receiver.Release()
	wg.Wait()
}

// Why the lock: a claim that another process has not committed yet is invisible, but takes its place all the same.
func TestClaimWaitsForTheOneBeforeIt(t *testing.T) {
	t.Parallel()
	b := newBundle(t, options{inFlight: 1})
	receiver := webhooktest.New(t)
	b.endpoint(t, receiver.URL)
	jobs, queries := b.events(t, 2), b.store.Queries()
	done := make(chan error, 1)
	require.NoError(t, b.store.InTx(t.Context(), func(tx pgx.Tx) error {
		_, err := queries.LockEndpointOfDelivery(t.Context(), tx, db.LockEndpointOfDeliveryParams{
			CompanyID: company, ID: jobs[0].DeliveryID, CreatedAt: jobs[0].CreatedAt,
		})
		require.NoError(t, err)
		_, err = queries.ClaimDelivery(t.Context(), tx, db.ClaimDeliveryParams{
			CompanyID: company, ID: jobs[0].DeliveryID, CreatedAt: jobs[0].CreatedAt, Hold: 60, InFlight: 1,
		})
		require.NoError(t, err)

		body := encode(t, jobs[1])
		go func() { done <- b.deliverer.Handle(context.WithoutCancel(t.Context()), body) }()
		require.Eventually(t, func() bool {
			var waiting bool
			err := b.pool.QueryRow(t.Context(), `SELECT EXISTS (SELECT 1 FROM pg_stat_activity
				WHERE datname = current_database() AND wait_event_type = 'Lock')`).Scan(&waiting)
			return err == nil && waiting
		}, 20*time.Second, 5*time.Millisecond, "the second claim goes ahead")
		return nil
	}))
	require.NoError(t, <-done)
	require.Empty(t, receiver.Requests())
	require.True(t, b.row(t, jobs[1]).Parked)
}

func TestFailingEndpointIsOnlyProbed(t *testing.T) {
	t.Parallel()
	b := newBundle(t, options{schedule: "0,2m,1h,2h,3h,4h,5h"})
	receiver := webhooktest.New(t)
	id, _ := b.endpoint(t, receiver.URL)
	failed := b.fail(t, receiver, 4)
	require.Nil(t, b.endpointRow(t, id).ProbeAt, "four may be one restart")
	failed = append(failed, b.fail(t, receiver, 1)...)
	endpoint := b.endpointRow(t, id)
	require.Equal(t, 5, endpoint.Failures)
	require.NotNil(t, endpoint.FailingSince)
	require.InDelta(t, (5 * time.Minute).Seconds(), time.Until(*endpoint.ProbeAt).Seconds(), 5, "long steps are cut short for probes")

	// Whatever falls due now is skipped: its schedule goes on, its attempts do not.
	fresh := b.events(t, 3)
	b.due(t, failed...)
	b.handle(t, append(fresh, failed...)...)
	require.Len(t, receiver.Requests(), 5)
	row := b.row(t, fresh[0])
	require.Equal(t, []any{0, 1, true, "pending"}, []any{row.Attempts, row.Skipped, row.Parked, row.State})
	require.InDelta(t, 126, time.Until(row.NextAttemptAt).Seconds(), 10)
	row = b.row(t, failed[0])
	require.Equal(t, []any{1, 1, true}, []any{row.Attempts, row.Skipped, row.Parked})

	// One probe per step, however many are due.
	b.probeDue(t, id)
	b.due(t, append(fresh, failed...)...)
	b.handle(t, append(fresh, failed...)...)
	require.Len(t, receiver.Requests(), 6)
	require.Equal(t, 6, b.endpointRow(t, id).Failures)

	// It is well again: the probe succeeds and calls back four, each of which calls the next.
	receiver.Answer(webhooktest.Answer{})
	b.probeDue(t, id)
	b.due(t, fresh[1])
	b.handle(t, fresh[1])
	called := b.queue.take(t, 0)
	require.Len(t, called, 4)
	b.handleAll(t, called...)
	for _, job := range append(fresh, failed...) {
		require.Equal(t, "delivered", b.row(t, job).State)
	}
	require.Len(t, receiver.Requests(), 6+8)
	endpoint = b.endpointRow(t, id)
	require.Zero(t, endpoint.Failures)
	require.Nil(t, endpoint.FailingSince)
	require.Nil(t, endpoint.ProbeAt)
}

// While a probe hangs nobody else tries.
func TestProbeIsAlone(t *testing.T) {
	t.Parallel()
	b := newBundle(t, options{schedule: "0,1s,1s,1s,1s,1s", conns: 8})
	receiver := webhooktest.New(t)
	id, _ := b.endpoint(t, receiver.URL)
	jobs := b.fail(t, receiver, 5)
	receiver.Answer(webhooktest.Answer{Hang: true})
	b.probeDue(t, id)
	b.due(t, jobs...)
	body, done := encode(t, jobs[0]), make(chan error, 1)
	go func() { done <- b.deliverer.Handle(context.WithoutCancel(t.Context()), body) }()
	receiver.Await(t, 6)
	b.handle(t, jobs[1:]...)
	require.Len(t, receiver.Requests(), 6)
	receiver.Release()
	require.NoError(t, <-done)
}

// A delivery is never given up on the word of probes alone.
func TestLastStepIsAlwaysTried(t *testing.T) {
	t.Parallel()
	b := newBundle(t, options{schedule: "0,1h,1h"})
	receiver := webhooktest.New(t)
	b.endpoint(t, receiver.URL)
	b.fail(t, receiver, 5)
	job := b.events(t, 1)[0]
	for range 2 {
		b.due(t, job)
		b.handle(t, job)
	}
	require.Len(t, receiver.Requests(), 5)
	require.Equal(t, "pending", b.row(t, job).State)
	b.due(t, job)
	b.handle(t, job)
	require.Len(t, receiver.Requests(), 6)
	row := b.row(t, job)
	require.Equal(t, []any{"dead", 1, 2}, []any{row.State, row.Attempts, row.Skipped})
}

// A lone delivery with short steps must not be slowed down by its own failures.
func TestProbeKeepsUpWithTheSchedule(t *testing.T) {
	t.Parallel()
	b := newBundle(t, options{schedule: "0,1s,1s,1s,1s,1s,1s,1s"})
	receiver := webhooktest.New(t)
	id, _ := b.endpoint(t, receiver.URL)
	receiver.Answer(webhooktest.Answer{Status: http.StatusBadGateway})
	job := b.events(t, 1)[0]
	for range 8 {
		if probe := b.endpointRow(t, id).ProbeAt; probe != nil {
			require.False(t, b.row(t, job).NextAttemptAt.Before(*probe), "due before its endpoint may be tried")
			b.probeDue(t, id)
		}
		b.due(t, job)
		b.handle(t, job)
	}
	require.Len(t, receiver.Requests(), 8)
	require.Equal(t, "dead", b.row(t, job).State)
}

// Random interleavings of duplicate jobs, failures, expired claims and two processes: whatever happens, an event whose
// delivery is recorded as delivered was answered 2xx, all are in the end, and no request follows on the record.
func TestRandomInterleavings(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	random := rand.New(rand.NewPCG(seed, 1))
	b := newBundle(t, options{schedule: "0" + strings.Repeat(",1s", 99), conns: 8})
	receiver := webhooktest.New(t)
	id, _ := b.endpoint(t, receiver.URL)
	other, _ := b.another(t)
	jobs := b.events(t, 8)
	answers := make([]webhooktest.Answer, 60)
	for i := range answers {
		answers[i].Status = []int{204, 500, 429, 302, 404}[random.IntN(5)]
	}
	receiver.Answer(append(answers, webhooktest.Answer{})...)
	delivered := map[string]int{} // requests seen when first found delivered
	for round := 0; len(delivered) < len(jobs); round++ {
		require.Less(t, round, 200, "seed %d", seed)
		var wg sync.WaitGroup
		for _, job := range jobs {
			for range 1 + random.IntN(3) {
				deliverer, body := b.deliverer, encode(t, job)
				if random.IntN(2) == 0 {
					deliverer = other
				}
				wg.Go(func() { _ = deliverer.Handle(t.Context(), body) })
			}
		}
		if random.IntN(4) == 0 {
			b.exec(t, `UPDATE webhook_deliveries SET claimed_until = now() - interval '1 second' WHERE claimed_until IS NOT NULL`)
		}
		wg.Wait()
		seen := map[string]int{}
		for _, event := range webhooktest.IDs(receiver.Requests()) {
			seen[event]++
		}
		for _, job := range jobs {
			row := b.row(t, job)
			event := webhook.EventID(row.EventID)
			if row.State == "delivered" {
				if before, known := delivered[event]; known {
					require.Equal(t, before, seen[event], "sent again after it was delivered, seed %d", seed)
				}
				delivered[event] = seen[event]
			}
			require.NotEqual(t, "dead", row.State, "seed %d", seed)
		}
		b.probeDue(t, id)
		b.due(t, jobs...)
	}
}
