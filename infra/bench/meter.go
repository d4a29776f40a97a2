package main

import (
	"context"
	"maps"
	"os"
	"time"

	"wafleet/infra/internal/figures"
	"wafleet/infra/internal/machine"
	"wafleet/infra/internal/rig"
)

// meter reads what processes and database use between two moments.
type meter struct {
	rig  *rig.Rig
	pids map[string]int
	cpu  map[string]time.Duration
	work rig.Work
}

func (m *measurement) newMeter(ctx context.Context) (*meter, error) {
	t := &meter{rig: m.rig, pids: map[string]int{"bench": os.Getpid()}, cpu: make(map[string]time.Duration)}
	maps.Copy(t.pids, m.rig.PIDs())
	for name, pid := range t.pids {
		var err error
		if t.cpu[name], err = cpuOf(name, pid); err != nil {
			return nil, err
		}
	}
	var err error
	t.work, err = m.rig.Work(ctx)
	return t, err
}

// read returns the cost of one of so many messages.
func (t *meter) read(ctx context.Context, messages int) (figures.Cost, error) {
	count := float64(max(messages, 1))
	cost := figures.Cost{CPUMs: make(map[string]float64)}
	for name, pid := range t.pids {
		now, err := cpuOf(name, pid)
		if err != nil {
			return cost, err
		}
		cost.CPUMs[name] = figures.Round(millis(now-t.cpu[name]) / count)
	}
	now, err := t.rig.Work(ctx)
	if err != nil {
		return cost, err
	}
	const kilo = 1 << 10
	cost.Commits = figures.Round(float64(now.Commits-t.work.Commits) / count)
	cost.WALKB = figures.Round(float64(now.WAL-t.work.WAL) / kilo / count)
	return cost, nil
}

// cpuOf is the CPU time of a part. All others are children of bench, so that its own has to do without them.
func cpuOf(name string, pid int) (time.Duration, error) {
	if name == "bench" {
		return machine.OwnCPU()
	}
	return machine.CPU(pid)
}

func millis(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
