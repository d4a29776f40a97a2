package pgqueue

import (
	"strconv"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"wafleet/shared/queue"
	"wafleet/shared/queue/pgqueue/sqlcgen"
	"wafleet/shared/queue/queuetest"
	"wafleet/shared/store/pgtest"
)

// reads is what a transaction has read of a table.
type reads struct{ sequential, indexed int64 }

// readSoFar returns what this connection has read of the tables and not reported yet.
func readSoFar(t *testing.T, tx pgx.Tx) reads {
	t.Helper()
	var r reads
	require.NoError(t, tx.QueryRow(t.Context(), `SELECT sum(seq_tup_read), sum(idx_tup_fetch) FROM pg_stat_xact_user_tables
		WHERE relname IN ('queue_fifo', 'queue_fifo_groups', 'queue_standard')`).Scan(&r.sequential, &r.indexed))
	return r
}

// reading runs a call in a transaction and returns what that read of the tables.
func reading(t *testing.T, q *Queue, call func(sql *sqlcgen.Queries) error) reads {
	t.Helper()
	tx, sql := begin(t, q)
	before := readSoFar(t, tx)
	require.NoError(t, call(sql))
	after := readSoFar(t, tx)
	require.NoError(t, tx.Commit(t.Context()))
	return reads{after.sequential - before.sequential, after.indexed - before.indexed}
}

// Neither a backlog of one group nor the number of groups makes a call cost more. Counted in rows read, because time
// depends on the machine.
func TestBacklog(t *testing.T) {
	t.Parallel()
	for name, prepare := range map[string]string{
		"plans_from_new_tables":      "SELECT",
		"plans_from_emptied_tables":  "VACUUM (ANALYZE) queue_fifo, queue_fifo_groups, queue_fifo_dedup",
		"plans_from_analyzed_tables": "ANALYZE",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			backlog(t, prepare)
		})
	}
}

// backlog builds one up behind the back of a connection that has made its plans after the statement prepare.
func backlog(t *testing.T, prepare string) {
	t.Helper()
	const (
		waiting = 100_000
		groups  = 5_000
		few     = 200
	)
	q := start(t, queuetest.Definitions(), Config{LookEvery: rarely}, pgtest.MaxConns(1))
	var received []queue.Received
	calls := []struct {
		name string
		call func(sql *sqlcgen.Queries) error
	}{
		{"receive", func(sql *sqlcgen.Queries) (err error) {
			received, err = claimFIFO(t.Context(), sql, q.definitions[jobs], queue.MaxBatch, time.Minute, true)
			return err
		}},
		{"extend", func(sql *sqlcgen.Queries) error {
			hs := parseHandles(handlesOf(received))
			_, err := sql.ExtendFIFO(t.Context(), sqlcgen.ExtendFIFOParams{Queue: jobs, Ids: hs.ids, Counts: hs.counts, VisibilitySeconds: 90})
			return err
		}},
		{"delete", func(sql *sqlcgen.Queries) error {
			hs := parseHandles(handlesOf(received))
			_, err := sql.DeleteFIFO(t.Context(), sqlcgen.DeleteFIFOParams{Queue: jobs, Ids: hs.ids, Counts: hs.counts})
			return err
		}},
	}
	_, err := q.pool.Exec(t.Context(), prepare)
	require.NoError(t, err)
	// Plans are made, on the one connection, and kept while the tables are as good as empty, which is when Postgres likes to
	// read them from end to end.
	for n := range 10 {
		send(t, q, "early", strconv.Itoa(n))
		for _, c := range calls {
			reading(t, q, c.call)
		}
	}
	_, err = q.pool.Exec(t.Context(), `INSERT INTO queue_fifo_groups (queue, group_id, free_at)
		SELECT $1, 'g' || n, now() FROM generate_series(0, $2::int) AS n`, jobs, groups)
	require.NoError(t, err)
	_, err = q.pool.Exec(t.Context(), `INSERT INTO queue_fifo (queue, group_id, group_number, dedup_id, sent_at, body)
		SELECT g.queue, g.group_id, g.number, n::text, now(), 'x' FROM generate_series(1, $2::int + $3::int) AS n
		JOIN queue_fifo_groups g ON g.queue = $1 AND g.group_id = 'g' || greatest(0, n - $2::int)`, jobs, waiting, groups)
	require.NoError(t, err)

	for range 10 {
		for _, c := range calls {
			r := reading(t, q, c.call)
			require.Len(t, received, queue.MaxBatch)
			require.Zero(t, r.sequential, c.name)
			require.Less(t, r.indexed, int64(few), c.name)
		}
	}
}

func handlesOf(received []queue.Received) []string {
	handles := make([]string, len(received))
	for i, r := range received {
		handles[i] = r.Handle
	}
	return handles
}

// Messages that are delayed or in flight do not make a receive from a standard queue cost more.
func TestBacklogOfDelayed(t *testing.T) {
	t.Parallel()
	const (
		delayed = 100_000
		few     = 200
	)
	q := start(t, queuetest.Definitions(), Config{LookEvery: rarely}, pgtest.MaxConns(1))
	cycle := func() {
		require.NoError(t, q.Send(t.Context(), work, queue.Message{Body: []byte("now")}))
		var received []queue.Received
		r := reading(t, q, func(sql *sqlcgen.Queries) (err error) {
			if received, err = claimStandard(t.Context(), sql, q.definitions[work], queue.MaxBatch, time.Minute, true); err != nil {
				return err
			}
			hs := parseHandles(handlesOf(received))
			if _, err = sql.ExtendStandard(t.Context(), sqlcgen.ExtendStandardParams{Queue: work, Ids: hs.ids, Counts: hs.counts, VisibilitySeconds: 90}); err != nil {
				return err
			}
			_, err = sql.DeleteStandard(t.Context(), sqlcgen.DeleteStandardParams{Queue: work, Ids: hs.ids, Counts: hs.counts})
			return err
		})
		require.Equal(t, []string{"now"}, bodies(received))
		require.Zero(t, r.sequential)
		require.Less(t, r.indexed, int64(few))
	}
	for range 10 {
		cycle()
	}
	_, err := q.pool.Exec(t.Context(), `INSERT INTO queue_standard (queue, visible_at, sent_at, body)
		SELECT $1, now() + interval '10 minutes', now(), 'later' FROM generate_series(1, $2)`, work, delayed)
	require.NoError(t, err)
	for range 10 {
		cycle()
	}
}
