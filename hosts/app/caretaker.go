package app

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"
)

// careInterval is how often a host looks whether the day's clean-up is due. Half of it is random, so that the hosts of a
// fleet do not look all at once, and none looks while it starts.
const careInterval = time.Hour

// caretaker has the device store cleaned once a day, whichever host of the fleet comes first.
type caretaker struct {
	every  time.Duration
	care   func(ctx context.Context) (due bool, err error)
	logger *slog.Logger

	cancel  context.CancelFunc
	running sync.WaitGroup
}

func newCaretaker(care func(ctx context.Context) (due bool, err error), logger *slog.Logger) *caretaker {
	return &caretaker{every: careInterval, care: care, logger: logger}
}

// Start begins to look.
func (c *caretaker) Start(ctx context.Context) error {
	ctx, c.cancel = context.WithCancel(context.WithoutCancel(ctx))
	c.running.Go(func() {
		for {
			pause(ctx, c.every/2+rand.N(c.every)) //nolint:gosec // jitter, not a secret
			if ctx.Err() != nil {
				return
			}
			due, err := c.care(ctx)
			switch {
			case err != nil && ctx.Err() == nil:
				c.logger.WarnContext(ctx, "clean up device store", "error", err)
			case due && err == nil:
				c.logger.InfoContext(ctx, "device_store.cleaned_up")
			}
		}
	})
	return nil
}

// Stop breaks off what is under way: another host does it instead. It may be called before Start.
func (c *caretaker) Stop(context.Context) error {
	if c.cancel != nil {
		c.cancel()
		c.running.Wait()
	}
	return nil
}
