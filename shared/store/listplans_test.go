package store_test

import (
	"math"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"wafleet/shared/store"
	"wafleet/shared/store/db"
	"wafleet/shared/store/pgtest"
)

// What a list of a company costs depends on its page alone: not on how much its company has, nor on how much the others have, and
// not on plans from a time when the tables were empty either.
func TestListsSurviveManyRows(t *testing.T) {
	t.Parallel()
	f := newFixture(t, pgtest.MaxConns(1))
	require.NoError(t, store.Migrate(t.Context(), f.pool.Config().ConnString())) // the role's settings are not copied with a database
	f.pool.Reset()
	f.createCompany(t, "many")
	f.exec(t, `INSERT INTO api_keys (id, company_id, hash, scopes) VALUES ('zz', $1, sha256('zz'), '{}')`, company)
	f.endpoint(t, company, "zz")
	_, err := f.vault.Seal(t.Context(), company, "", nil) // its key is in memory: there is one connection only
	require.NoError(t, err)
	_, err = f.append(t.Context(), store.Event{CompanyID: company, Type: "message.sent"})
	require.NoError(t, err)
	f.exec(t, `INSERT INTO suppressions (company_id, address, person, source) VALUES ($1, 'zz', 'zz', 'api')`, company)
	for range 12 { // a plan is kept from the sixth time on
		f.lists(t, nil)
	}
	for _, statement := range []string{
		`INSERT INTO companies (company_id, shard) SELECT 'c' || n, 0 FROM generate_series(1, 10000) AS n`,
		`INSERT INTO api_keys (id, company_id, hash, scopes) SELECT 'k' || n, 'many', sha256(n::text::bytea), '{}' FROM generate_series(1, 10000) AS n`,
		`INSERT INTO webhook_endpoints (id, company_id, url, secret) SELECT 'w' || n, 'many', 'https://example.com', '' FROM generate_series(1, 10000) AS n`,
		`INSERT INTO suppressions (company_id, address, person, source) SELECT c, n::text, n::text, 'api'
			FROM generate_series(1, 10000) AS n, unnest(ARRAY['many', 'acme']) AS c`,
		`INSERT INTO webhook_deliveries (id, company_id, endpoint_id, event_seq, event_id, event_type, state)
			SELECT gen_random_uuid(), c, 'zz', n, gen_random_uuid(), 'message.sent', CASE WHEN c = 'many' THEN 'dead' ELSE 'delivered' END
			FROM generate_series(2, 10000) AS n, unnest(ARRAY['many', 'acme']) AS c`,
		`INSERT INTO events (company_id, seq, id, type, data) SELECT c, n, gen_random_uuid(), 'message.sent', ''
			FROM generate_series(2, 10000) AS n, unnest(ARRAY['many', 'acme']) AS c`,
	} {
		f.exec(t, statement)
	}
	f.lists(t, func(step string, read int64) {
		if read > 60 {
			t.Errorf("%s reads %d rows", step, read)
		}
	})
}

// lists asks for a page of everything, and tells how many rows of all tables that has read.
func (f *fixture) lists(t *testing.T, tell func(step string, read int64)) {
	t.Helper()
	ctx, q := t.Context(), f.Queries()
	var delivery uuid.UUID
	require.NoError(t, f.pool.QueryRow(ctx, `SELECT id FROM webhook_deliveries WHERE company_id = $1 ORDER BY event_seq LIMIT 1`, company).Scan(&delivery))
	own := company
	const page = 10
	for _, step := range []struct {
		name string
		do   func() error
	}{
		{"company", func() error {
			_, err := q.GetCompany(ctx, f.pool, company)
			return err
		}},
		{"keys", func() error {
			rows, err := q.ListKeys(ctx, f.pool, db.ListKeysParams{CompanyID: &own, PageSize: page})
			require.Len(t, rows, 1)
			return err
		}},
		{"key", func() error {
			_, err := q.GetKey(ctx, f.pool, db.GetKeyParams{CompanyID: &own, ID: "zz"})
			return err
		}},
		{"company of key", func() error {
			_, err := q.FindCompanyOfKey(ctx, f.pool, "zz")
			return err
		}},
		{"endpoints", func() error {
			rows, err := q.ListEndpoints(ctx, f.pool, company)
			require.Len(t, rows, 1)
			return err
		}},
		{"count endpoints", func() error {
			_, err := q.CountEndpoints(ctx, f.pool, company)
			return err
		}},
		{"company of endpoint", func() error {
			_, err := q.FindCompanyOfEndpoint(ctx, f.pool, "zz")
			return err
		}},
		{"suppressions", func() error {
			_, err := q.ListSuppressions(ctx, f.pool, db.ListSuppressionsParams{CompanyID: company, PageSize: page})
			return err
		}},
		{"suppression", func() error {
			_, err := q.GetSuppression(ctx, f.pool, db.GetSuppressionParams{CompanyID: company, Address: "zz"})
			return err
		}},
		{"lift suppression", func() error {
			_, err := q.LiftSuppression(ctx, f.pool, db.LiftSuppressionParams{CompanyID: company, Address: "nobody"})
			return err
		}},
		{"deliveries", func() error {
			_, err := q.ListDeliveries(ctx, f.pool, db.ListDeliveriesParams{CompanyID: company, EndpointID: "zz", Before: math.MaxInt64, PageSize: page})
			return err
		}},
		{"dead letters", func() error {
			rows, err := q.ListDeadDeliveries(ctx, f.pool, db.ListDeadDeliveriesParams{
				CompanyID: company, EndpointID: "zz", Before: math.MaxInt64, PageSize: page,
			})
			require.Empty(t, rows)
			return err
		}},
		{"end of window", func() error {
			_, err := q.EndOfWindow(ctx, f.pool, db.EndOfWindowParams{CompanyID: company, EndpointID: "zz", Before: math.MaxInt64, Size: page})
			return err
		}},
		{"delivery", func() error {
			_, err := q.GetDelivery(ctx, f.pool, db.GetDeliveryParams{CompanyID: company, ID: delivery})
			return err
		}},
		{"company of delivery", func() error {
			_, err := q.FindCompanyOfDelivery(ctx, f.pool, delivery)
			return err
		}},
		{"events", func() error {
			_, err := q.ListEvents(ctx, f.pool, db.ListEventsParams{CompanyID: company, After: 500, PageSize: page})
			return err
		}},
	} {
		before := f.allRowsRead(t)
		err := step.do()
		if err != pgx.ErrNoRows { //nolint:errorlint // as the queries return it
			require.NoError(t, err, step.name)
		}
		if tell != nil {
			tell(step.name, f.allRowsRead(t)-before)
		}
	}
}

// allRowsRead is how many rows and index entries the test's database has read.
func (f *fixture) allRowsRead(t *testing.T) (read int64) {
	t.Helper()
	f.exec(t, `SELECT pg_stat_force_next_flush()`)
	require.NoError(t, f.pool.QueryRow(t.Context(), `SELECT (SELECT coalesce(sum(seq_tup_read + coalesce(idx_tup_fetch, 0)), 0) FROM pg_stat_user_tables)::bigint
		+ (SELECT coalesce(sum(idx_tup_read), 0) FROM pg_stat_user_indexes)::bigint`).Scan(&read))
	return read
}
