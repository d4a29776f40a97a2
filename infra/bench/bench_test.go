package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// quick is the smallest plan that goes through every phase.
func quick() Plan {
	return Plan{
		Sessions: 5, Runs: 1, Senders: 5, Rate: 20, Busy: 2, PerBusy: 2,
		Settle: 200 * time.Millisecond, OpenWarm: 200 * time.Millisecond, Open: time.Second,
		ClosedWarm: 200 * time.Millisecond, Closed: time.Second,
	}
}

// programs builds what bench runs.
func programs(t *testing.T) string {
	t.Helper()
	folder := t.TempDir()
	cmd := exec.CommandContext(t.Context(), "go", "build", "-o", folder, "wafleet/hosts/cmd/connhost", "wafleet/infra/wasim/cmd/wasim")
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
	return folder
}

func TestEndToEnd(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("starts the whole system; run without -short")
	}
	self, err := os.Executable()
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	o := options{Plan: quick(), Bin: programs(t), Out: filepath.Join(t.TempDir(), "results"), Self: self, Environ: os.Environ()}
	var out, notes bytes.Buffer
	require.NoError(t, bench(ctx, o, &out, &notes), "%s", &notes)

	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	last := lines[len(lines)-1]
	var result map[string]any
	require.NoError(t, json.Unmarshal([]byte(last), &result), last)
	require.InDelta(t, 5, result["sessions"], 0)
	for _, name := range []string{"memoryPerSessionKB", "loginsPerSecond", "sendsPerSecond", "p50Ms", "p99Ms", "acceptP50Ms", "acceptP99Ms"} {
		require.Greater(t, result[name], 0.0, name)
	}
	require.GreaterOrEqual(t, result["p99Ms"], result["p50Ms"])
	for _, name := range []string{"lost", "duplicates", "refused"} {
		require.InDelta(t, 0, result[name], 0, name)
	}
	require.Equal(t, "not wanted", result["baileysSkipped"])
	require.Len(t, result["targets"], 6)
	require.Greater(t, result["fsync"].(map[string]any)["p50Ms"], 0.0)

	open := result["open"].([]any)[0].(map[string]any)
	require.InDelta(t, 20, open["calls"], 1, "a second at 20 a second, the warm-up aside")
	cost := open["cost"].(map[string]any)
	for _, name := range []string{"bench", "api", "connhost", "wasim", "postgres", "redis"} {
		require.Contains(t, cost["cpuMs"], name)
	}
	require.Greater(t, cost["commits"], 1.0, "a message is durable more than once")

	kept, err := os.ReadFile(filepath.Join(o.Out, "results.json"))
	require.NoError(t, err)
	require.JSONEq(t, last, string(kept))
	table, err := os.ReadFile(filepath.Join(o.Out, "results.md"))
	require.NoError(t, err)
	require.Contains(t, out.String(), string(table))
	require.Contains(t, string(table), "| sends a second, API to phone |")
	requireCleanedUp(t, result)
}

// requireCleanedUp finds the folder of the database in the result and expects it to be gone.
func requireCleanedUp(t *testing.T, result map[string]any) {
	t.Helper()
	for _, process := range result["processes"].([]any) {
		if _, folder, ok := strings.Cut(process.(string), "128 MB, in "); ok {
			require.NoDirExists(t, folder)
			return
		}
	}
	require.Fail(t, "the result does not say where the database was")
}

func TestWithoutProgramsItSaysWhatToDo(t *testing.T) {
	t.Parallel()
	var out, notes bytes.Buffer
	err := bench(t.Context(), options{Plan: quick(), Bin: t.TempDir(), Out: t.TempDir()}, &out, &notes)
	require.ErrorContains(t, err, "make build")
	require.Empty(t, out.String())
}

func TestTooFewOpenFiles(t *testing.T) {
	t.Parallel()
	plan := quick()
	plan.Sessions = 1 << 40
	err := bench(t.Context(), options{Plan: plan}, new(bytes.Buffer), new(bytes.Buffer))
	require.ErrorContains(t, err, "ulimit -Hn")
}

func TestWrongUsage(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{
		{"-sessions", "0"}, {"-sessions", "10001"}, {"-sessions", "many"}, {"-rate", "0"}, {"-fast"}, {"sessions"}, {"api", "redis"},
	} {
		var out, errs bytes.Buffer
		require.Equal(t, exitUsage, run(t.Context(), args, nil, &out, &errs), args)
		require.NotEmpty(t, errs.String(), args)
		require.Empty(t, out.String(), args)
	}
	require.Equal(t, exitOK, run(t.Context(), []string{"-h"}, nil, new(bytes.Buffer), new(bytes.Buffer)))
}

func TestPartsNameWhatTheyMiss(t *testing.T) {
	t.Parallel()
	for part, variable := range map[string]string{"api": "DATABASE_URL", "redis": "REDIS_LISTEN"} {
		var errs bytes.Buffer
		require.Equal(t, exitFailed, run(t.Context(), []string{part}, nil, new(bytes.Buffer), &errs))
		require.Contains(t, errs.String(), variable)
	}
}

func TestPlans(t *testing.T) {
	t.Parallel()
	full := NewPlan(1000, 100)
	require.GreaterOrEqual(t, full.Open, 20*time.Second)
	require.GreaterOrEqual(t, full.Settle, 20*time.Second)
	require.Equal(t, 100, full.Senders)
	require.Greater(t, full.OpenFiles(), uint64(1000))

	brief := NewPlan(3, 100)
	require.Equal(t, 3, brief.Senders)
	require.Equal(t, 3, brief.Busy)
	require.Equal(t, full.Runs, brief.Runs)
	measured := time.Duration(brief.Runs) * (brief.Settle + brief.OpenWarm + brief.Open + brief.ClosedWarm + brief.Closed)
	require.Less(t, measured, 45*time.Second, "about a minute with everything around it")
}

func TestWhyThereIsNoBaileys(t *testing.T) {
	t.Parallel()
	_, reason := findBaileys("")
	require.Equal(t, "not wanted", reason)
	_, reason = findBaileys(filepath.Join(t.TempDir(), "infra", "bench", "baileys"))
	require.Contains(t, reason, "missing")
}

func TestLastLine(t *testing.T) {
	t.Parallel()
	require.Equal(t, "{}", lastLine("warning\n{}\n"))
	require.Equal(t, "{}", lastLine("{}"))
	require.Empty(t, lastLine("\n"))
}

func TestRuntimeSettings(t *testing.T) {
	t.Parallel()
	require.Equal(t, []string{"GOGC=50"}, runtimeSettings([]string{"HOME=/x", "GOGC=50", "GOFLAGS=-v"}))
}
