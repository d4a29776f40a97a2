package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"time"

	"wafleet/infra/internal/parts"
	"wafleet/infra/internal/tenants"
)

// Exit codes.
const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 2
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Environ(), os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// run is main without the process.
func run(ctx context.Context, args, environ []string, out, errs io.Writer) int {
	if len(args) == 1 && parts.Known(args[0]) {
		logger := slog.New(slog.NewJSONHandler(errs, &slog.HandlerOptions{Level: slog.LevelWarn}))
		return exitCode(parts.Run(ctx, args[0], environ, logger), errs)
	}
	options, timeout, err := parse(args, errs)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return exitOK
	case err != nil:
		return exitUsage // the flag set has said why
	}
	options.Environ = environ
	if options.Self, err = os.Executable(); err != nil {
		return exitCode(fmt.Errorf("find this program: %w", err), errs)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, timeout, fmt.Errorf("not done after %s (-timeout)", timeout))
	defer cancel()
	return exitCode(bench(ctx, options, out, errs), errs)
}

func exitCode(err error, errs io.Writer) int {
	if err != nil {
		_, _ = fmt.Fprintf(errs, "bench: %v\n", err)
		return exitFailed
	}
	return exitOK
}

// options are what the caller wants.
type options struct {
	Plan    Plan
	Bin     string
	Out     string
	Baileys string // folder of the load client; empty: without
	Self    string
	Environ []string
}

var errUsage = errors.New("wrong usage")

func parse(args []string, errs io.Writer) (options, time.Duration, error) {
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(errs)
	var o options
	sessions := flags.Int("sessions", 200, "how many companies with a session")
	rate := flags.Float64("rate", 100, "sends a second of the load at a constant rate")
	timeout := flags.Duration("timeout", time.Hour, "end of everything")
	baileys := flags.Bool("baileys", true, "measure Baileys, too")
	flags.StringVar(&o.Bin, "bin", "bin", "folder with connhost and wasim (make build)")
	flags.StringVar(&o.Out, "out", "infra/bench/results", "folder for results.json and results.md")
	if err := flags.Parse(args); err != nil {
		return o, 0, fmt.Errorf("parse flags: %w", err)
	}
	if flags.NArg() > 0 || *sessions < 1 || *sessions > tenants.Most || *rate <= 0 {
		_, _ = fmt.Fprintf(errs, "bench: takes 1 to %d sessions, a positive rate and no arguments\n", tenants.Most)
		flags.Usage()
		return o, 0, errUsage
	}
	o.Plan = NewPlan(*sessions, *rate)
	if *baileys {
		o.Baileys = "infra/bench/baileys"
	}
	return o, *timeout, nil
}
