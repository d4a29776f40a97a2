package main

import (
	"context"
	"errors"
	"os"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"wafleet/functions/internal/sweep"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// runner stands for the sweeper.
type runner func(ctx context.Context) error

func (r runner) Run(ctx context.Context) error { return r(ctx) }

var _ sweep.Runner = runner(nil)

func TestExampleEvent(t *testing.T) {
	t.Parallel()
	event, err := os.ReadFile("event.json")
	require.NoError(t, err)
	deadline := time.Now().Add(time.Minute)
	ctx, cancel := context.WithDeadline(t.Context(), deadline)
	defer cancel()
	var got time.Time
	s := schedule{sweeper: runner(func(ctx context.Context) error {
		got, _ = ctx.Deadline()
		return nil
	})}
	_, err = lambda.NewHandler(s.handle).Invoke(ctx, event)
	require.NoError(t, err)
	require.Equal(t, deadline.Add(-endMargin), got, "the sweep ends before Lambda ends it")
}

func TestErrorsFailTheInvocation(t *testing.T) {
	t.Parallel()
	broken := errors.New("database is gone")
	s := schedule{sweeper: runner(func(context.Context) error { return broken })}
	_, err := lambda.NewHandler(s.handle).Invoke(t.Context(), []byte(`{}`))
	require.ErrorContains(t, err, "database is gone")
}
