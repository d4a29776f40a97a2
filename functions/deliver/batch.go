package main

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"wafleet/functions/internal/delivery"
)

// settleMargin is kept free at the end of an invocation, so that attempts that are broken off can still be given back.
const settleMargin = 5 * time.Second

// batch hands the messages of one invocation to the deliverer.
type batch struct {
	handler delivery.Handler
	log     *slog.Logger
}

// handle makes all attempts of a batch at once, because each of them mostly waits, and reports those that have to come
// back. The error is always nil: one bad message must not bring the others back.
func (b batch) handle(ctx context.Context, event events.SQSEvent) (events.SQSEventResponse, error) {
	if deadline, ok := ctx.Deadline(); ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, deadline.Add(-settleMargin))
		defer cancel()
	}
	var (
		attempts sync.WaitGroup
		mu       sync.Mutex // guards response
		response events.SQSEventResponse
	)
	for _, record := range event.Records {
		attempts.Go(func() {
			err := b.handler.Handle(ctx, []byte(record.Body))
			if err == nil {
				return
			}
			b.log.ErrorContext(ctx, "webhook.job_failed",
				"receives", record.Attributes["ApproximateReceiveCount"], "error", err)
			mu.Lock()
			defer mu.Unlock()
			response.BatchItemFailures = append(response.BatchItemFailures,
				events.SQSBatchItemFailure{ItemIdentifier: record.MessageId})
		})
	}
	attempts.Wait()
	return response, nil
}
