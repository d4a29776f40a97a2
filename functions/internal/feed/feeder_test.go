package feed_test

import (
	"context"
	"errors"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"wafleet/functions/internal/batch"
	"wafleet/shared/message"
	"wafleet/shared/queue"
	"wafleet/shared/store/db"
)

func TestAJobMakesMessagesOfABatch(t *testing.T) {
	t.Parallel()
	b := setup(t)
	id := b.create(t, company, 1203)
	require.NoError(t, b.feeder.HandleJob(t.Context(), b.job(t, company, id)))

	require.Equal(t, 1203, b.count(t, `SELECT count(*) FROM messages WHERE status = 'queued' AND lane = 1 AND enqueued_at IS NOT NULL`))
	require.Equal(t, 1, b.count(t, `SELECT count(*) FROM batches WHERE fed_at IS NOT NULL AND status = 'running'`))
	require.Zero(t, b.count(t, `SELECT count(*) FROM batch_chunks`))
	require.Equal(t, 2, b.nudges.count(), "at the first messages and at the last")
	require.Equal(t, 1203, b.metric(t, "wafleet_batch_rows_total", "queued"))

	row, err := b.store.Queries().GetOutgoing(t.Context(), b.pool, db.GetOutgoingParams{CompanyID: company, MessageID: b.ids.ForRow(company, id, 777)})
	require.NoError(t, err)
	require.Equal(t, "79000000777", row.Phone)
	text, err := b.vault.Open(t.Context(), company, message.BodyContext(row.MessageID), row.Body)
	require.NoError(t, err)
	require.JSONEq(t, `{"type":"text","text":"Hi nr 777"}`, string(text))

	// The job comes again.
	require.NoError(t, b.feeder.HandleJob(t.Context(), b.job(t, company, id)))
	require.Equal(t, 1203, b.count(t, `SELECT count(*) FROM messages`))
}

// A worker that dies in the middle of a chunk leaves what the next one needs, and nothing twice.
func TestAJobGoesOnAfterACrash(t *testing.T) {
	t.Parallel()
	b := setup(t)
	id := b.create(t, company, 1203)
	for n := range 40 {
		ctx, crash := context.WithCancel(t.Context())
		err := b.feederCrashingAfter(t, 1+n*61, crash).HandleJob(ctx, b.job(t, company, id))
		crash()
		if err == nil {
			break
		}
		require.ErrorIs(t, err, context.Canceled)
		require.Equal(t, 1203, b.count(t, `SELECT (SELECT count(*) FROM messages) + coalesce(sum(CASE first_row WHEN 1001 THEN 203 ELSE 500 END), 0)::int FROM batch_chunks`),
			"each recipient is in one place")
	}
	require.Equal(t, 1203, b.count(t, `SELECT count(DISTINCT phone) FROM messages`))
	require.Equal(t, 1203, b.count(t, `SELECT count(*) FROM messages`))
	require.Equal(t, 1, b.count(t, `SELECT count(*) FROM batches WHERE fed_at IS NOT NULL`))
}

func TestDoubledJobsShareTheWork(t *testing.T) {
	t.Parallel()
	b := setup(t)
	id := b.create(t, company, 3000)
	var jobs sync.WaitGroup
	errs := make([]error, 3)
	for i := range errs {
		jobs.Go(func() { errs[i] = b.feeder.HandleJob(t.Context(), b.job(t, company, id)) })
	}
	jobs.Wait()
	require.NoError(t, errors.Join(errs...))
	require.Equal(t, 3000, b.count(t, `SELECT count(*) FROM messages`))
	require.Equal(t, 1, b.count(t, `SELECT count(*) FROM batches WHERE fed_at IS NOT NULL`))
}

func TestACanceledBatchIsFedAndCanceled(t *testing.T) {
	t.Parallel()
	b := setup(t)
	id := b.create(t, company, 1203)
	b.cancel(t, id)
	require.NoError(t, b.feeder.HandleJob(t.Context(), b.job(t, company, id)))
	require.Equal(t, 1203, b.count(t, `SELECT count(*) FROM messages WHERE status = 'canceled'`))
	require.Equal(t, 1203, b.count(t, `SELECT count(DISTINCT seq) FROM events WHERE type = 'message.canceled'`))
	require.Equal(t, 1203, b.metric(t, "wafleet_batch_rows_total", "canceled"))
}

func TestJobsThatHaveNothingToDo(t *testing.T) {
	t.Parallel()
	b := setup(t)
	require.NoError(t, b.feeder.HandleJob(t.Context(), b.job(t, company, "bat_none")))
	id := b.create(t, company, 3)
	b.exec(t, `DELETE FROM companies`)
	require.NoError(t, b.feeder.HandleJob(t.Context(), b.job(t, company, id)), "its company is gone")
	require.ErrorIs(t, b.feeder.HandleJob(t.Context(), []byte(`{"x":1}`)), batch.ErrBadJob)
}

// From the call to messages of all batches, by the worker that a process without a platform has.
func TestWorkerTakesFromBothQueues(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.company(t, "other")
	b.start(t)
	b.create(t, company, 700)
	b.create(t, "other", 3)
	require.NoError(t, b.queue.Send(t.Context(), queue.Bulk, queue.Message{Body: []byte(bulk("k1", 5))}))
	b.await(t, 708, `SELECT count(*) FROM messages WHERE status = 'queued'`)
	b.await(t, 0, `SELECT count(*) FROM queue_standard`)
}

func TestSuppressedRecipientsAreRefused(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for _, address := range []string{"79000000002", "79000000004"} {
		_, err := b.store.Queries().AddSuppression(t.Context(), b.pool, db.AddSuppressionParams{CompanyID: company, Address: address})
		require.NoError(t, err)
	}
	id := b.create(t, company, 5)
	require.NoError(t, b.feeder.HandleJob(t.Context(), b.job(t, company, id)))
	require.Equal(t, 3, b.count(t, `SELECT count(*) FROM messages`))
	require.Equal(t, 2, b.count(t, `SELECT count(*) FROM batch_invalid WHERE code = 'RECIPIENT_SUPPRESSED' AND batch_row IN (2, 4)`))
	require.Equal(t, 3, b.count(t, `SELECT accepted FROM batches`))
}
