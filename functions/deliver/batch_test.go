package main

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"os"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambda"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"wafleet/functions/internal/delivery"
	"wafleet/shared/webhook"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// handler stands for the deliverer.
type handler func(ctx context.Context, body []byte) error

func (h handler) Handle(ctx context.Context, body []byte) error { return h(ctx, body) }

var _ delivery.Handler = handler(nil)

func newBatch(h handler) batch { return batch{handler: h, log: slog.New(slog.DiscardHandler)} }

// The event that the documentation's `sam local invoke` sends.
func TestExampleEvent(t *testing.T) {
	t.Parallel()
	event, err := os.ReadFile("event.json")
	require.NoError(t, err)
	var jobs []webhook.Job
	b := newBatch(func(_ context.Context, body []byte) error {
		job, err := webhook.DecodeJob(body)
		jobs = append(jobs, job)
		return err
	})
	answer, err := lambda.NewHandler(b.handle).Invoke(t.Context(), event)
	require.NoError(t, err)
	require.JSONEq(t, `{"batchItemFailures":null}`, string(answer))
	require.Len(t, jobs, 1)
	require.Equal(t, "962302", jobs[0].CompanyID)
}

func TestOnlyWhatFailedComesBack(t *testing.T) {
	t.Parallel()
	b := newBatch(func(_ context.Context, body []byte) error {
		if string(body) == "bad" {
			return errors.New("database is gone")
		}
		return nil
	})
	response, err := b.handle(t.Context(), events.SQSEvent{Records: []events.SQSMessage{
		{MessageId: "1", Body: "good"}, {MessageId: "2", Body: "bad"}, {MessageId: "3", Body: "good"},
	}})
	require.NoError(t, err)
	encoded, err := json.Marshal(response)
	require.NoError(t, err)
	require.JSONEq(t, `{"batchItemFailures":[{"itemIdentifier":"2"}]}`, string(encoded))
}

// A hanging endpoint costs the others of its batch no time, and everything ends before Lambda ends it.
func TestAttemptsRunSideBySideAndEndInTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		var mu sync.Mutex
		took := map[string]time.Duration{}
		start := time.Now()
		b := newBatch(func(ctx context.Context, body []byte) error {
			wait := 2 * time.Second
			if string(body) == "hangs" {
				wait = time.Hour
			}
			select {
			case <-time.After(wait):
			case <-ctx.Done():
			}
			mu.Lock()
			defer mu.Unlock()
			took[string(body)] = time.Since(start)
			return nil
		})
		_, err := b.handle(ctx, events.SQSEvent{Records: []events.SQSMessage{{Body: "hangs"}, {Body: "a"}, {Body: "b"}}})
		require.NoError(t, err)
		require.Equal(t, map[string]time.Duration{"a": 2 * time.Second, "b": 2 * time.Second, "hangs": 25 * time.Second}, took)
	})
}
