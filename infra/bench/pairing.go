package main

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"golang.org/x/sync/errgroup"

	"wafleet/infra/internal/figures"
	"wafleet/infra/internal/load"
)

const (
	// pairings is how many sessions are paired at a time.
	pairings = 16
	// qrWithin is how long a session may take to show its QR code. The first one is shown for a minute; when it gets lost
	// on its way to the board, the second one follows.
	qrWithin = 90 * time.Second
	qrPoll   = 50 * time.Millisecond
	// perPairing bounds the phase, beside phaseStart.
	perPairing = time.Second
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
		if err := load.Pause(shown, qrPoll); err != nil {
			return fmt.Errorf("wait for the QR code of %s: %w", id, err)
		}
	}
}
