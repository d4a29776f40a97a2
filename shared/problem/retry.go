package problem

import (
	"context"
	"math/rand/v2"
	"time"
)

// The waits of Retry where the problem does not say how long to wait: they double from the first to the longest.
const (
	firstWait   = 200 * time.Millisecond
	longestWait = 10 * time.Second
)

// Retry calls do until it returns nil or a problem that trying again does not mend, at most attempts times (one, if that
// is less). It waits as long as the problem asks for, else for a random part of a wait that doubles. It
// returns the last error, and the context's where that ends a wait.
func Retry(ctx context.Context, attempts int, do func(context.Context) error) error {
	wait := firstWait
	for n := 1; ; n++ {
		err := do(ctx)
		if err == nil {
			return nil
		}
		p := From(err)
		if !p.Retryable || n >= attempts {
			return err
		}
		pause := p.After
		if pause == 0 {
			pause = rand.N(wait) //nolint:gosec // jitter, not a secret
			wait = min(2*wait, longestWait)
		}
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return context.Cause(ctx) //nolint:wrapcheck // the caller's own
		}
	}
}
