package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"wafleet/functions/internal/delivery"
	"wafleet/functions/internal/sweep"
	"wafleet/shared/media"
	"wafleet/shared/queue"
	"wafleet/shared/store"
	"wafleet/shared/webhook"
)

// WorkersDeps is what Workers stand on. The queue has to be started before them and stopped after them.
type WorkersDeps struct {
	Store   *store.Store
	Vault   store.Sealer
	Queue   queue.Queue
	Media   media.Store // nil: no files are kept
	Logger  *slog.Logger
	Metrics prometheus.Registerer // nil: not exported
}

// WorkersConfig tunes Workers. The zero value is that of a production system.
type WorkersConfig struct {
	// Schedule of webhook attempts; webhook.DefaultSchedule by default.
	Schedule webhook.Schedule
	// Dev and LoopbackTargets say where webhooks may go, as webhook.NewTargets takes them.
	Dev, LoopbackTargets bool
	// Deliveries is how many webhook attempts run at a time; 64 by default.
	Deliveries int
	// SweepEvery is the mean time between two sweeps; 5 s by default.
	SweepEvery time.Duration
}

// Workers do in one process what the functions deliver and sweep do on Lambda, with the same code.
type Workers struct {
	client     *webhook.Client
	deliveries *delivery.Worker
	sweeps     *sweep.Loop
}

// NewWorkers returns workers that are not started yet.
func NewWorkers(deps WorkersDeps, config WorkersConfig) (*Workers, error) {
	client := webhook.NewClient(webhook.NewTargets(config.Dev, config.LoopbackTargets), webhook.ClientConfig{})
	deliverer, err := delivery.New(delivery.Deps{
		Store: deps.Store, Vault: deps.Vault, Queue: deps.Queue, Client: client, Logger: deps.Logger, Metrics: deps.Metrics,
	}, delivery.Config{Schedule: config.Schedule})
	if err != nil {
		return nil, fmt.Errorf("make deliverer: %w", err)
	}
	sweeper, err := sweep.New(sweep.Deps{
		Store: deps.Store, Queue: deps.Queue, Media: deps.Media, Logger: deps.Logger, Metrics: deps.Metrics,
	}, sweep.Config{})
	if err != nil {
		return nil, fmt.Errorf("make sweeper: %w", err)
	}
	return &Workers{
		client:     client,
		deliveries: delivery.NewWorker(deps.Queue, deliverer, deps.Logger, config.Deliveries),
		sweeps:     sweep.NewLoop(sweeper, config.SweepEvery, deps.Logger),
	}, nil
}

// Start begins to deliver and to sweep, and returns at once.
func (w *Workers) Start(ctx context.Context) error {
	if err := w.deliveries.Start(ctx); err != nil {
		return fmt.Errorf("start deliveries: %w", err)
	}
	if err := w.sweeps.Start(ctx); err != nil {
		return errors.Join(fmt.Errorf("start sweeps: %w", err), w.deliveries.Stop(ctx))
	}
	return nil
}

// Stop takes no new work and waits for what is in flight; when ctx ends first, that is broken off and given back. It may
// be called again, and before Start.
func (w *Workers) Stop(ctx context.Context) error {
	err := errors.Join(w.sweeps.Stop(ctx), w.deliveries.Stop(ctx))
	w.client.Close()
	if err != nil {
		return fmt.Errorf("stop workers: %w", err)
	}
	return nil
}
