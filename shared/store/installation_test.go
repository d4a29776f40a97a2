package store_test

import (
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"wafleet/shared/store"
	"wafleet/shared/store/db"
	"wafleet/shared/store/pgtest"
)

func TestEnsureInstallation(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t)
	first, err := store.EnsureInstallation(t.Context(), pool, 3)
	require.NoError(t, err)
	require.Equal(t, 3, first.Shards)
	require.Len(t, first.IDSecret, 32)
	leases, err := db.New().ListLeases(t.Context(), pool)
	require.NoError(t, err)
	require.Equal(t, []db.ListLeasesRow{{Shard: 0}, {Shard: 1}, {Shard: 2}}, leases, "nobody's yet")

	for _, same := range []int{0, 3} {
		again, err := store.EnsureInstallation(t.Context(), pool, same)
		require.NoError(t, err)
		require.Equal(t, first, again, "the secret above all")
	}
	_, err = store.EnsureInstallation(t.Context(), pool, 5)
	var wrong *store.ShardsError
	require.ErrorAs(t, err, &wrong)
	require.Equal(t, store.ShardsError{Have: 3, Asked: 5}, *wrong)
	require.ErrorContains(t, err, "has 3 shards and cannot have 5")
	leases, err = db.New().ListLeases(t.Context(), pool)
	require.NoError(t, err)
	require.Len(t, leases, 3)
}

func TestEnsureInstallationByDefault(t *testing.T) {
	t.Parallel()
	made, err := store.EnsureInstallation(t.Context(), pgtest.New(t), 0)
	require.NoError(t, err)
	require.Equal(t, 64, made.Shards)
}

func TestEnsureInstallationRefusesNonsense(t *testing.T) {
	t.Parallel()
	for _, shards := range []int{-1, 1025} {
		_, err := store.EnsureInstallation(t.Context(), pgtest.New(t), shards)
		requireViolation(t, err, "installation_shards_check")
	}
}

func TestEnsureInstallationOnAnEmptyDatabase(t *testing.T) {
	t.Parallel()
	_, pool := emptyDatabase(t)
	_, err := store.EnsureInstallation(t.Context(), pool, 4)
	require.ErrorContains(t, err, "record installation")
}

// Processes start at the same time; the first decides, and the others take what it decided or refuse it.
func TestEnsureInstallationInParallel(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t)
	const starts = 8
	made, errs := make([]store.Installation, starts), make([]error, starts)
	var wg sync.WaitGroup
	for i := range starts {
		wg.Go(func() { made[i], errs[i] = store.EnsureInstallation(t.Context(), pool, 4+i%2) })
	}
	wg.Wait()

	decided, err := store.EnsureInstallation(t.Context(), pool, 0)
	require.NoError(t, err)
	for i := range starts {
		if 4+i%2 == decided.Shards {
			require.NoError(t, errs[i])
			require.Equal(t, decided, made[i])
			continue
		}
		var wrong *store.ShardsError
		require.ErrorAs(t, errs[i], &wrong)
	}
	leases, err := db.New().ListLeases(t.Context(), pool)
	require.NoError(t, err)
	require.Len(t, leases, decided.Shards)
}
