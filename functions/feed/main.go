// Command feed is the function behind the batches and the bulk queue: it makes messages of batches.
package main

import (
	"context"
	"fmt"
	"os"

	"wafleet/functions/app"
	"wafleet/functions/internal/boot"
	"wafleet/functions/internal/feed"
	"wafleet/shared/message"
	"wafleet/shared/rpc"
	"wafleet/shared/store"
)

func main() {
	ctx := context.Background()
	os.Exit(boot.Function(ctx, os.Environ(), os.Stderr, newHandler(ctx)))
}

func newHandler(ctx context.Context) boot.NewHandler {
	return func(_ []string, deps app.Deps) (any, error) {
		installation, err := store.EnsureInstallation(ctx, deps.Pool, 0)
		if err != nil {
			return nil, fmt.Errorf("find installation: %w", err)
		}
		feeder, err := feed.New(feed.Deps{
			Store: store.New(deps.Pool, deps.Vault), Vault: deps.Vault, Queue: deps.Queue, Nudger: rpc.NewBoard(deps.Redis),
			IDs: message.NewIDs(installation.IDSecret), Logger: deps.Logger,
		})
		if err != nil {
			return nil, fmt.Errorf("make feeder: %w", err)
		}
		return invocation{handlers: feeder.Handlers(), log: deps.Logger}.handle, nil
	}
}
