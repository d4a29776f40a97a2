package company_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"wafleet/shared/company"
)

func TestCheckID(t *testing.T) {
	t.Parallel()
	for _, ok := range []string{"962302", "company-123", "A_b-9", strings.Repeat("x", 50)} {
		require.NoError(t, company.CheckID(ok), ok)
	}
	for _, bad := range []string{"", " ", "a b", "a/b", "é", "a\n", "..", strings.Repeat("x", 51)} {
		require.ErrorIs(t, company.CheckID(bad), company.ErrInvalidID, "%q", bad)
	}
}

func TestShardIsStable(t *testing.T) {
	t.Parallel()
	// Stored with every company: a change here would be a migration.
	require.Equal(t, map[string]int{"962302": 61, "company-123": 21, "a": 0},
		map[string]int{
			"962302":      company.Shard("962302", 64),
			"company-123": company.Shard("company-123", 64),
			"a":           company.Shard("a", 64),
		})
}

func TestShardSpreadsEvenly(t *testing.T) {
	t.Parallel()
	const companies, shards = 10_000, 64
	var perShard [shards]int
	for i := range companies {
		perShard[company.Shard(fmt.Sprintf("company-%d", i), shards)]++
	}
	for shard, n := range perShard {
		require.InDelta(t, companies/shards, n, companies/shards/2, "shard %d", shard)
	}
}
