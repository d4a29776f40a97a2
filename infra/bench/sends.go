package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"wafleet/infra/internal/figures"
	"wafleet/infra/internal/load"
	"wafleet/infra/internal/tenants"
)

const (
	// grace is how long messages have to arrive in after the last call.
	grace = 30 * time.Second
	// hellos is how many messages each customer gets before anything is measured: first contacts cost more.
	hellos = 2
	// helloRate is how fast they are sent.
	helloRate = 50
)

var errSlow = errors.New("it took too long")

// measureSends warms up, then measures both loads.
func (m *measurement) measureSends(ctx context.Context) error {
	if err := m.sayHello(ctx); err != nil {
		return err
	}
	for n := range m.plan.Runs {
		run, err := m.openRun(ctx)
		if err != nil {
			return err
		}
		m.result.Open = append(m.result.Open, run)
		m.say("run %d at %.0f sends/s: accepted in p50 %.1f ms, p99 %.1f ms; on the phone in p50 %.1f ms, p99 %.1f ms; %d lost",
			n+1, m.plan.Rate, run.Accept.P50Ms, run.Accept.P99Ms, run.ToPhone.P50Ms, run.ToPhone.P99Ms, run.Lost)
	}
	for n := range m.plan.Runs {
		run, err := m.closedRun(ctx)
		if err != nil {
			return err
		}
		m.result.Closed = append(m.result.Closed, run)
		m.say("run %d with %d in flight: %.0f sends/s, p50 %.0f ms, p99 %.0f ms; %d lost",
			n+1, run.InFlight, run.PerSecond, run.ToPhone.P50Ms, run.ToPhone.P99Ms, run.Lost)
	}
	r := m.result
	r.AcceptP50Ms = figures.MedianOf(r.Open, func(o figures.Open) float64 { return o.Accept.P50Ms })
	r.AcceptP99Ms = figures.MedianOf(r.Open, func(o figures.Open) float64 { return o.Accept.P99Ms })
	r.P50Ms = figures.MedianOf(r.Open, func(o figures.Open) float64 { return o.ToPhone.P50Ms })
	r.P99Ms = figures.MedianOf(r.Open, func(o figures.Open) float64 { return o.ToPhone.P99Ms })
	r.SendsPerSecond = figures.MedianOf(r.Closed, func(s figures.Sends) float64 { return s.PerSecond })
	return nil
}

// sayHello lets every company that will send write to its customer. All of it has to arrive.
func (m *measurement) sayHello(ctx context.Context) error {
	pairs := tenants.Pairs(m.plan.Senders)
	m.say("first contacts of %d companies", len(pairs))
	_, sent, err := load.Open(ctx, m.rig.API(), pairs, helloRate, 0, hellos*time.Duration(len(pairs))*time.Second/helloRate)
	if err != nil {
		return fmt.Errorf("first contacts: %w", err)
	}
	_, outcome, err := m.collect(ctx, sent)
	if err != nil {
		return fmt.Errorf("first contacts: %w", err)
	}
	if outcome.Refused > 0 {
		return fmt.Errorf("first contacts: %d of %d calls were refused: %w", outcome.Refused, outcome.Calls, outcome.FirstError)
	}
	return nil
}

func (m *measurement) openRun(ctx context.Context) (figures.Open, error) {
	meter, err := m.newMeter(ctx)
	if err != nil {
		return figures.Open{}, err
	}
	warm, sent, err := load.Open(ctx, m.rig.API(), tenants.Pairs(m.plan.Senders), m.plan.Rate, m.plan.OpenWarm, m.plan.Open)
	if err != nil {
		return figures.Open{}, fmt.Errorf("send at a constant rate: %w", err)
	}
	cost, err := meter.read(ctx, len(warm)+len(sent))
	if err != nil {
		return figures.Open{}, err
	}
	arrived, _, err := m.collect(ctx, append(warm, sent...))
	if err != nil {
		return figures.Open{}, err
	}
	o := load.Judge(sent, arrived)
	return figures.Open{
		Accept: figures.Latencies(o.Accept), ToPhone: figures.Latencies(o.ToPhone), Handed: figures.Latencies(o.Handed),
		Calls: o.Calls, Refused: o.Refused, Lost: o.Lost, Cost: cost,
	}, nil
}

func (m *measurement) closedRun(ctx context.Context) (figures.Sends, error) {
	receipts, err := load.NewReceipts(ctx, m.rig.Simulator())
	if err != nil {
		return figures.Sends{}, err
	}
	meter, err := m.newMeter(ctx)
	if err != nil {
		return figures.Sends{}, err
	}
	start := time.Now()
	sent, err := m.sendAndFollow(ctx, receipts)
	if err != nil {
		return figures.Sends{}, fmt.Errorf("send as fast as it goes: %w", err)
	}
	cost, err := meter.read(ctx, len(sent))
	if err != nil {
		return figures.Sends{}, err
	}
	arrived, o, err := m.collect(ctx, sent)
	if err != nil {
		return figures.Sends{}, err
	}
	from, to := start.Add(m.plan.ClosedWarm), start.Add(m.plan.ClosedWarm+m.plan.Closed)
	return figures.Sends{
		PerSecond: figures.Round(float64(load.Within(sent, arrived, from, to)) / m.plan.Closed.Seconds()),
		ToPhone:   figures.Latencies(o.ToPhone), InFlight: m.plan.Busy * m.plan.PerBusy,
		Calls: o.Calls, Refused: o.Refused, Lost: o.Lost, Cost: cost,
	}, nil
}

// sendAndFollow sends while the journal is read, and ends both.
func (m *measurement) sendAndFollow(ctx context.Context, receipts *load.Receipts) (sent []load.Sent, err error) {
	work, ctx := errgroup.WithContext(ctx)
	following, end := context.WithCancel(ctx)
	work.Go(func() error { return receipts.Follow(following) })
	work.Go(func() (err error) {
		defer end()
		sent, err = load.Closed(ctx, m.rig.API(), receipts, tenants.Pairs(m.plan.Busy), m.plan.PerBusy, m.plan.ClosedWarm+m.plan.Closed)
		return err
	})
	err = work.Wait()
	return sent, err //nolint:wrapcheck // wrapped by the caller
}

// collect waits for the arrivals, and counts into the result what must not be: also what was sent to warm up.
func (m *measurement) collect(ctx context.Context, sent []load.Sent) (map[string]load.Arrival, load.Outcome, error) {
	arrived, err := load.Collect(ctx, m.rig.Simulator(), sent, grace)
	if err != nil {
		return nil, load.Outcome{}, err
	}
	o := load.Judge(sent, arrived)
	m.result.Lost += o.Lost
	m.result.Duplicates += o.Duplicates
	m.result.Refused += o.Refused
	if o.FirstError != nil {
		m.say("%d calls were refused: %v", o.Refused, o.FirstError)
	}
	return arrived, o, nil
}
