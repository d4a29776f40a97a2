package health

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"
)

const (
	// defaultInterval leaves room for two lost reports within Lifetime.
	defaultInterval = 10 * time.Second
	// goodbye bounds the withdrawal of the report of a host that ends.
	goodbye = time.Second
)

// Reporter puts a host's report up at every interval, on each of the boards. One that fails is skipped until the next time.
type Reporter struct {
	// Interval between two reports; 0 means 10 s. Not to be changed after Start.
	Interval time.Duration

	measure func(ctx context.Context) Report
	boards  map[string]Board
	logger  *slog.Logger

	mu     sync.Mutex
	cancel context.CancelFunc
	loop   sync.WaitGroup
	last   string          // id under which the last report was put up; the loop's
	failed map[string]bool // boards that did not take the last report; the loop's
}

// NewReporter returns a reporter of what measure returns, which is called by one goroutine and must not take longer than the
// context. The boards' names are for the log.
func NewReporter(measure func(ctx context.Context) Report, boards map[string]Board, logger *slog.Logger) *Reporter {
	return &Reporter{measure: measure, boards: boards, logger: logger, failed: make(map[string]bool)}
}

// Start begins to report.
func (r *Reporter) Start(ctx context.Context) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.cancel != nil {
		return errors.New("reporter is started already")
	}
	interval := r.Interval
	if interval <= 0 {
		interval = defaultInterval
	}
	ctx, r.cancel = context.WithCancel(context.WithoutCancel(ctx))
	r.loop.Go(func() {
		for {
			r.report(ctx)
			timer := time.NewTimer(interval - rand.N(interval/10+1)) //nolint:gosec // jitter, not a secret
			select {
			case <-timer.C:
			case <-ctx.Done():
				timer.Stop()
				return
			}
		}
	})
	return nil
}

// Stop ends the reports and takes the last one down.
func (r *Reporter) Stop(ctx context.Context) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.cancel == nil {
		return nil
	}
	r.cancel()
	r.loop.Wait()
	r.cancel = nil
	ctx, cancel := context.WithTimeout(ctx, goodbye)
	defer cancel()
	for name, board := range r.boards {
		if err := board.Withdraw(ctx, r.last); err != nil {
			r.logger.InfoContext(ctx, "health.not_withdrawn", "board", name, "error", err) // it expires by itself
		}
	}
	return nil
}

func (r *Reporter) report(ctx context.Context) {
	report := r.measure(ctx)
	r.last = report.HostID
	for name, board := range r.boards {
		err := board.Put(ctx, report)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil && !r.failed[name]:
			r.logger.WarnContext(ctx, "health.not_reported", "board", name, "error", err)
		case err == nil && r.failed[name]:
			r.logger.InfoContext(ctx, "health.reported_again", "board", name)
		}
		r.failed[name] = err != nil
	}
}
