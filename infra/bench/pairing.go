package main

import (
	"context"
	"fmt"
	"time"

	"wafleet/infra/internal/figures"
	"wafleet/infra/internal/tenants"
)

// perPairing bounds the phase, beside phaseStart.
const perPairing = time.Second

// pair makes all companies and phones, and pairs them with the host that runs.
func (m *measurement) pair(ctx context.Context) error {
	m.say("pairing %d sessions", m.plan.Sessions)
	start, before := time.Now(), m.idleHost
	limited, cancel := context.WithTimeoutCause(ctx, phaseStart+time.Duration(m.plan.Sessions)*perPairing, errSlow)
	defer cancel()
	if err := tenants.Link(limited, m.rig.API(), m.rig.Simulator(), m.plan.Sessions); err != nil {
		return err
	}
	_, last, err := m.awaitConnected(ctx, start)
	if err != nil {
		return fmt.Errorf("pair sessions: %w", err)
	}
	seconds, count := last.Sub(start).Seconds(), float64(m.plan.Sessions)
	after, err := m.footprint(ctx)
	if err != nil {
		return err
	}
	idle, err := m.settle(ctx)
	if err != nil {
		return err
	}
	m.result.Pairing = figures.Pairing{
		Seconds: figures.Round(seconds), PerSecond: figures.Round(count / seconds),
		HostCPUMs: figures.Round(millis(after.cpu-before.cpu) / count), MemoryPerSessionKB: idle.MemoryPerSessionKB,
	}
	m.say("paired in %.1f s; %.0f KB a session", seconds, idle.MemoryPerSessionKB)
	return nil
}
