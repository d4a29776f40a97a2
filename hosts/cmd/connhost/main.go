// Command connhost is a connection host: it takes shards, keeps their companies' WhatsApp sockets, drains
// their outboxes and reports how it is.
package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// version is set by the build (-X main.version=…).
var version = "dev"

// drainTimeout bounds what the first signal asks for.
const drainTimeout = 30 * time.Second

func main() {
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	os.Exit(run(context.Background(), os.Environ(), signals, os.Stderr))
}

// run returns the exit code. The first signal drains the host, the second ends it at once.
func run(ctx context.Context, environ []string, signals <-chan os.Signal, stderr io.Writer) int {
	h, err := open(ctx, environ, stderr)
	if err != nil {
		fmt.Fprintln(stderr, "connhost:", err)
		return 1
	}
	if err := h.start(ctx); err != nil {
		h.logger.ErrorContext(ctx, "start", "error", err)
		return 1
	}
	select {
	case <-signals:
	case err := <-h.failed:
		h.logger.ErrorContext(ctx, "listen", "error", err)
	}
	return drain(ctx, h.stop, signals, h.logger)
}

// drain stops what runs, unless another signal comes first.
func drain(ctx context.Context, stop func(ctx context.Context) error, signals <-chan os.Signal, logger *slog.Logger) int {
	stopped := make(chan error, 1)
	go func() {
		ctx, cancel := context.WithTimeout(ctx, drainTimeout)
		defer cancel()
		stopped <- stop(ctx)
	}()
	select {
	case err := <-stopped:
		if err != nil {
			logger.ErrorContext(ctx, "stop", "error", err)
			return 1
		}
		return 0
	case <-signals:
		return 1
	}
}
