package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
	"testing"

	"go.uber.org/goleak"

	"wafleet/infra/internal/parts"
)

// TestMain makes this binary the parts of the system that bench itself is, when the rig starts it as one.
func TestMain(m *testing.M) {
	if len(os.Args) == 2 && parts.Known(os.Args[1]) {
		ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
		code := run(ctx, os.Args[1:], os.Environ(), os.Stdout, os.Stderr)
		stop()
		os.Exit(code)
	}
	goleak.VerifyTestMain(m)
}
