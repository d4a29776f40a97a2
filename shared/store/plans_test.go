package store_test

import (
	"fmt"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"wafleet/shared/message"
	"wafleet/shared/store"
	"wafleet/shared/store/db"
	"wafleet/shared/store/pgtest"
)

// rowsRead is how many rows the test's database has read of the tables that every message goes through.
func (f *fixture) rowsRead(t *testing.T) (read int64) {
	t.Helper()
	f.exec(t, `SELECT pg_stat_force_next_flush()`)
	require.NoError(t, f.pool.QueryRow(t.Context(), `SELECT coalesce(sum(seq_tup_read + coalesce(idx_tup_fetch, 0)), 0)::bigint
		FROM pg_stat_user_tables WHERE relname IN ('messages', 'company_seq', 'webhook_deliveries', 'suppressions', 'received_media')`).Scan(&read))
	return read
}

// Postgres makes a plan for each connection and keeps it, often from a time when the tables are nearly empty and
// reading all of it, or of an index that happens to hold nothing yet, looks as good as anything. What a message costs
// must not depend on that: not with a long history, and not with a company that has been offline for a week.
func TestPlansSurviveABacklog(t *testing.T) {
	t.Parallel()
	for name, prepare := range map[string]string{
		"from_new_tables":      "SELECT",
		"from_analyzed_tables": "ANALYZE",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t, pgtest.MaxConns(1))
			require.NoError(t, store.Migrate(t.Context(), f.pool.Config().ConnString())) // the role's settings are not copied with a database
			f.pool.Reset()
			f.plansSurvive(t, prepare)
		})
	}
}

func (f *fixture) plansSurvive(t *testing.T, prepare string) {
	t.Helper()
	const (
		backlog = 10_000
		few     = 60 // a page, and versions of the same row
	)
	for n := range 12 { // a plan is kept from the sixth time on
		f.life(t, fmt.Sprintf("early-%d", n), nil)
		if n == 0 {
			f.exec(t, prepare)
		}
	}
	f.exec(t, `INSERT INTO messages (company_id, phone, message_id, direction, status, shard, kind, chat, body, wire, lane, due_at)
		SELECT $1, '79001234567', 'history-' || n, 'outgoing', 'read', 0, 'text', n::text, 'body', 'wire', 0, now()
		FROM generate_series(1, $2::int) AS n`, company, backlog)
	f.exec(t, `INSERT INTO messages (company_id, phone, message_id, direction, status, shard, kind, chat, body, lane, due_at)
		SELECT $1, '79001234567', 'waiting-' || n, 'outgoing', 'queued', 0, 'text', n::text, 'body', 1, now()
		FROM generate_series(1, $2::int) AS n`, company, backlog)
	f.exec(t, `INSERT INTO suppressions (company_id, address, person, source)
		SELECT $1, n::text, n::text, 'api' FROM generate_series(1, $2::int) AS n`, company, backlog)
	f.life(t, "late", func(step string, read int64) {
		require.LessOrEqual(t, read, int64(few), step)
	})
}

// life takes a message through all that happens to it, and tells how many rows each step has read.
func (f *fixture) life(t *testing.T, id string, tell func(step string, read int64)) {
	t.Helper()
	ctx, q, hash, ttl := t.Context(), f.Queries(), make([]byte, 32), 3600.0
	incarnation := uuid.New()
	attempt := store.Attempt{CompanyID: company, MessageID: id, Incarnation: incarnation, Wire: []byte("wire")}
	move := func(to message.Status) error {
		_, err := f.Move(ctx, f.fence, store.Move{CompanyID: company, MessageID: id, To: to})
		return err
	}
	for _, step := range []struct {
		name string
		do   func() error
	}{
		{"prepare send", func() error {
			_, err := q.PrepareSend(ctx, f.pool, db.PrepareSendParams{CompanyID: company, MessageID: id, Recipient: "79001234567"})
			return err
		}},
		{"accept", func() error {
			_, err := q.AcceptMessage(ctx, f.pool, db.AcceptMessageParams{
				CompanyID: company, Phone: "79001234567", MessageID: id, Kind: "text", Chat: "chat of " + id, BodyHash: hash, Ttl: &ttl,
			})
			return err
		}},
		{"mark enqueued", func() error {
			return q.MarkEnqueued(ctx, f.pool, db.MarkEnqueuedParams{CompanyID: company, MessageID: id})
		}},
		{"queue", func() error {
			queued, err := f.QueueAll(ctx, []db.QueueMessageParams{{CompanyID: company, MessageID: id, Body: []byte("body"), HostID: "host-a"}})
			require.Len(t, queued, 1)
			return err
		}},
		{"list due companies", func() error {
			due, err := q.ListDueCompanies(ctx, f.pool, []int{0, 1})
			require.Equal(t, []string{company}, due)
			return err
		}},
		{"peek", func() error {
			page, err := q.PeekOutbox(ctx, f.pool, db.PeekOutboxParams{CompanyID: company, PageSize: 16})
			require.Equal(t, id, page[0].MessageID)
			return err
		}},
		{"begin", func() error { return f.Begin(ctx, f.fence, attempt) }},
		{"doubt", func() error { return move(message.Unconfirmed) }},
		{"list unconfirmed", func() error {
			rows, err := q.ListUnconfirmed(ctx, f.pool, company)
			require.Len(t, rows, 1)
			return err
		}},
		{"resume", func() error { return f.Resume(ctx, f.fence, attempt) }},
		{"doubt stale", func() error {
			_, err := f.DoubtStale(ctx, f.fence, company, incarnation)
			return err
		}},
		{"sent", func() error { return move(message.Sent) }},
		{"wire", func() error {
			_, err := q.GetWire(ctx, f.pool, db.GetWireParams{CompanyID: company, MessageID: id})
			return err
		}},
		{"delivered", func() error { return move(message.Delivered) }},
		{"get", func() error {
			_, err := q.GetMessage(ctx, f.pool, db.GetMessageParams{CompanyID: company, MessageID: id})
			return err
		}},
		{"get outgoing", func() error {
			_, err := q.GetOutgoing(ctx, f.pool, db.GetOutgoingParams{CompanyID: company, MessageID: id})
			return err
		}},
		{"find company", func() error {
			_, err := q.FindCompanyOfMessage(ctx, f.pool, id)
			return err
		}},
	} {
		before := f.rowsRead(t)
		err := step.do()
		if err != pgx.ErrNoRows { //nolint:errorlint // as the queries return it
			require.NoError(t, err, step.name)
		}
		if tell != nil {
			tell(step.name, f.rowsRead(t)-before)
		}
	}
}
