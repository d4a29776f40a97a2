package main

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"golang.org/x/sync/errgroup"

	"wafleet/infra/bench/internal/figures"
	"wafleet/infra/bench/internal/load"
	"wafleet/infra/bench/internal/machine"
)

const (
	// pairings is how many sessions are paired at a time.
	pairings = 16
	// qrWithin is how long a session may take to show its QR code.
	qrWithin = 30 * time.Second
	// perPairing and perLogin bound a phase, beside a start of its own.
	perPairing = time.Second
	perLogin   = 200 * time.Millisecond
	phaseStart = time.Minute

	poll = 50 * time.Millisecond
	// loginPoll is how often the database is asked whether all are back, the answer has the exact times.
	loginPoll = 100 * time.Millisecond
)

// company is the id, the phone, and the phone of the one customer of a company.
func company(n int) (companyID, phone, customer string) {
	return fmt.Sprintf("bench-%05d", n), strconv.Itoa(79010000000 + n), strconv.Itoa(79020000000 + n)
}

// pairsOf are the first so many companies with their customers.
func pairsOf(count int) []load.Pair {
	pairs := make([]load.Pair, count)
	for n := range pairs {
		id, _, customer := company(n)
		pairs[n] = load.Pair{CompanyID: id, Phone: customer}
	}
	return pairs
}

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

// pair makes all companies and phones, and pairs them with the host that runs.
func (m *measurement) pair(ctx context.Context) error {
	m.say("pairing %d sessions, %d at a time", m.plan.Sessions, pairings)
	start, before := time.Now(), m.idleHost
	limited, cancel := context.WithTimeoutCause(ctx, phaseStart+time.Duration(m.plan.Sessions)*perPairing, errSlow)
	defer cancel()
	work, limited := errgroup.WithContext(limited)
	work.SetLimit(pairings)
	for n := range m.plan.Sessions {
		work.Go(func() error { return m.pairOne(limited, n) })
	}
	if err := work.Wait(); err != nil {
		return fmt.Errorf("pair sessions: %w", err)
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

func (m *measurement) pairOne(ctx context.Context, n int) error {
	id, phone, customer := company(n)
	api, simulator := m.rig.API(), m.rig.Simulator()
	for _, number := range []string{phone, customer} {
		if err := simulator.AddPhone(ctx, number); err != nil {
			return err
		}
	}
	if err := api.CreateCompany(ctx, id); err != nil {
		return err
	}
	if err := api.Initialize(ctx, id); err != nil {
		return err
	}
	shown, cancel := context.WithTimeoutCause(ctx, qrWithin, errSlow)
	defer cancel()
	for {
		qr, err := api.QR(shown, id)
		if err != nil {
			return err
		}
		if qr != "" {
			return simulator.Scan(ctx, phone, qr)
		}
		if err := load.Pause(shown, poll); err != nil {
			return fmt.Errorf("wait for the QR code of %s: %w", id, err)
		}
	}
}

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
