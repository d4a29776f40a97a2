package sweep_test

import (
	"fmt"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"wafleet/shared/store"
)

func (b *bundle) rows(t *testing.T, table, companyID string) (n int) {
	t.Helper()
	require.NoError(t, b.pool.QueryRow(t.Context(), `SELECT count(*) FROM `+table+` WHERE company_id = $1`, companyID).Scan(&n))
	return n
}

// What a deleted company leaves behind goes page by page; its id is free only when nobody can have a key of it in memory.
func TestDeletedCompaniesArePurged(t *testing.T) {
	t.Parallel()
	b := newBundle(t, 3)
	b.company(t, "other")
	for _, id := range []string{company, "other"} {
		for n := range 10 {
			b.accept(t, id, fmt.Sprint("message-", n), 0, nil)
			require.NoError(t, b.store.InTx(t.Context(), func(tx pgx.Tx) error {
				_, err := b.store.AppendEvent(t.Context(), tx, store.Event{CompanyID: id, Type: "message.sent", Data: n})
				return err
			}))
		}
	}
	b.exec(t, `INSERT INTO suppressions (company_id, address, person, source) VALUES ($1, '79001234567', '79001234567', 'api')`, company)
	require.NoError(t, b.store.DeleteCompany(t.Context(), company))
	require.Equal(t, 10, b.rows(t, "messages", company), "that takes its time")
	b.run(t)
	tables := []string{"messages", "events", "webhook_deliveries"}
	for _, table := range tables {
		require.Zero(t, b.rows(t, table, company), table)
		require.Equal(t, 10, b.rows(t, table, "other"), table)
	}
	require.Equal(t, 1, b.rows(t, "companies", company), "its id is still taken")
	_, err := b.store.CreateCompany(t.Context(), store.NewCompany{CompanyID: company, PerMinute: 1, RateMax: 1})
	require.ErrorIs(t, err, store.ErrCompanyExists)

	b.exec(t, `UPDATE companies SET deleted_at = now() - interval '4 minutes' WHERE deleted_at IS NOT NULL`)
	b.run(t)
	require.Zero(t, b.rows(t, "companies", company))
	require.Zero(t, b.rows(t, "suppressions", company))
	require.Equal(t, 1, b.swept(t)["companies"])

	// The new company of that id starts from nothing, and the next sweep leaves it alone.
	b.vault.Forget(company)
	b.company(t, company)
	b.accept(t, company, "new", 0, nil)
	b.run(t)
	require.Equal(t, 1, b.rows(t, "messages", company))
	types, _ := b.events(t)
	require.Empty(t, types)
}

// Whoever is at a company has its row; another sweep passes by.
func TestOnePurgesACompanyAtATime(t *testing.T) {
	t.Parallel()
	b := newBundle(t, 0)
	b.accept(t, company, "message", 0, nil)
	require.NoError(t, b.store.DeleteCompany(t.Context(), company))
	require.NoError(t, b.store.InTx(t.Context(), func(tx pgx.Tx) error {
		_, err := b.store.Queries().HoldDeletedCompany(t.Context(), tx, company)
		require.NoError(t, err)
		b.run(t)
		require.Equal(t, 1, b.rows(t, "messages", company))
		return nil
	}))
	b.run(t)
	require.Zero(t, b.rows(t, "messages", company))
}
