package store_test

import (
	"encoding/json"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"wafleet/shared/store"
	"wafleet/shared/vault"
)

func TestCreateCompany(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	config := json.RawMessage(`{"greetingMessage": "hi", "unknown": [1]}`)
	row, err := f.CreateCompany(t.Context(), store.NewCompany{
		CompanyID: "salon-1", Title: new("Salon"), Phone: new("79001112233"), Config: config, Shard: 3, PerMinute: 10, RateMax: 20,
	})
	require.NoError(t, err)
	require.Equal(t, "salon-1", row.CompanyID)

	got, err := f.Queries().GetCompany(t.Context(), f.pool, "salon-1")
	require.NoError(t, err)
	require.Equal(t, row, got)
	require.Equal(t, "Salon", *got.Title)
	require.Equal(t, "79001112233", *got.WhatsappPhone)
	require.JSONEq(t, string(config), string(got.WhatsappConfig))
	require.False(t, got.WhatsappEnabled)
	require.Nil(t, got.WhatsappLastConnected)

	require.Equal(t, 3, got.Shard)
	require.Equal(t, 10, got.RatePerMinute)
	require.Equal(t, 20, got.RateBurst)
	own, err := f.Queries().GetSession(t.Context(), f.pool, "salon-1")
	require.NoError(t, err)
	require.Equal(t, "created", own.State)

	_, err = f.append(t.Context(), store.Event{CompanyID: "salon-1", Type: "test"})
	require.NoError(t, err, "it has a data key and a counter")
	require.Len(t, f.events(t, "salon-1", 0), 1)
}

func TestCreateCompanyTwice(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	before := f.contents(t)
	errs := make([]error, 4)
	var wg sync.WaitGroup
	for i := range errs {
		wg.Go(func() {
			_, errs[i] = f.CreateCompany(t.Context(), store.NewCompany{CompanyID: company, PerMinute: 1, RateMax: 1})
		})
	}
	wg.Wait()
	for _, err := range errs {
		require.ErrorIs(t, err, store.ErrCompanyExists)
	}
	require.Equal(t, before, f.contents(t), "its key above all")
}

func TestCreateCompanyAtTheSameTime(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	errs := make([]error, 4)
	var wg sync.WaitGroup
	for i := range errs {
		wg.Go(func() {
			_, errs[i] = f.CreateCompany(t.Context(), store.NewCompany{CompanyID: "new", PerMinute: 1, RateMax: 1})
		})
	}
	wg.Wait()
	created := 0
	for _, err := range errs {
		if err == nil {
			created++
		} else {
			require.ErrorIs(t, err, store.ErrCompanyExists)
		}
	}
	require.Equal(t, 1, created)
}

func TestCreateCompanyRefusedByTheDatabase(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for _, c := range []store.NewCompany{
		{CompanyID: "not/an/id", PerMinute: 1, RateMax: 1},
		{CompanyID: "no-rate", RateMax: 1},
		{CompanyID: "no-burst", PerMinute: 1},
	} {
		before := f.contents(t)
		_, err := f.CreateCompany(t.Context(), c)
		requireViolation(t, err, "companies_")
		require.Equal(t, before, f.contents(t))
	}
}

// Deleting a company shreds what was sealed for it.
func TestDeletingACompanyDestroysItsKey(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	sealed, err := f.vault.Seal(t.Context(), company, "place", []byte("secret"))
	require.NoError(t, err)
	keyring := store.NewKeyring(f.pool)
	_, err = keyring.WrappedKey(t.Context(), company)
	require.NoError(t, err)

	f.exec(t, `DELETE FROM companies WHERE company_id = $1`, company)
	_, err = keyring.WrappedKey(t.Context(), company)
	require.ErrorIs(t, err, vault.ErrNoKey)
	_, err = newVault(t, f.pool).Open(t.Context(), company, "place", sealed)
	require.ErrorIs(t, err, vault.ErrNoKey)
}

func TestKeyringWithoutDatabase(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.pool.Close()
	_, err := store.NewKeyring(f.pool).WrappedKey(t.Context(), company)
	require.ErrorContains(t, err, "read data key")
	require.NotErrorIs(t, err, vault.ErrNoKey, "an outage is not a missing key")
}
