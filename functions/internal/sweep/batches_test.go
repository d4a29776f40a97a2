package sweep_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"wafleet/functions/internal/batch"
	"wafleet/shared/message"
	"wafleet/shared/store"
	"wafleet/shared/store/db"
)

// batch stores a batch of one row, which is fed if so, and forgets its job.
func (b *bundle) batch(t *testing.T, id string, fed bool) db.Batch {
	t.Helper()
	row, err := b.store.CreateBatch(t.Context(), store.NewBatch{
		CompanyID: company, BatchID: id, Kind: message.Text, BodyHash: make([]byte, 32), Template: []byte("{}"), TTL: time.Hour, Total: 1,
		Chunks: []store.BatchChunk{{FirstRow: 1, Rows: 1, Recipients: []byte("[]")}},
	})
	require.NoError(t, err)
	b.exec(t, `UPDATE batches SET job_until = now() - interval '1 second' WHERE batch_id = $1`, id)
	if !fed {
		return row
	}
	_, err = b.store.FeedBatch(t.Context(), row, func([]byte, func([]string) ([]string, error)) ([]store.BatchRow, []store.InvalidRow, error) {
		return []store.BatchRow{{Row: 1, MessageID: "row of " + id, Phone: "79001234567", Content: []byte("content")}}, nil, nil
	})
	require.NoError(t, err)
	_, err = b.store.Queries().MarkFed(t.Context(), b.pool, db.MarkFedParams{CompanyID: company, Batch: row.ID})
	require.NoError(t, err)
	return row
}

// jobs are the batches that jobs were sent for.
func (q *outgoing) jobs(t *testing.T) (ids []string) {
	t.Helper()
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, m := range q.sent {
		job, err := batch.DecodeJob(m.Body)
		require.NoError(t, err)
		ids = append(ids, job.BatchID)
	}
	q.sent = nil
	return ids
}

func TestBatchesWithoutAJobGetOne(t *testing.T) {
	t.Parallel()
	b := newBundle(t, 2) // pages
	for _, id := range []string{"bat_1", "bat_2", "bat_3", "bat_4", "bat_5"} {
		b.batch(t, id, false)
	}
	b.batch(t, "bat_fed", true)
	b.exec(t, `UPDATE messages SET status = 'queued'`)
	b.run(t)
	require.ElementsMatch(t, []string{"bat_1", "bat_2", "bat_3", "bat_4", "bat_5"}, b.queue.jobs(t))
	b.run(t)
	require.Empty(t, b.queue.jobs(t), "those are on their way")

	// What is canceled has to be told row by row.
	b.exec(t, `UPDATE batches SET status = 'canceled', job_until = NULL WHERE batch_id = 'bat_fed'`)
	b.run(t)
	require.Equal(t, []string{"bat_fed"}, b.queue.jobs(t))
	require.Equal(t, 6, b.swept(t)["batches"])
}

func TestTheEndOfABatchIsToldOnce(t *testing.T) {
	t.Parallel()
	b := newBundle(t, 2)
	for _, id := range []string{"bat_1", "bat_2", "bat_3", "bat_4"} {
		b.batch(t, id, true)
	}
	b.batch(t, "bat_unfed", false)
	open := "bat_4"
	for _, status := range []string{"delivered", "failed", "expired", "sent"} {
		b.exec(t, `UPDATE messages SET status = $1 WHERE message_id = 'row of bat_' || array_position('{delivered,failed,expired,sent}'::text[], $1::text)`, status)
	}
	b.exec(t, `UPDATE messages SET status = 'unconfirmed' WHERE message_id = 'row of ' || $1::text`, open)
	ends := func() map[string]string {
		rows, err := b.store.Queries().ListEvents(t.Context(), b.pool, db.ListEventsParams{CompanyID: company, PageSize: 100})
		require.NoError(t, err)
		found := map[string]string{}
		for _, row := range rows {
			text, err := b.vault.Open(t.Context(), company, store.EventContext(row.ID), row.Data)
			require.NoError(t, err)
			var end message.BatchEnd
			require.NoError(t, json.Unmarshal(text, &end))
			require.Equal(t, "batch.completed", row.Type)
			require.NotContains(t, found, end.BatchID)
			found[end.BatchID] = end.Status
		}
		return found
	}
	for range 2 {
		b.run(t)
		require.Equal(t, map[string]string{"bat_1": "completed", "bat_2": "completed", "bat_3": "completed"}, ends())
	}
	b.exec(t, `UPDATE messages SET status = 'sent' WHERE message_id = 'row of ' || $1::text`, open)
	b.run(t)
	require.Len(t, ends(), 4)
	require.Equal(t, 4, b.swept(t)["batch_ends"])
}
