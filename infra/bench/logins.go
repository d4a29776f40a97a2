package main

import (
	"context"
	"fmt"
	"time"

	"wafleet/infra/internal/figures"
	"wafleet/infra/internal/load"
	"wafleet/infra/internal/machine"
)

const (
	// phaseStart and perLogin bound the wait for all sessions.
	phaseStart = time.Minute
	perLogin   = 200 * time.Millisecond
	// loginPoll is how often the database is asked whether all are back; its answer has the exact times.
	loginPoll = 100 * time.Millisecond
)

// measureLogins starts the host anew, several times.
func (m *measurement) measureLogins(ctx context.Context) error {
	for n := range m.plan.Runs {
		login, err := m.restart(ctx)
		if err != nil {
			return err
		}
		idle, err := m.settle(ctx)
		if err != nil {
			return err
		}
		m.result.Logins, m.result.Idle = append(m.result.Logins, login), append(m.result.Idle, idle)
		m.say("restart %d: %d logins in %.2f s (%.0f/s, from the first one on %.0f/s); idle %.0f KB a session, %.1f %% of a core",
			n+1, m.plan.Sessions, login.Seconds, login.PerSecond, login.SteadyPerSecond, idle.MemoryPerSessionKB, idle.CPUPercent)
	}
	m.result.LoginsPerSecond = figures.MedianOf(m.result.Logins, func(l figures.Login) float64 { return l.PerSecond })
	m.result.MemoryPerSessionKB = figures.MedianOf(m.result.Idle, func(i figures.Idle) float64 { return i.MemoryPerSessionKB })
	return nil
}

func (m *measurement) restart(ctx context.Context) (figures.Login, error) {
	stopping := time.Now()
	if err := m.rig.StopHost(ctx); err != nil {
		return figures.Login{}, err
	}
	stopped := time.Since(stopping)
	host, err := m.rig.StartHost(ctx)
	if err != nil {
		return figures.Login{}, err
	}
	first, last, err := m.awaitConnected(ctx, host.Started)
	if err != nil {
		return figures.Login{}, fmt.Errorf("log in again: %w", err)
	}
	if err := m.rig.AwaitHost(ctx); err != nil {
		return figures.Login{}, err
	}
	cpu, err := machine.CPU(host.PID())
	if err != nil {
		return figures.Login{}, err
	}
	seconds, count := last.Sub(host.Started).Seconds(), float64(m.plan.Sessions)
	login := figures.Login{
		PerSecond: figures.Round(count / seconds), Seconds: figures.Round(seconds),
		FirstSeconds: figures.Round(first.Sub(host.Started).Seconds()),
		HostCPUMs:    figures.Round(millis(cpu) / count), StopSeconds: figures.Round(stopped.Seconds()),
	}
	if steady := last.Sub(first).Seconds(); steady > 0 {
		login.SteadyPerSecond = figures.Round((count - 1) / steady)
	}
	return login, nil
}

// awaitConnected waits until all sessions have been connected since a time, and returns when the first and the last
// of them were.
func (m *measurement) awaitConnected(ctx context.Context, since time.Time) (first, last time.Time, err error) {
	limit := phaseStart + time.Duration(m.plan.Sessions)*perLogin
	ctx, cancel := context.WithTimeoutCause(ctx, limit, errSlow)
	defer cancel()
	for {
		var count int
		if count, first, last, err = m.rig.Connected(ctx, since); err != nil {
			return first, last, err
		}
		if count == m.plan.Sessions {
			return first, last, nil
		}
		if err := load.Pause(ctx, loginPoll); err != nil {
			return first, last, fmt.Errorf("%d of %d sessions are connected: %w", count, m.plan.Sessions, err)
		}
	}
}
