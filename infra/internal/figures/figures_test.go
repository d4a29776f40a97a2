package figures_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"wafleet/infra/internal/figures"
)

func TestPercentile(t *testing.T) {
	t.Parallel()
	var latencies []time.Duration
	for n := 100; n > 0; n-- {
		latencies = append(latencies, time.Duration(n)*time.Millisecond)
	}
	require.InDelta(t, 50, figures.Percentile(latencies, 0.50), 0)
	require.InDelta(t, 99, figures.Percentile(latencies, 0.99), 0)
	require.InDelta(t, 100, figures.Percentile(latencies, 1), 0)
	require.InDelta(t, 1, figures.Percentile(latencies, 0), 0)
	require.Equal(t, 100*time.Millisecond, latencies[0], "the caller's order stays")
	require.InDelta(t, 7.12, figures.Percentile([]time.Duration{7123 * time.Microsecond}, 0.99), 1e-9)
	require.Zero(t, figures.Percentile(nil, 0.5))
}

func TestMedian(t *testing.T) {
	t.Parallel()
	require.InDelta(t, 2, figures.Median([]float64{9, 2, 1}), 0)
	require.InDelta(t, 2, figures.Median([]float64{3, 1, 2, 4}), 0, "one that was measured")
	require.Zero(t, figures.Median(nil))
	require.InDelta(t, 3, figures.MedianOf([]string{"a", "abc", "abcdef"}, func(s string) float64 { return float64(len(s)) }), 0)
}

// result is a complete one that meets every target but the sends.
func result() *figures.Result {
	r := &figures.Result{
		Sessions: 1000, MemoryPerSessionKB: 120, LoginsPerSecond: 400, SendsPerSecond: 299.9,
		P50Ms: 15, P99Ms: 80, AcceptP50Ms: 3, AcceptP99Ms: 20, Rate: 100,
		Idle:      []figures.Idle{{MemoryPerSessionKB: 120}},
		Logins:    []figures.Login{{PerSecond: 400, HostCPUMs: 1.5}},
		Open:      []figures.Open{{Calls: 2000, Cost: figures.Cost{CPUMs: map[string]float64{"postgres": 2, "api": 1}, Commits: 5, WALKB: 8}}},
		Closed:    []figures.Sends{{PerSecond: 299.9, InFlight: 128}},
		Processes: []string{"api: here"},
		Settings:  []string{"GOGC=50"},
		StartedAt: time.Date(2026, 11, 23, 4, 5, 6, 0, time.UTC),
	}
	r.Judge()
	return r
}

func TestTargetsAreMetAtTheirLimit(t *testing.T) {
	t.Parallel()
	r := result()
	require.Len(t, r.Targets, 6)
	for _, target := range r.Targets {
		require.Equal(t, target.Name != "sendsPerSecond", target.Met, target.Name)
	}
	_, known := r.Target("lost")
	require.False(t, known)
}

func TestWhatWasNotMeasuredMeetsNothing(t *testing.T) {
	t.Parallel()
	r := new(figures.Result)
	r.Judge()
	for _, target := range r.Targets {
		require.False(t, target.Met, target.Name)
	}
}

func TestMarkdown(t *testing.T) {
	t.Parallel()
	r := result()
	r.BaileysSkipped = "node is missing"
	table := markdown(t, r)
	for _, line := range []string{
		"# 1000 sessions, 2026-11-23 04:05:06 UTC",
		"| idle memory a session | 120 KB | – | ≤ 120 | yes |",
		"| sends a second, API to phone | 300 | – | ≥ 300 | **no** |",
		"| accept p50 at 100 sends/s | 3.0 ms | – |  |  |",
		"No Baileys: node is missing",
		"Settings of the environment: GOGC=50.",
		"- api: here",
		"| constant | 2000 | 100 | 0.0 / 0.0 ms | 5.0 | 8.0 KB | api 1.00, postgres 2.00 ms |",
	} {
		require.Contains(t, table, line)
	}
	columns := 0
	for line := range strings.Lines(table) {
		switch {
		case !strings.HasPrefix(line, "|"):
			columns = 0
		case columns == 0:
			columns = strings.Count(line, "|")
		default:
			require.Equal(t, columns, strings.Count(line, "|"), line)
		}
	}
}

func TestMarkdownWithBaileys(t *testing.T) {
	t.Parallel()
	r := result()
	r.Baileys = &figures.Baileys{
		Client: "baileys 7", Sessions: 50, MemoryPerSessionKB: 640, HeapPerSessionKB: 200, AuthHeapPerSessionKB: 600,
		LoginsPerSecond: 35, SendsPerSecond: 90, P50Ms: 93, P99Ms: 200, Lost: 1, Failed: 2,
	}
	table := markdown(t, r)
	require.Contains(t, table, "| metric | wafleet | baileys 7 (50 sessions) | target | ok |")
	require.Contains(t, table, "| 640 KB of RSS (800 KB of heap) |")
	require.Contains(t, table, "| 93 / 200 ms |")
	require.NotContains(t, table, "No Baileys")
}

func markdown(t *testing.T, r *figures.Result) string {
	t.Helper()
	text := new(strings.Builder)
	require.NoError(t, r.Markdown(text))
	return text.String()
}
