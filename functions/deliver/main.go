// Command deliver is the function behind the webhooks queue: every message is one attempt to deliver a webhook.
package main

import (
	"context"
	"fmt"
	"os"

	"wafleet/functions/app"
	"wafleet/functions/internal/boot"
	"wafleet/functions/internal/delivery"
	"wafleet/shared/config"
	"wafleet/shared/store"
	"wafleet/shared/webhook"
)

func main() {
	os.Exit(boot.Function(context.Background(), os.Environ(), os.Stderr, newHandler))
}

func newHandler(environ []string, deps app.Deps) (any, error) {
	settings, err := config.Load[config.Webhooks](environ)
	if err != nil {
		return nil, fmt.Errorf("load settings: %w", err)
	}
	targets := webhook.NewTargets(deps.Config.Mode.Dev(), deps.Config.AllowLoopbackTargets)
	deliverer, err := delivery.New(delivery.Deps{
		Store: store.New(deps.Pool, deps.Vault), Vault: deps.Vault, Queue: deps.Queue,
		Client: webhook.NewClient(targets, webhook.ClientConfig{}), Logger: deps.Logger,
	}, delivery.Config{Schedule: settings.Schedule})
	if err != nil {
		return nil, fmt.Errorf("make deliverer: %w", err)
	}
	return batch{handler: deliverer, log: deps.Logger}.handle, nil
}
