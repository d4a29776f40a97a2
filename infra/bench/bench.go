package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"wafleet/infra/internal/figures"
	"wafleet/infra/internal/machine"
	"wafleet/infra/internal/parts"
	"wafleet/infra/internal/rig"
)

const (
	// stopTimeout bounds the end of what was started.
	stopTimeout = time.Minute
	fsyncs      = 200
)

// errLost is the one result that is a failure.
var errLost = errors.New("messages were accepted and lost")

// measurement is one run of the benchmark.
type measurement struct {
	plan   Plan
	rig    *rig.Rig
	notes  io.Writer
	start  time.Time
	result *figures.Result

	idleHost footprint // without sessions
}

// bench measures, and writes the result to out and into the folder.
func bench(ctx context.Context, o options, out, errs io.Writer) error {
	result, err := measure(ctx, o, errs)
	if err != nil {
		return err
	}
	if err := publish(result, o.Out, out); err != nil {
		return err
	}
	if result.Lost > 0 {
		return fmt.Errorf("%d %w", result.Lost, errLost)
	}
	return nil
}

func measure(ctx context.Context, o options, notes io.Writer) (result *figures.Result, err error) {
	if err := machine.RaiseOpenFiles(o.Plan.OpenFiles()); err != nil {
		return nil, err
	}
	for _, program := range []string{"connhost", "wasim"} {
		if _, err := os.Stat(filepath.Join(o.Bin, program)); err != nil {
			return nil, fmt.Errorf("find %s: %w (make build makes it)", program, err)
		}
	}
	m := &measurement{
		plan: o.Plan, notes: notes, start: time.Now(),
		rig: rig.New(rig.Options{
			Bin: o.Bin, Self: o.Self, AdminKey: parts.NewAdminKey(), Environ: o.Environ,
			Logger: slog.New(slog.NewTextHandler(notes, &slog.HandlerOptions{Level: slog.LevelInfo})),
		}),
		result: &figures.Result{
			Sessions: o.Plan.Sessions, Rate: o.Plan.Rate, Machine: machine.Describe(), StartedAt: time.Now(), Settings: runtimeSettings(o.Environ),
		},
	}
	m.say("starting Postgres, Redis, simulator and API")
	if err := m.rig.Start(ctx); err != nil {
		return nil, err
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
		defer cancel()
		err = errors.Join(err, m.rig.Stop(ctx))
	}()
	if err := m.run(ctx); err != nil {
		m.say("the end of the host's log:\n%s", m.rig.HostLog())
		return nil, err
	}
	if err := m.measureBaileys(ctx, o.Baileys); err != nil {
		return nil, err
	}
	m.result.Took = time.Since(m.start)
	m.result.Judge()
	return m.result, nil
}

// run goes through the phases.
func (m *measurement) run(ctx context.Context) error {
	m.result.Processes = m.rig.Processes()
	latencies, err := machine.Fsyncs(m.rig.Folder(), fsyncs)
	if err != nil {
		return err
	}
	m.result.Fsync = figures.Latencies(latencies)
	if m.result.Postgres, err = m.rig.Postgres(ctx); err != nil {
		return err
	}
	m.say("fsync p50 %.2f ms, p99 %.2f ms", m.result.Fsync.P50Ms, m.result.Fsync.P99Ms)
	for _, phase := range []func(context.Context) error{m.measureIdleHost, m.pair, m.measureLogins, m.measureSends} {
		if err := phase(ctx); err != nil {
			return err
		}
	}
	return nil
}

// say shows progress: plain lines, so that a pipe gets them as well.
func (m *measurement) say(format string, args ...any) {
	_, _ = fmt.Fprintf(m.notes, "%6.1fs  %s\n", time.Since(m.start).Seconds(), fmt.Sprintf(format, args...))
}

// publish writes the table and the document; the latter is the last line.
func publish(result *figures.Result, folder string, out io.Writer) error {
	document, err := json.Marshal(result)
	if err != nil {
		return fmt.Errorf("encode result: %w", err)
	}
	table := new(strings.Builder)
	if err := result.Markdown(table); err != nil {
		return err
	}
	if err := os.MkdirAll(folder, 0o755); err != nil { //nolint:gosec // results are no secret
		return fmt.Errorf("make folder for results: %w", err)
	}
	for name, content := range map[string]string{"results.md": table.String(), "results.json": string(document) + "\n"} {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(content), 0o644); err != nil { //nolint:gosec // the same
			return fmt.Errorf("keep results: %w", err)
		}
	}
	if _, err := fmt.Fprintf(out, "%s\n%s\n", table, document); err != nil {
		return fmt.Errorf("print results: %w", err)
	}
	return nil
}

// runtimeSettings are the variables that change how Go's runtime treats memory or CPUs.
func runtimeSettings(environ []string) []string {
	var set []string
	for _, variable := range environ {
		switch name, _, _ := strings.Cut(variable, "="); name {
		case "GOGC", "GOMEMLIMIT", "GODEBUG", "GOMAXPROCS":
			set = append(set, variable)
		}
	}
	return set
}
