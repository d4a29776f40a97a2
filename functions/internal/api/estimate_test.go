package api //nolint:testpackage // an estimate is hard to await from outside

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"wafleet/shared/store/db"
)

func TestEstimatedEnd(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)
	running := db.Batch{Status: "running", Accepted: 100, RunningSince: now.Add(-time.Minute), EndedBefore: 10}
	for name, tc := range map[string]struct {
		ended  int64
		change func(*db.Batch)
		want   time.Duration // 0: nobody knows
	}{
		"a third of the way":   {ended: 40, want: 2 * time.Minute},
		"nothing sent so far":  {ended: 10},
		"all sent":             {ended: 100},
		"paused":               {ended: 40, change: func(b *db.Batch) { b.Status = "paused" }},
		"canceled":             {ended: 40, change: func(b *db.Batch) { b.Status = "canceled" }},
		"a clock that is late": {ended: 40, change: func(b *db.Batch) { b.RunningSince = now.Add(time.Second) }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			row := running
			if tc.change != nil {
				tc.change(&row)
			}
			end := estimatedEnd(row, tc.ended, now)
			if tc.want == 0 {
				require.Nil(t, end)
				return
			}
			require.Equal(t, now.Add(tc.want), *end)
		})
	}
}
