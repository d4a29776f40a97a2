package pgqueue

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"wafleet/shared/queue"
	"wafleet/shared/queue/queuetest"
	"wafleet/shared/store/pgtest"
)

const stopTimeout = 10 * time.Second

// start returns started queues on a database of their own.
func start(t testing.TB, definitions []queue.Definition, config Config, opts ...pgtest.Option) *Queue {
	t.Helper()
	q, err := New(pgtest.New(t, opts...), definitions, slog.New(slog.DiscardHandler), config)
	require.NoError(t, err)
	require.NoError(t, q.Start(t.Context()))
	t.Cleanup(func() { stop(t, q) })
	return q
}

func stop(t testing.TB, q *Queue) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), stopTimeout)
	defer cancel()
	require.NoError(t, q.Stop(ctx))
}

func TestConformance(t *testing.T) {
	t.Parallel()
	queuetest.Run(t, func(t *testing.T) queuetest.Harness {
		t.Helper()
		return queuetest.Harness{Queue: start(t, queuetest.Definitions(), Config{}), Server: "postgres"}
	})
}
