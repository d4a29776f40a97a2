package main

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"wafleet/functions/internal/feed"
)

// endMargin is kept free at the end of an invocation, so that the transaction under way can end in order.
const endMargin = 5 * time.Second

// errOtherQueue says that a message came from a queue that is not known here.
var errOtherQueue = errors.New("message of an unknown queue")

// invocation hands the messages of one invocation to the handlers of their queues.
type invocation struct {
	handlers map[string]feed.Handle // by the end of the queue's name, which a prefix may precede
	log      *slog.Logger
}

// handle works through the messages one after the other, so that memory stays that of one, and reports those that have to come
// back. The error is always nil: one bad message must not bring the others back.
func (i invocation) handle(ctx context.Context, event events.SQSEvent) (events.SQSEventResponse, error) {
	if deadline, ok := ctx.Deadline(); ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, deadline.Add(-endMargin))
		defer cancel()
	}
	var response events.SQSEventResponse
	for _, record := range event.Records {
		err := ctx.Err()
		if err == nil {
			err = i.handler(record.EventSourceARN)(ctx, []byte(record.Body))
		}
		if err == nil {
			continue
		}
		i.log.ErrorContext(ctx, "feed.job_failed",
			"queue", record.EventSourceARN, "receives", record.Attributes["ApproximateReceiveCount"], "error", err)
		response.BatchItemFailures = append(response.BatchItemFailures, events.SQSBatchItemFailure{ItemIdentifier: record.MessageId})
	}
	return response, nil
}

func (i invocation) handler(arn string) feed.Handle {
	for name, handle := range i.handlers {
		if strings.HasSuffix(arn, name) {
			return handle
		}
	}
	return func(context.Context, []byte) error { return errOtherQueue }
}
