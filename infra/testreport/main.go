// Command testreport runs `go test` and says what it did:
//
//	testreport go test -race ./...
//
// Packages are shown as they end and failed tests with their output, as `go test` does. At the end it lists what was
// skipped and why, which `go test` keeps to itself, and what failed. With REQUIRE_ALL=1 a skipped test is a failure. The
// exit code is that of the command, 1 for tests that were skipped and should not have been, 2 for wrong usage.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	// The command gets these signals, too; it ends, and then so does this process.
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	os.Exit(run(context.Background(), os.Args[1:], os.Getenv("REQUIRE_ALL") == "1", os.Stdout, os.Stderr))
}
