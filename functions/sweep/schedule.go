package main

import (
	"context"
	"fmt"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"wafleet/functions/internal/sweep"
)

// endMargin is kept free at the end of an invocation, so that the transaction under way can end in order.
const endMargin = 2 * time.Second

// schedule runs one sweep for each event of the schedule.
type schedule struct {
	sweeper sweep.Runner
}

// handle sweeps until nothing is left or time is nearly up; the next event goes on from there. An error makes the
// invocation count as failed, which is what the alarm looks at.
func (s schedule) handle(ctx context.Context, _ events.EventBridgeEvent) error {
	if deadline, ok := ctx.Deadline(); ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, deadline.Add(-endMargin))
		defer cancel()
	}
	if err := s.sweeper.Run(ctx); err != nil {
		return fmt.Errorf("sweep: %w", err)
	}
	return nil
}
