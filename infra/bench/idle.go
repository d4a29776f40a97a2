package main

import (
	"context"
	"time"

	"wafleet/infra/internal/figures"
	"wafleet/infra/internal/load"
	"wafleet/infra/internal/machine"
)

// footprint is what the host holds at a moment.
type footprint struct {
	rss     int64
	cpu     time.Duration
	at      time.Time
	metrics map[string]float64
}

func (m *measurement) footprint(ctx context.Context) (f footprint, err error) {
	pid := m.rig.PIDs()["connhost"]
	if f.rss, err = machine.RSS(pid); err != nil {
		return f, err
	}
	f.at = time.Now()
	if f.cpu, err = machine.CPU(pid); err != nil {
		return f, err
	}
	f.metrics, err = m.rig.Metrics(ctx)
	return f, err
}

// measureIdleHost is the host before its first session.
func (m *measurement) measureIdleHost(ctx context.Context) error {
	m.say("starting the connection host")
	if _, err := m.rig.StartHost(ctx); err != nil {
		return err
	}
	if err := m.rig.AwaitHost(ctx); err != nil {
		return err
	}
	if err := load.Pause(ctx, m.plan.Settle/2); err != nil {
		return err
	}
	var err error
	m.idleHost, err = m.footprint(ctx)
	return err
}

// settle leaves the host alone for a while and returns what it holds then. CPU time is that of the second half.
func (m *measurement) settle(ctx context.Context) (figures.Idle, error) {
	if err := load.Pause(ctx, m.plan.Settle/2); err != nil {
		return figures.Idle{}, err
	}
	before, err := m.footprint(ctx)
	if err != nil {
		return figures.Idle{}, err
	}
	if err := load.Pause(ctx, m.plan.Settle/2); err != nil {
		return figures.Idle{}, err
	}
	now, err := m.footprint(ctx)
	if err != nil {
		return figures.Idle{}, err
	}
	const mega, kilo = 1 << 20, 1 << 10
	count := float64(m.plan.Sessions)
	grown := func(name string) float64 { return now.metrics[name] - m.idleHost.metrics[name] }
	return figures.Idle{
		MemoryPerSessionKB: figures.Round(float64(now.rss-m.idleHost.rss) / kilo / count),
		RSSMB:              figures.Round(float64(now.rss) / mega), BaselineMB: figures.Round(float64(m.idleHost.rss) / mega),
		CPUPercent: figures.Round(100 * float64(now.cpu-before.cpu) / float64(now.at.Sub(before.at))),
		Heap: figures.Heap{
			InUseKB:    figures.Round(grown("go_memstats_heap_inuse_bytes") / kilo / count),
			StacksKB:   figures.Round(grown("go_memstats_stack_inuse_bytes") / kilo / count),
			IdleKB:     figures.Round((grown("go_memstats_heap_idle_bytes") - grown("go_memstats_heap_released_bytes")) / kilo / count),
			Goroutines: figures.Round(grown("go_goroutines") / count),
		},
	}, nil
}
