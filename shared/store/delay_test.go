package store_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// All that batches have due is put off, however much it is; nothing else is touched.
func TestDelayBatches(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	const rows = 2500 // several statements
	f.exec(t, `INSERT INTO messages (company_id, phone, message_id, direction, status, shard, kind, chat, body, lane)
		SELECT $1, '79001234567', 'row-' || n, 'outgoing', 'queued', 0, 'text', n::text, 'body', 1 FROM generate_series(1, $2::int) AS n`, company, rows)
	f.exec(t, `INSERT INTO messages (company_id, phone, message_id, direction, status, shard, kind, chat, body, lane, due_at) VALUES
		($1, '1', 'interactive', 'outgoing', 'queued', 0, 'text', '1', 'body', 0, now()),
		($1, '1', 'later', 'outgoing', 'queued', 0, 'text', '1', 'body', 1, now() + interval '1 hour'),
		($1, '1', 'canceled', 'outgoing', 'canceled', 0, 'text', '1', 'body', 1, now())`, company)
	until := time.Now().Add(12 * time.Hour).Truncate(time.Second)
	delayed, err := f.DelayBatches(t.Context(), f.fence, company, until, "working_hours")
	require.NoError(t, err)
	require.EqualValues(t, rows, delayed)
	require.Equal(t, rows, f.count(t, `SELECT count(*) FROM messages WHERE due_at > now() + interval '11 hours' AND reason = 'working_hours'
		AND message_id LIKE 'row-%' AND trace -> -1 ->> 'reason' = 'working_hours'`))
	require.Equal(t, 3, f.count(t, `SELECT count(*) FROM messages WHERE reason = ''`))
	delayed, err = f.DelayBatches(t.Context(), f.fence, company, until, "working_hours")
	require.NoError(t, err)
	require.Zero(t, delayed, "nothing is put off twice")
}
