package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/signal"
	"strings"
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
	o, err := parse(args, errs)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return exitOK
	case err != nil:
		return exitUsage // the flag set has said why
	}
	o.Environ = environ
	if o.Self, err = os.Executable(); err != nil {
		return exitCode(fmt.Errorf("find this program: %w", err), errs)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, o.Timeout, fmt.Errorf("not done after %s (-timeout)", o.Timeout))
	defer cancel()
	return exitCode(chaos(ctx, o, out, errs), errs)
}

func exitCode(err error, errs io.Writer) int {
	if err != nil {
		_, _ = fmt.Fprintf(errs, "chaos: %v\n", err)
		return exitFailed
	}
	return exitOK
}

// options are what the caller wants.
type options struct {
	Scenarios []scenario
	Companies int
	Hosts     int
	Seed      uint64
	Rate      float64       // sends a second, and as many incoming messages
	Window    time.Duration // of traffic after a fault
	Timeout   time.Duration
	Bin       string
	Out       string
	Log       string
	Self      string
	Environ   []string
}

var errUsage = errors.New("wrong usage")

func parse(args []string, errs io.Writer) (options, error) {
	flags := flag.NewFlagSet("chaos", flag.ContinueOnError)
	flags.SetOutput(errs)
	var o options
	names := flags.String("scenario", "all", "which faults, in this order: "+strings.Join(scenarioNames(), ", "))
	flags.IntVar(&o.Companies, "companies", 60, "how many companies with a session, of all hosts together")
	flags.IntVar(&o.Hosts, "hosts", 3, "how many connection hosts")
	flags.Uint64Var(&o.Seed, "seed", 0, "decides who is hit; 0: by chance")
	flags.Float64Var(&o.Rate, "rate", 30, "sends a second, and as many incoming messages")
	flags.DurationVar(&o.Window, "window", 15*time.Second, "time with traffic after a fault")
	flags.DurationVar(&o.Timeout, "timeout", time.Hour, "end of everything")
	flags.StringVar(&o.Bin, "bin", "bin", "folder with connhost and wasim (make build)")
	flags.StringVar(&o.Out, "out", "infra/chaos/results", "folder for results.json and results.md")
	flags.StringVar(&o.Log, "log", "warn", "level that hosts log at")
	if err := flags.Parse(args); err != nil {
		return o, fmt.Errorf("parse flags: %w", err)
	}
	var known bool
	o.Scenarios, known = scenariosOf(*names)
	if !known || flags.NArg() > 0 || o.Companies < 1 || o.Companies > tenants.Most || o.Hosts < 2 || o.Rate <= 0 || o.Window <= 0 {
		_, _ = fmt.Fprintf(errs, "chaos: takes known scenarios, 1 to %d companies, two hosts or more, a positive rate and window\n", tenants.Most)
		flags.Usage()
		return o, errUsage
	}
	for o.Seed == 0 {
		o.Seed = rand.Uint64() >> 32 //nolint:gosec // is shown, guards nothing
	}
	return o, nil
}
