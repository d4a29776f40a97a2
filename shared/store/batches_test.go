package store_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"wafleet/shared/message"
	"wafleet/shared/store"
	"wafleet/shared/store/db"
	"wafleet/shared/store/pgtest"
)

// errCrash ends a transaction as a crash would.
var errCrash = errors.New("crash")

// newBatch is a batch of so many valid rows, in chunks of chunk.
func newBatch(id string, rows, chunk int) store.NewBatch {
	n := store.NewBatch{
		CompanyID: company, BatchID: id, Kind: message.Text, BodyHash: make([]byte, 32), Template: []byte("template"), TTL: time.Hour, Total: rows,
	}
	for first := 1; first <= rows; first += chunk {
		numbers := []int{}
		for row := first; row < first+chunk && row <= rows; row++ {
			numbers = append(numbers, row)
		}
		text, _ := json.Marshal(numbers) // numbers can always be encoded
		n.Chunks = append(n.Chunks, store.BatchChunk{FirstRow: first, Rows: len(numbers), Recipients: text})
	}
	return n
}

// rowsOf makes a message to a number of its own of each row.
func rowsOf(batchID string) store.ReadRows {
	return func(text []byte, _ func([]string) ([]string, error)) (rows []store.BatchRow, refused []store.InvalidRow, err error) {
		var numbers []int
		if err := json.Unmarshal(text, &numbers); err != nil {
			return nil, nil, fmt.Errorf("decode: %w", err)
		}
		for _, n := range numbers {
			rows = append(rows, store.BatchRow{
				Row: n, MessageID: fmt.Sprintf("%s-%05d", batchID, n), Phone: fmt.Sprintf("7900%07d", n), Content: []byte("content"),
			})
		}
		return rows, nil, nil
	}
}

// batch creates a batch and makes messages of all its rows.
func (f *fixture) batch(t *testing.T, id string, rows int) db.Batch {
	t.Helper()
	b, err := f.CreateBatch(t.Context(), newBatch(id, rows, 500))
	require.NoError(t, err)
	f.feed(t, b)
	return b
}

func (f *fixture) feed(t *testing.T, b db.Batch) {
	t.Helper()
	for more := true; more; {
		var err error
		more, err = f.FeedBatch(t.Context(), b, rowsOf(b.BatchID))
		require.NoError(t, err)
	}
	fed, err := f.Queries().MarkFed(t.Context(), f.pool, db.MarkFedParams{CompanyID: company, Batch: b.ID})
	require.NoError(t, err)
	require.EqualValues(t, 1, fed)
}

func (f *fixture) pause(t *testing.T, b db.Batch) {
	t.Helper()
	rows, err := f.Queries().PauseBatch(t.Context(), f.pool, db.PauseBatchParams{CompanyID: company, BatchID: b.BatchID})
	require.NoError(t, err)
	require.EqualValues(t, 1, rows)
}

func (f *fixture) peek(t *testing.T) (ids []string) {
	t.Helper()
	page, err := f.Queries().PeekOutbox(t.Context(), f.pool, db.PeekOutboxParams{CompanyID: company, PageSize: 4})
	require.NoError(t, err)
	for _, row := range page {
		ids = append(ids, row.MessageID)
	}
	return ids
}

func TestRowsOfABatchWaitBehindSingleMessages(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.batch(t, "bat_a", 3)
	f.batch(t, "bat_b", 3)
	f.put(t, outgoing{id: "late", status: "queued", lane: 1})
	f.put(t, outgoing{id: "single", status: "queued"})
	require.Equal(t, []string{"single", "bat_a-00001", "bat_a-00002", "bat_a-00003"}, f.peek(t))

	// The chat of an undecided message is held, for rows as for others.
	f.put(t, outgoing{id: "undecided", status: "unconfirmed", chat: "79000000001"})
	require.Equal(t, []string{"single", "bat_a-00002", "bat_a-00003", "bat_b-00002"}, f.peek(t))
}

func TestAPauseHoldsEveryRow(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	b := f.batch(t, "bat_a", 3)
	require.NoError(t, f.Begin(t.Context(), f.fence, attempt("bat_a-00001")))
	f.pause(t, b)
	require.Empty(t, f.peek(t))

	// Also for a sender that has looked before.
	require.ErrorIs(t, f.Begin(t.Context(), f.fence, attempt("bat_a-00002")), store.ErrNotMoved)
	next := attempt("bat_a-00002")
	begun, _, err := f.Advance(t.Context(), f.fence, store.Move{CompanyID: company, MessageID: "bat_a-00001", To: message.Sent}, store.Subject{}, &next)
	require.NoError(t, err)
	require.False(t, begun)
	require.Equal(t, message.Sent, f.status(t, "bat_a-00001"), "what had begun is finished")

	rows, err := f.Queries().ResumeBatch(t.Context(), f.pool, db.ResumeBatchParams{CompanyID: company, BatchID: "bat_a"})
	require.NoError(t, err)
	require.EqualValues(t, 1, rows)
	require.Equal(t, []string{"bat_a-00002", "bat_a-00003"}, f.peek(t))
	require.NoError(t, f.Begin(t.Context(), f.fence, attempt("bat_a-00002")))
	b, err = f.Queries().GetBatch(t.Context(), f.pool, db.GetBatchParams{CompanyID: company, BatchID: "bat_a"})
	require.NoError(t, err)
	require.EqualValues(t, 1, b.EndedBefore, "its pace is measured from here")
}

// Producers of many small batches wait for nobody to say that the first ones are over.
func TestManySmallBatches(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for n := range 20 {
		f.batch(t, fmt.Sprintf("bat_%02d", n), 1)
	}
	f.exec(t, `UPDATE messages SET status = 'sent' WHERE message_id < 'bat_18'`)
	require.Equal(t, []string{"bat_18-00001", "bat_19-00001"}, f.peek(t))
}

// A claim that is under way is waited for: none is committed after the answer.
func TestAPauseWaitsForClaimsUnderWay(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	b := f.batch(t, "bat_a", 3)
	tx, err := f.pool.Begin(t.Context())
	require.NoError(t, err)
	defer func() { require.NoError(t, tx.Rollback(context.WithoutCancel(t.Context()))) }()
	claim := func(id string) int64 {
		a := attempt(id)
		rows, err := f.Queries().BeginSending(t.Context(), tx, db.BeginSendingParams{
			CompanyID: company, MessageID: id, Incarnation: a.Incarnation, Wire: a.Wire, Shard: f.fence.Shard, Term: f.fence.Term,
		})
		require.NoError(t, err)
		return rows
	}
	require.EqualValues(t, 1, claim("bat_a-00001"))
	pause := func(timeout string) error {
		return f.InTx(t.Context(), func(tx pgx.Tx) error {
			if _, err := tx.Exec(t.Context(), "SET LOCAL lock_timeout = "+timeout); err != nil {
				return err
			}
			_, err := f.Queries().PauseBatch(t.Context(), tx, db.PauseBatchParams{CompanyID: company, BatchID: b.BatchID})
			return err
		})
	}
	require.ErrorContains(t, pause("50"), "lock timeout")
	// What else changes about the batch does not wait.
	require.NoError(t, f.Queries().RefuseRows(t.Context(), f.pool, db.RefuseRowsParams{CompanyID: company, Batch: b.ID}))
	require.NoError(t, tx.Commit(t.Context()))
	tx, err = f.pool.Begin(t.Context())
	require.NoError(t, err)
	require.NoError(t, pause("5000"))
	require.Zero(t, claim("bat_a-00002"))
}

// A transaction that is rolled back, as by a crash, leaves the recipients where they were; one that is repeated folds.
func TestFeedingSurvivesACrash(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	b, err := f.CreateBatch(t.Context(), newBatch("bat_a", 10, 3))
	require.NoError(t, err)
	more, err := f.FeedBatch(t.Context(), b, rowsOf("bat_a"))
	require.NoError(t, err)
	require.True(t, more)
	_, err = f.FeedBatch(t.Context(), b, func([]byte, func([]string) ([]string, error)) ([]store.BatchRow, []store.InvalidRow, error) {
		return nil, nil, errCrash
	})
	require.ErrorIs(t, err, errCrash)
	fed, err := f.Queries().MarkFed(t.Context(), f.pool, db.MarkFedParams{CompanyID: company, Batch: b.ID})
	require.NoError(t, err)
	require.Zero(t, fed, "recipients are left")

	// The chunk that was made messages is back, as after a restore of one table.
	f.exec(t, `INSERT INTO batch_chunks SELECT company_id, batch, first_row - 3, recipients FROM batch_chunks WHERE first_row = 4`)
	f.exec(t, `DELETE FROM batch_chunks WHERE first_row = 1`)
	f.feed(t, b)
	require.Equal(t, 10, f.count(t, `SELECT count(DISTINCT (message_id, batch_row)) FROM messages WHERE batch IS NOT NULL`))
	require.Equal(t, 10, f.count(t, `SELECT count(*) FROM messages WHERE batch IS NOT NULL`))
	require.Zero(t, f.count(t, `SELECT count(*) FROM batch_chunks`))

	row := f.message(t, "bat_a-00007")
	require.Equal(t, []any{"queued", 1, "79000000007", "79000000007"}, []any{row.Status, row.Lane, row.Phone, row.Chat})
	require.NotNil(t, row.ExpiresAt)
	body, err := f.vault.Open(t.Context(), company, message.BodyContext(row.MessageID), row.Body)
	require.NoError(t, err)
	require.Equal(t, "content", string(body))
}

func TestRowsThatAreRefusedLate(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	n := newBatch("bat_a", 3, 500)
	n.Total, n.Invalid = 4, []store.InvalidRow{{Row: 4, Code: "VALIDATION_ERROR", Message: "to"}}
	b, err := f.CreateBatch(t.Context(), n)
	require.NoError(t, err)
	require.Equal(t, 3, b.Accepted)
	_, err = f.FeedBatch(t.Context(), b, func(text []byte, _ func([]string) ([]string, error)) ([]store.BatchRow, []store.InvalidRow, error) {
		rows, _, err := rowsOf("bat_a")(text, nil)
		return rows[1:], []store.InvalidRow{{Row: 1, Code: "RECIPIENT_SUPPRESSED", Message: "wants nothing"}}, err
	})
	require.NoError(t, err)
	b, err = f.Queries().GetBatch(t.Context(), f.pool, db.GetBatchParams{CompanyID: company, BatchID: "bat_a"})
	require.NoError(t, err)
	require.Equal(t, 2, b.Accepted)
	refused, err := f.Queries().ListInvalidRows(t.Context(), f.pool, db.ListInvalidRowsParams{CompanyID: company, Batch: b.ID, PageSize: 10})
	require.NoError(t, err)
	require.Equal(t, []db.ListInvalidRowsRow{{BatchRow: 1, Code: "RECIPIENT_SUPPRESSED", Message: "wants nothing"}, {BatchRow: 4, Code: "VALIDATION_ERROR", Message: "to"}}, refused)
}

func TestABatchKeyIsTakenOnce(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	n := newBatch("bat_a", 1, 1)
	n.KeyHash = make([]byte, 32)
	_, err := f.CreateBatch(t.Context(), n)
	require.NoError(t, err)
	before := f.contents(t)
	n.BatchID = "bat_b"
	_, err = f.CreateBatch(t.Context(), n)
	require.ErrorIs(t, err, store.ErrBatchExists)
	n.CompanyID = "nobody"
	_, err = f.CreateBatch(t.Context(), n)
	require.ErrorIs(t, err, store.ErrNoCompany)
	require.Equal(t, before, f.contents(t))

	f.createCompany(t, "other")
	n.CompanyID = "other"
	_, err = f.CreateBatch(t.Context(), n)
	require.NoError(t, err, "keys of companies are their own")
}

// What is canceled is told message by message; that the batch is over is told once, whoever finds out.
func TestCancelInStepsAndEnd(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.endpoint(t, company, "wh_all")
	b := f.batch(t, "bat_a", 7)
	require.NoError(t, f.Begin(t.Context(), f.fence, attempt("bat_a-00001")))
	rows, err := f.Queries().CancelBatch(t.Context(), f.pool, db.CancelBatchParams{CompanyID: company, BatchID: "bat_a"})
	require.NoError(t, err)
	require.EqualValues(t, 1, rows)
	require.Empty(t, f.peek(t), "at once")

	for _, want := range []int{4, 2, 0} {
		canceled, deliveries, err := f.CancelBatchRows(t.Context(), b, 4)
		require.NoError(t, err)
		require.Equal(t, want, canceled)
		require.Len(t, deliveries, want)
	}
	facts := f.events(t, company, 0)
	require.Len(t, facts, 6)
	for i, fact := range facts {
		require.EqualValues(t, i+1, fact.seq)
		require.Equal(t, "message.canceled", fact.kind)
		require.Equal(t, fmt.Sprintf("bat_a-%05d", i+2), fact.data["messageId"])
		require.Equal(t, "batch_canceled", fact.data["reason"])
	}
	require.Equal(t, "batch_canceled", lastTrace(t, f.message(t, "bat_a-00007"))["reason"])

	_, err = f.EndBatch(t.Context(), company, b.ID)
	require.ErrorIs(t, err, store.ErrNotMoved, "one is on its way")
	_, _, err = f.Advance(t.Context(), f.fence, store.Move{CompanyID: company, MessageID: "bat_a-00001", To: message.Sent}, store.Subject{}, nil)
	require.NoError(t, err)
	ended, err := f.Queries().ListEndedBatches(t.Context(), f.pool, db.ListEndedBatchesParams{PageSize: 10})
	require.NoError(t, err)
	require.Len(t, ended, 1)
	deliveries, err := f.EndBatch(t.Context(), company, b.ID)
	require.NoError(t, err)
	require.Len(t, deliveries, 1)
	_, err = f.EndBatch(t.Context(), company, b.ID)
	require.ErrorIs(t, err, store.ErrNotMoved)

	end := f.events(t, company, 7)
	require.Len(t, end, 1)
	require.Equal(t, "batch.completed", end[0].kind)
	require.Equal(t, "canceled", end[0].data["status"])
	require.Equal(t, map[string]any{"sent": 1.0, "canceled": 6.0}, end[0].data["counts"])
}

func TestResultsByStatus(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	b := f.batch(t, "bat_a", 6)
	f.exec(t, `UPDATE messages SET status = 'sent', sent_at = now() WHERE batch_row IN (2, 4, 5)`)
	f.exec(t, `UPDATE messages SET status = 'failed', reason = 'refused' WHERE batch_row = 3`)
	list := func(after, size int, statuses ...string) (found []int) {
		rows, err := f.Queries().ListRows(t.Context(), f.pool, db.ListRowsParams{CompanyID: company, Batch: b.ID, Statuses: statuses, After: after, PageSize: size})
		require.NoError(t, err)
		for _, row := range rows {
			found = append(found, row.BatchRow)
		}
		return found
	}
	require.Equal(t, []int{1, 2, 3, 4}, list(0, 4, "queued", "sent", "failed"))
	require.Equal(t, []int{5, 6}, list(4, 4, "queued", "sent", "failed"))
	require.Equal(t, []int{4, 5}, list(2, 9, "sent"))
	require.Empty(t, list(0, 9, "canceled"))
	counts, err := f.Queries().CountRows(t.Context(), f.pool, db.CountRowsParams{CompanyID: company, Batch: b.ID})
	require.NoError(t, err)
	require.ElementsMatch(t, []db.CountRowsRow{{Status: "queued", Messages: 2}, {Status: "sent", Messages: 3}, {Status: "failed", Messages: 1}}, counts)
}

// A batch without a job gets one; one that somebody works on, or that has nothing to be done, gets none.
func TestIdleBatchesAreFound(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	idle := func() (found []string) {
		rows, err := f.Queries().ClaimIdleBatches(t.Context(), f.pool, db.ClaimIdleBatchesParams{JobPatience: 60, PageSize: 10})
		require.NoError(t, err)
		for _, row := range rows {
			found = append(found, row.BatchID)
		}
		return found
	}
	forget := func() { f.exec(t, `UPDATE batches SET job_until = now() - interval '1 second'`) }
	b, err := f.CreateBatch(t.Context(), newBatch("bat_a", 3, 500))
	require.NoError(t, err)
	require.Empty(t, idle(), "its job is on its way")
	forget()
	require.Equal(t, []string{"bat_a"}, idle())
	require.Empty(t, idle(), "there is one now")
	f.feed(t, b)
	forget()
	require.Empty(t, idle(), "nothing is to be done")
	_, err = f.Queries().CancelBatch(t.Context(), f.pool, db.CancelBatchParams{CompanyID: company, BatchID: "bat_a"})
	require.NoError(t, err)
	forget()
	require.Equal(t, []string{"bat_a"}, idle(), "rows are to be canceled")
}

// What it costs to look at the outbox must not depend on how much a paused batch has waiting or a running one is to send later,
// nor on what has been sent, whenever the plans were made.
func TestPlansSurviveBatches(t *testing.T) {
	t.Parallel()
	const rows, few = 10_000, 60
	for name, prepare := range map[string]string{"from_new_tables": "SELECT", "from_analyzed_tables": "ANALYZE"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t, pgtest.MaxConns(1))
			require.NoError(t, store.Migrate(t.Context(), f.pool.Config().ConnString())) // the role's settings are not copied with a database
			f.pool.Reset()
			for n := range 12 { // a plan is kept from the sixth time on
				id := fmt.Sprintf("bat_early_%d", n)
				f.batchLife(t, f.batch(t, id, 4), nil)
				f.exec(t, `UPDATE messages SET status = 'read' WHERE batch IS NOT NULL`)
				_, err := f.EndBatch(t.Context(), company, int64(n+1))
				require.NoError(t, err)
				if n == 0 {
					f.exec(t, prepare)
				}
			}
			f.pause(t, f.batch(t, "bat_paused", rows))
			delayed := f.batch(t, "bat_delayed", rows) // as by working hours
			f.exec(t, `UPDATE messages SET due_at = now() + interval '1 hour' WHERE batch = $1`, delayed.ID)
			running := f.batch(t, "bat_running", rows)
			f.exec(t, `UPDATE messages SET status = 'sent' WHERE batch = $1 AND batch_row <= 9000`, running.ID)
			f.batchLife(t, running, func(step string, read int64) { require.LessOrEqual(t, read, int64(few), step) })
		})
	}
}

// batchLife does what is done while a batch is under way, and tells how many rows each step has read.
func (f *fixture) batchLife(t *testing.T, b db.Batch, tell func(step string, read int64)) {
	t.Helper()
	ctx, q := t.Context(), f.Queries()
	var first string
	for _, step := range []struct {
		name string
		do   func() error
	}{
		{"peek", func() error {
			page, err := q.PeekOutbox(ctx, f.pool, db.PeekOutboxParams{CompanyID: company, PageSize: 16})
			require.NotEmpty(t, page)
			first = page[0].MessageID
			require.Contains(t, first, b.BatchID)
			return err
		}},
		{"begin", func() error { return f.Begin(ctx, f.fence, attempt(first)) }},
		{"sent", func() error {
			_, _, err := f.Advance(ctx, f.fence, store.Move{CompanyID: company, MessageID: first, To: message.Sent}, store.Subject{}, nil)
			return err
		}},
		{"companies of shard", func() error {
			rows, err := q.ListCompaniesOfShard(ctx, f.pool, 0)
			require.True(t, rows[0].Due)
			return err
		}},
		{"page of results", func() error {
			page, err := q.ListRows(ctx, f.pool, db.ListRowsParams{
				CompanyID: company, Batch: b.ID, Statuses: []string{"sent", "failed"}, PageSize: 10,
			})
			require.NotEmpty(t, page)
			return err
		}},
		{"ended batches", func() error {
			_, err := q.ListEndedBatches(ctx, f.pool, db.ListEndedBatchesParams{PageSize: 10})
			return err
		}},
		{"idle batches", func() error {
			_, err := q.ClaimIdleBatches(ctx, f.pool, db.ClaimIdleBatchesParams{PageSize: 10})
			return err
		}},
	} {
		before := f.rowsRead(t)
		require.NoError(t, step.do(), step.name)
		if tell != nil {
			tell(step.name, f.rowsRead(t)-before)
		}
	}
}
