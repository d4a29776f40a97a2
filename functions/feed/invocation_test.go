package main

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"os"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambda"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"wafleet/functions/internal/batch"
	"wafleet/functions/internal/feed"
	"wafleet/shared/queue"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func newInvocation(batches, bulk feed.Handle) invocation {
	return invocation{handlers: map[string]feed.Handle{queue.Batches: batches, queue.Bulk: bulk}, log: slog.New(slog.DiscardHandler)}
}

func refuse(context.Context, []byte) error { return errors.New("not for this queue") }

// The event that the documentation's `sam local invoke` sends.
func TestExampleEvent(t *testing.T) {
	t.Parallel()
	event, err := os.ReadFile("event.json")
	require.NoError(t, err)
	var jobs []batch.Job
	i := newInvocation(func(_ context.Context, body []byte) error {
		job, err := batch.DecodeJob(body)
		jobs = append(jobs, job)
		return err
	}, refuse)
	answer, err := lambda.NewHandler(i.handle).Invoke(t.Context(), event)
	require.NoError(t, err)
	require.JSONEq(t, `{"batchItemFailures":null}`, string(answer))
	require.Equal(t, []batch.Job{{CompanyID: "962302", BatchID: "bat_5VQ6KZ2NDM4Y7RXA3BTCQHWLFE"}}, jobs)
}

func TestOnlyWhatFailedComesBack(t *testing.T) {
	t.Parallel()
	i := newInvocation(refuse, func(_ context.Context, body []byte) error {
		if string(body) == "bad" {
			return errors.New("database is gone")
		}
		return nil
	})
	const bulk = "arn:aws:sqs:eu-central-1:123456789012:wafleet-bulk"
	response, err := i.handle(t.Context(), events.SQSEvent{Records: []events.SQSMessage{
		{MessageId: "1", Body: "good", EventSourceARN: bulk},
		{MessageId: "2", Body: "bad", EventSourceARN: bulk},
		{MessageId: "3", Body: "good", EventSourceARN: "arn:aws:sqs:eu-central-1:123456789012:wafleet-webhooks"},
		{MessageId: "4", Body: "good", EventSourceARN: bulk},
	}})
	require.NoError(t, err)
	encoded, err := json.Marshal(response)
	require.NoError(t, err)
	require.JSONEq(t, `{"batchItemFailures":[{"itemIdentifier":"2"},{"itemIdentifier":"3"}]}`, string(encoded))
}

// What there is no time left for is not begun.
func TestAnInvocationEndsInTime(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), endMargin-time.Second)
	defer cancel()
	i := newInvocation(refuse, func(context.Context, []byte) error { return nil })
	response, err := i.handle(ctx, events.SQSEvent{Records: []events.SQSMessage{{MessageId: "1", EventSourceARN: "bulk"}}})
	require.NoError(t, err)
	require.Len(t, response.BatchItemFailures, 1)
}
