package sweep

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"
)

const (
	// defaultEvery is the mean time between two sweeps.
	defaultEvery = 5 * time.Second
	// runTimeout bounds one sweep; what is left is the next one's.
	runTimeout = time.Minute
)

// errStarted says that a Loop was started twice.
var errStarted = errors.New("sweep loop is already started")

// Runner sweeps once; *Sweeper is one.
type Runner interface {
	Run(ctx context.Context) error
}

var _ Runner = (*Sweeper)(nil)

// Loop sweeps again and again, in a process that does not have a platform to do that.
type Loop struct {
	sweeper Runner
	every   time.Duration
	log     *slog.Logger

	// mu guards what follows.
	mu     sync.Mutex
	cancel context.CancelFunc // nil before Start
	done   chan struct{}
}

// NewLoop returns a loop with this mean time between sweeps; 0 means 5 s. The times vary by half, so that processes that
// were started together do not sweep together.
func NewLoop(sweeper Runner, every time.Duration, log *slog.Logger) *Loop {
	return &Loop{sweeper: sweeper, every: cmp.Or(every, defaultEvery), log: log}
}

// Start begins to sweep. ctx bounds nothing but the start; Stop ends the work.
func (l *Loop) Start(ctx context.Context) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.cancel != nil {
		return errStarted
	}
	running, cancel := context.WithCancel(context.WithoutCancel(ctx))
	l.cancel, l.done = cancel, make(chan struct{})
	go func() {
		defer close(l.done)
		l.loop(running)
	}()
	return nil
}

// Stop breaks off the sweep that runs, at the end of its transaction, and waits for that until ctx ends. It may be
// called again, and before Start.
func (l *Loop) Stop(ctx context.Context) error {
	l.mu.Lock()
	cancel, done := l.cancel, l.done
	l.mu.Unlock()
	if cancel == nil {
		return nil
	}
	cancel()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("wait for the sweep: %w", context.Cause(ctx))
	}
}

func (l *Loop) loop(ctx context.Context) {
	for {
		timer := time.NewTimer(l.every/2 + rand.N(l.every)) //nolint:gosec // jitter needs no secrecy
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return
		}
		l.run(ctx)
	}
}

func (l *Loop) run(ctx context.Context) {
	run, cancel := context.WithTimeout(ctx, runTimeout)
	defer cancel()
	if err := l.sweeper.Run(run); err != nil {
		l.log.ErrorContext(ctx, "sweep.failed", "error", err)
	}
}
