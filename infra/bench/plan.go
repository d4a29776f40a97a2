package main

import "time"

// Plan is how much is measured, and for how long.
type Plan struct {
	Sessions int
	Runs     int           // of everything that is measured more than once
	Settle   time.Duration // from the last login to the figures of an idle host
	Senders  int           // companies that send at the constant rate

	Rate     float64 // a second
	OpenWarm time.Duration
	Open     time.Duration

	Busy       int // companies that send as fast as it goes
	PerBusy    int // messages in flight for each of them
	ClosedWarm time.Duration
	Closed     time.Duration

	BaileysSessions, BaileysSends int
}

// large is the number of sessions from which figures are worth the time of a full measurement.
const large = 100

// NewPlan returns a full measurement, or one that takes about a minute for few sessions.
func NewPlan(sessions int, rate float64) Plan {
	p := Plan{
		Sessions: sessions, Runs: 3, Senders: min(sessions, 100), Rate: rate, Busy: min(sessions, 16), PerBusy: 8,
		Settle: 20 * time.Second, OpenWarm: 3 * time.Second, Open: 20 * time.Second,
		ClosedWarm: 2 * time.Second, Closed: 10 * time.Second,
		BaileysSessions: 50, BaileysSends: 500,
	}
	if sessions < large {
		p.Settle, p.OpenWarm, p.Open = 3*time.Second, time.Second, 4*time.Second
		p.ClosedWarm, p.Closed = time.Second, 3*time.Second
		p.BaileysSessions, p.BaileysSends = 10, 100
	}
	return p
}

// OpenFiles is how many files one process may need: a socket for each session, and what it works with.
func (p Plan) OpenFiles() uint64 { return uint64(p.Sessions) + 1000 } //nolint:gosec // both are small and positive
