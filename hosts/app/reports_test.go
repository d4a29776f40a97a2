package app_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"wafleet/shared/health"
)

func TestAHostReportsItsHealth(t *testing.T) {
	t.Parallel()
	in := newInstallation(t)
	board := health.NewRedisBoard(in.redis)
	h := in.host(t)
	var last health.Report
	require.Eventually(t, func() bool {
		shown, err := board.Reports(t.Context())
		if err != nil || len(shown) != 1 {
			return false
		}
		last = shown[0]
		return last.Shards == shards // the first report may be faster than the leases
	}, await, 50*time.Millisecond)
	require.NotEmpty(t, last.HostID)
	require.False(t, last.Draining)
	require.Positive(t, last.MemoryBytes)
	require.WithinDuration(t, time.Now(), last.ReportedAt, time.Minute)

	require.NoError(t, h.Stop(context.WithoutCancel(t.Context())))
	shown, err := board.Reports(t.Context())
	require.NoError(t, err)
	require.Empty(t, shown, "a host that ended well takes its report down")
}
