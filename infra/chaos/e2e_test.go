//go:build e2e

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// play runs one scenario with few companies, and returns its figures. What must never be makes it fail.
func play(t *testing.T, scenario string) figure {
	t.Helper()
	bin := t.TempDir()
	cmd := exec.CommandContext(t.Context(), "go", "build", "-o", bin, "wafleet/hosts/cmd/connhost", "wafleet/infra/wasim/cmd/wasim")
	built, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", built)
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	var out, errs bytes.Buffer
	code := run(ctx, []string{
		"-scenario", scenario, "-companies", "20", "-rate", "20", "-window", "8s", "-bin", bin, "-out", t.TempDir(),
	}, os.Environ(), &out, &errs)
	require.Equal(t, exitOK, code, "%s", &errs)
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	var r result
	require.NoError(t, json.Unmarshal([]byte(lines[len(lines)-1]), &r))
	require.Len(t, r.Chaos, 1)
	one := r.Chaos[0]
	require.Positive(t, one.Accepted)
	require.Positive(t, one.Incoming)
	for _, target := range one.Targets {
		value, measured := one.value(target.Name)
		require.True(t, measured, target.What)
		require.LessOrEqual(t, value, target.Most, target.What)
	}
	return one
}

func TestAKilledHost(t *testing.T) { //nolint:paralleltest // it measures times
	one := play(t, "kill")
	require.Positive(t, one.Closed)
	require.Less(t, one.LastBackMs, 5000.0, "before its leases could have run out")
}

func TestADrainingHost(t *testing.T) { require.Positive(t, play(t, "drain").Gaps) } //nolint:paralleltest // it measures times

func TestAHostThatStandsStill(t *testing.T) { require.Positive(t, play(t, "pause").Back) } //nolint:paralleltest // it measures times

func TestAPostgresThatRestarts(t *testing.T) { require.Zero(t, play(t, "postgres").Closed) } //nolint:paralleltest // it measures times

func TestSocketsThatDropAtOnce(t *testing.T) { require.Equal(t, 20, play(t, "drop").Back) } //nolint:paralleltest // it measures times
