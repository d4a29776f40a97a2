// Command wasim runs the WhatsApp simulator as a server of its own.
//
//	wasim -listen 127.0.0.1:4000 -control 127.0.0.1:3999 -data ./wasim-data
//
// The control API tells clients what to trust: GET /root. SIGTERM or an interrupt ends the server, a second one at once.
// The exit code is 0 after that, 1 if the server failed and 2 if it was called wrongly.
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

	"wafleet/infra/wasim"
)

// Exit codes.
const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 2
)

// stopTimeout bounds the end of the server.
const stopTimeout = 10 * time.Second

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// run is main without the process.
func run(ctx context.Context, args []string, out, errs io.Writer) int {
	options, err := parse(args, errs)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return exitOK
	case err != nil:
		return exitUsage // The flag set has said why.
	}
	server, err := wasim.New(options)
	if err == nil {
		err = server.Start(ctx)
	}
	if err != nil {
		_, _ = fmt.Fprintf(errs, "wasim: %v\n", err)
		if errors.Is(err, wasim.ErrOptions) {
			return exitUsage
		}
		return exitFailed
	}
	_, _ = fmt.Fprintf(out, "wasim: clients at %s, control at %s\n", server.Endpoint(), server.ControlURL())
	<-ctx.Done()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
	defer cancel()
	ctx, second := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer second()
	if err := server.Stop(ctx); err != nil {
		_, _ = fmt.Fprintf(errs, "wasim: %v\n", err)
		return exitFailed
	}
	return exitOK
}

func parse(args []string, errs io.Writer) (wasim.Options, error) {
	flags := flag.NewFlagSet("wasim", flag.ContinueOnError)
	flags.SetOutput(errs)
	var options wasim.Options
	flags.StringVar(&options.Listen, "listen", "127.0.0.1:4000", "address for WhatsApp clients, host:port")
	flags.StringVar(&options.Control, "control", "127.0.0.1:3999", "address of the control API, host:port")
	flags.BoolVar(&options.ControlPublic, "control-public", false,
		"allow a control address that others can reach; the API has no key")
	flags.StringVar(&options.DataDir, "data", "", "folder for everything that survives a restart; empty keeps nothing")
	flags.IntVar(&options.JournalSize, "journal", 0, "rows that the journal keeps; 0 is 200000")
	verbose := flags.Bool("v", false, "log what happens")
	if err := flags.Parse(args); err != nil {
		return options, fmt.Errorf("parse flags: %w", err)
	}
	if flags.NArg() > 0 {
		_, _ = fmt.Fprintf(errs, "wasim: unexpected argument %q\n", flags.Arg(0))
		flags.Usage()
		return options, errUsage
	}
	level := slog.LevelWarn
	if *verbose {
		level = slog.LevelInfo
	}
	options.Logger = slog.New(slog.NewTextHandler(errs, &slog.HandlerOptions{Level: level}))
	return options, nil
}

var errUsage = errors.New("wrong usage")
