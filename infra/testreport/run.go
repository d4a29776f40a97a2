package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"slices"
	"time"
)

const exitFailed, exitUsage = 1, 2

func run(ctx context.Context, args []string, requireAll bool, out, notes io.Writer) int {
	if len(args) < 2 || args[1] != "test" {
		_, _ = fmt.Fprintln(notes, "usage: testreport go test [flags] packages")
		return exitUsage
	}
	started := time.Now()
	verbose := slices.Contains(args, "-v")
	cmd := exec.CommandContext(ctx, args[0], slices.Insert(slices.Clone(args[1:]), 1, "-json")...) //nolint:gosec // running it is the purpose
	cmd.Stderr = notes
	events, err := cmd.StdoutPipe()
	if err != nil {
		return failed(notes, err)
	}
	if err := cmd.Start(); err != nil {
		return failed(notes, err)
	}
	report := newReport(out, verbose)
	readErr := report.read(events)
	waitErr := cmd.Wait()
	report.conclude(time.Since(started), requireAll)

	var exit *exec.ExitError
	switch {
	case errors.As(waitErr, &exit):
		return max(exit.ExitCode(), exitFailed) // -1 where a signal ended it
	case waitErr != nil:
		return failed(notes, waitErr)
	case readErr != nil:
		return failed(notes, readErr)
	case requireAll && len(report.skipped) > 0:
		return exitFailed
	}
	return 0
}

func failed(notes io.Writer, err error) int {
	_, _ = fmt.Fprintln(notes, "testreport:", err)
	return exitFailed
}
