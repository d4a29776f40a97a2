// Command sweep is the function behind the schedule: it finds what fell behind and puts it right.
package main

import (
	"context"
	"fmt"
	"os"

	"wafleet/functions/app"
	"wafleet/functions/internal/boot"
	"wafleet/functions/internal/sweep"
	"wafleet/shared/store"
)

func main() {
	os.Exit(boot.Function(context.Background(), os.Environ(), os.Stderr, newHandler))
}

func newHandler(_ []string, deps app.Deps) (any, error) {
	sweeper, err := sweep.New(sweep.Deps{
		Store: store.New(deps.Pool, deps.Vault), Queue: deps.Queue, Media: deps.Media, Logger: deps.Logger,
	}, sweep.Config{})
	if err != nil {
		return nil, fmt.Errorf("make sweeper: %w", err)
	}
	return schedule{sweeper: sweeper}.handle, nil
}
