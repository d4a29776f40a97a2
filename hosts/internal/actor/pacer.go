package actor

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"wafleet/shared/pace"
	"wafleet/shared/store"
)

// Pacer makes the dials of a host wait for their slots, those that somebody waits for first, and knows from their
// outcomes whether the host's address is at fault or a session.
type Pacer struct {
	pace   *pace.Pace // nil: no limit
	left   chan struct{}
	handed sync.WaitGroup

	mu      sync.Mutex
	waiting []*turn
	running bool
	slot    time.Time // reserved and not used yet
	good    int       // connects that succeeded since the last slot was taken
	bad     int
	online  int
	failing map[string]struct{} // companies whose latest connect failed
}

// turn is a dial that waits.
type turn struct {
	urgent  func() bool
	granted chan struct{}
}

// NewPacer returns a pacer that takes its slots from the pace of the host's address; nil opens it.
func NewPacer(p *pace.Pace) *Pacer {
	return &Pacer{pace: p, left: make(chan struct{}, 1), failing: make(map[string]struct{})}
}

// Wait returns when the next connect is allowed, or with the context's error. The urgent go first; what is urgent may
// change while it waits.
func (p *Pacer) Wait(ctx context.Context, urgent func() bool) error {
	if p.pace == nil {
		return nil
	}
	t := &turn{urgent: urgent, granted: make(chan struct{})}
	p.join(t)
	select {
	case <-t.granted:
		return nil
	case <-ctx.Done():
		p.leave(t)
		return fmt.Errorf("wait for pacer: %w", ctx.Err())
	}
}

// Up notes that a session has logged in, Down that one that had is offline again.
func (p *Pacer) Up(companyID string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.online++
	delete(p.failing, companyID)
}

// Down takes an Up back.
func (p *Pacer) Down() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.online--
}

// Answered notes that a connect was answered: with a login, or with codes for a pairing.
func (p *Pacer) Answered() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.good++
}

// Failed notes that a connect led to nothing, and says whether that is the session's own failure: it is not while others
// fail as well and none is online.
func (p *Pacer) Failed(companyID string) (own bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.bad++
	p.failing[companyID] = struct{}{}
	return p.online > 0 || len(p.failing) == 1
}

// Forget drops what is known of a company.
func (p *Pacer) Forget(companyID string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.failing, companyID)
}

// Stop waits for what the pacer started. Nobody may wait for a slot any more.
func (p *Pacer) Stop() { p.handed.Wait() }

// look finds out between how many hosts the rate would have to be split.
func (p *Pacer) look(ctx context.Context, s *store.Store) error {
	if p.pace == nil {
		return nil
	}
	hosts, err := s.Queries().CountHosts(ctx, s.Pool())
	if err != nil {
		return fmt.Errorf("count hosts: %w", err)
	}
	p.pace.Share(int(hosts))
	return nil
}

func (p *Pacer) join(t *turn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.waiting = append(p.waiting, t)
	if !p.running {
		p.running = true
		p.handed.Go(p.hand)
	}
}

// leave takes a turn out of the queue. One that was granted meanwhile gives its slot back.
func (p *Pacer) leave(t *turn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if i := slices.Index(p.waiting, t); i >= 0 {
		p.waiting = slices.Delete(p.waiting, i, i+1)
	} else {
		p.slot = time.Now()
	}
	select {
	case p.left <- struct{}{}:
	default:
	}
}

// hand gives the slots to those who wait, one after the other, and ends when nobody does.
func (p *Pacer) hand() {
	timer := stoppedTimer()
	defer timer.Stop()
	for {
		slot, waited := p.next()
		if !waited {
			return
		}
		timer.Reset(time.Until(slot))
		select {
		case <-timer.C:
			p.grant()
		case <-p.left: // perhaps nobody waits any more
		}
	}
}

// next reserves a slot, unless nobody waits for one.
func (p *Pacer) next() (slot time.Time, waited bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.waiting) == 0 {
		p.running = false
		return time.Time{}, false
	}
	if p.slot.IsZero() {
		good, bad := p.good, p.bad
		p.good, p.bad = 0, 0
		p.mu.Unlock()
		wait := p.pace.Take(context.Background(), good, bad) // bounds itself
		p.mu.Lock()
		p.slot = time.Now().Add(wait)
	}
	return p.slot, true
}

// grant lets one go: the first of the urgent, or the first.
func (p *Pacer) grant() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.waiting) == 0 {
		return
	}
	i := max(slices.IndexFunc(p.waiting, func(t *turn) bool { return t.urgent() }), 0)
	close(p.waiting[i].granted)
	p.waiting = slices.Delete(p.waiting, i, i+1)
	p.slot = time.Time{}
}
