// Package devicestoretest gives tests a database in which companies own devices.
package devicestoretest

import (
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"wafleet/shared/store"
	"wafleet/shared/store/pgtest"
	"wafleet/shared/vault"
)

// shards is how many an installation of a test has; every company is in the first.
const shards = 2

// Database is an installation whose first shard has an owner.
type Database struct {
	Pool  *pgxpool.Pool
	Vault *vault.Vault
	Fence store.Fence // of the first shard
}

// New returns an installation without companies.
func New(tb testing.TB, opts ...pgtest.Option) *Database {
	tb.Helper()
	d := &Database{Pool: pgtest.New(tb, opts...)}
	d.Vault = d.NewVault(tb)
	_, err := store.EnsureInstallation(tb.Context(), d.Pool, shards)
	require.NoError(tb, err)
	d.Fence = d.Take(tb, 0)
	return d
}

// NewVault returns a vault that has the installation's master key, and nothing in memory yet.
func (d *Database) NewVault(tb testing.TB) *vault.Vault {
	tb.Helper()
	local, err := vault.NewLocal([]byte(strings.Repeat("k", vault.KeySize)))
	require.NoError(tb, err)
	return vault.New(local, store.NewKeyring(d.Pool))
}

// Take gives a shard to a new owner, whoever has it.
func (d *Database) Take(tb testing.TB, shard int) store.Fence {
	tb.Helper()
	fence := store.Fence{Shard: shard, HostID: "host"}
	err := d.Pool.QueryRow(tb.Context(), `UPDATE shard_lease SET host_id = $2, term = gen_random_uuid(), epoch = epoch + 1,
		expires_at = now() + interval '1 hour' WHERE shard = $1 RETURNING term`, shard, fence.HostID).Scan(&fence.Term)
	require.NoError(tb, err)
	return fence
}

// Company makes a company of the first shard.
func (d *Database) Company(tb testing.TB, id string) {
	tb.Helper()
	_, err := store.New(d.Pool, d.Vault).CreateCompany(tb.Context(), store.NewCompany{CompanyID: id, PerMinute: 30, RateMax: 30})
	require.NoError(tb, err)
}

// RewriteSessions changes every Signal session of a company, as no product code does.
func (d *Database) RewriteSessions(tb testing.TB, companyID string, change func(session []byte) []byte) {
	tb.Helper()
	type row struct {
		JID, Address string
		Sealed       []byte
	}
	rows, err := d.Pool.Query(tb.Context(), `SELECT jid, address, sealed_session FROM device_sessions WHERE company_id = $1`, companyID)
	require.NoError(tb, err)
	all, err := pgx.CollectRows(rows, pgx.RowToStructByPos[row])
	require.NoError(tb, err)
	require.NotEmpty(tb, all)
	for _, r := range all {
		place := "device_sessions|" + r.JID + "|" + r.Address
		session, err := d.Vault.Open(tb.Context(), companyID, place, r.Sealed)
		require.NoError(tb, err)
		sealed, err := d.Vault.Seal(tb.Context(), companyID, place, change(session))
		require.NoError(tb, err)
		_, err = d.Pool.Exec(tb.Context(), `UPDATE device_sessions SET sealed_session = $4 WHERE company_id = $1 AND jid = $2 AND address = $3`,
			companyID, r.JID, r.Address, sealed)
		require.NoError(tb, err)
	}
}
