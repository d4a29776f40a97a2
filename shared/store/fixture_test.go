package store_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"wafleet/shared/message"
	"wafleet/shared/store"
	"wafleet/shared/store/db"
	"wafleet/shared/store/pgtest"
	"wafleet/shared/vault"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// company is the one that every fixture has, in shard 0.
const company = "acme"

// fixture is an installation of four shards with one company, whose shard is held.
type fixture struct {
	*store.Store

	pool  *pgxpool.Pool
	vault *vault.Vault
	fence store.Fence
	t     *testing.T
}

func newFixture(t *testing.T, opts ...pgtest.Option) *fixture {
	t.Helper()
	pool := pgtest.New(t, opts...)
	_, err := store.EnsureInstallation(t.Context(), pool, 4)
	require.NoError(t, err)
	v := newVault(t, pool)
	f := &fixture{Store: store.New(pool, v), pool: pool, vault: v, t: t}
	f.createCompany(t, company)
	f.fence = f.take(t, 0, "host-a")
	return f
}

// newVault has a master key of its own and nothing in memory yet.
func newVault(t *testing.T, pool *pgxpool.Pool) *vault.Vault {
	t.Helper()
	local, err := vault.NewLocal([]byte(strings.Repeat("k", vault.KeySize)))
	require.NoError(t, err)
	return vault.New(local, store.NewKeyring(pool))
}

func (f *fixture) createCompany(t *testing.T, id string) {
	t.Helper()
	_, err := f.CreateCompany(t.Context(), store.NewCompany{CompanyID: id, PerMinute: 30, RateMax: 30})
	require.NoError(t, err)
}

// take gives the shard to a host, whoever has it.
func (f *fixture) take(t *testing.T, shard int, host string) store.Fence {
	t.Helper()
	fence := store.Fence{Shard: shard, HostID: host}
	err := f.pool.QueryRow(t.Context(), `UPDATE shard_lease SET host_id = $2, term = gen_random_uuid(), epoch = epoch + 1,
		expires_at = now() + interval '1 minute' WHERE shard = $1 RETURNING term`, shard, host).Scan(&fence.Term)
	require.NoError(t, err)
	return fence
}

// outgoing is a message as put makes it; the zero value of a field is what put says.
type outgoing struct {
	id, status, reason, chat string
	lane                     int
	dueIn, expiresIn         string    // intervals; expiresIn empty: never
	incarnation              uuid.UUID // made if zero
	bare                     bool      // without body, wire, term and incarnation, as just accepted
}

// put writes a message as it is at some point of its life.
func (f *fixture) put(t *testing.T, m outgoing) {
	t.Helper()
	var body, wire []byte
	var term, incarnation *uuid.UUID
	if !m.bare {
		made := uuid.New()
		if m.incarnation != uuid.Nil {
			made = m.incarnation
		}
		body, wire, term, incarnation = []byte("body"), []byte("wire"), &f.fence.Term, &made
	}
	if m.chat == "" {
		m.chat = "chat of " + m.id
	}
	if m.dueIn == "" {
		m.dueIn = "0"
	}
	f.exec(t, `INSERT INTO messages (company_id, phone, message_id, direction, status, reason, shard, kind, chat, lane, body, wire, term, incarnation,
			due_at, expires_at, client_ref)
		VALUES ($1, '79001234567', $2::text, 'outgoing', $3, $4, 0, 'text', $5, $6, $7, $8, $9, $10,
			now() + $11::text::interval, now() + nullif($12::text, '')::interval, 'ref of ' || $2::text)`,
		company, m.id, m.status, m.reason, m.chat, m.lane, body, wire, term, incarnation, m.dueIn, m.expiresIn)
}

func (f *fixture) message(t *testing.T, id string) db.Message {
	t.Helper()
	row, err := f.Queries().GetOutgoing(t.Context(), f.pool, db.GetOutgoingParams{CompanyID: company, MessageID: id})
	require.NoError(t, err)
	return row
}

func (f *fixture) status(t *testing.T, id string) message.Status {
	t.Helper()
	return message.Status(f.message(t, id).Status)
}

// lastTrace is the newest entry of a message's trace.
func lastTrace(t *testing.T, row db.Message) map[string]any {
	t.Helper()
	var trace []map[string]any
	require.NoError(t, json.Unmarshal(row.Trace, &trace))
	require.NotEmpty(t, trace)
	return trace[len(trace)-1]
}

// fact is an event as a reader gets it, opened.
type fact struct {
	seq  int64
	id   uuid.UUID
	kind string
	data map[string]any
}

// events reads a company's log after a number.
func (f *fixture) events(t *testing.T, companyID string, after int64) []fact {
	t.Helper()
	rows, err := f.Queries().ListEvents(t.Context(), f.pool, db.ListEventsParams{CompanyID: companyID, After: after, PageSize: 10_000})
	require.NoError(t, err)
	facts := make([]fact, len(rows))
	for i, row := range rows {
		facts[i] = fact{seq: row.Seq, id: row.ID, kind: row.Type}
		plain, err := f.vault.Open(t.Context(), companyID, store.EventContext(row.ID), row.Data)
		require.NoError(t, err)
		require.NoError(t, json.Unmarshal(plain, &facts[i].data))
	}
	return facts
}

func (f *fixture) exec(t *testing.T, statement string, args ...any) {
	t.Helper()
	_, err := f.pool.Exec(t.Context(), statement, args...)
	require.NoError(t, err)
}

func (f *fixture) count(t *testing.T, statement string) int {
	t.Helper()
	var n int
	require.NoError(t, f.pool.QueryRow(t.Context(), statement).Scan(&n))
	return n
}

// contents is every row of every table: equal before and after means that nothing was written.
func (f *fixture) contents(t *testing.T) map[string]string {
	t.Helper()
	all := make(map[string]string)
	for _, table := range tables(t, f.pool) {
		var rows string
		require.NoError(t, f.pool.QueryRow(t.Context(),
			fmt.Sprintf(`SELECT coalesce(string_agg(r::text, E'\n' ORDER BY r::text), '') FROM %s r`, table)).Scan(&rows))
		all[table] = rows
	}
	return all
}

// endpoint registers a webhook for a company; no filter means every event.
func (f *fixture) endpoint(t *testing.T, companyID, id string, filter ...string) {
	t.Helper()
	if filter == nil {
		filter = []string{}
	}
	f.exec(t, `INSERT INTO webhook_endpoints (id, company_id, url, events, secret) VALUES ($1, $2, 'https://example.com', $3, '\x00')`,
		id, companyID, filter)
}

// attempt is a try at a message by some incarnation of the company's session.
func attempt(id string) store.Attempt {
	return store.Attempt{CompanyID: company, MessageID: id, Incarnation: uuid.New(), Wire: []byte("on the wire")}
}
