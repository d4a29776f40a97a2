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
func start(tb testing.TB, definitions []queue.Definition, config Config, opts ...pgtest.Option) *Queue {
	tb.Helper()
	q, err := New(pgtest.New(tb, opts...), definitions, slog.New(slog.DiscardHandler), config)
	require.NoError(tb, err)
	require.NoError(tb, q.Start(tb.Context()))
	tb.Cleanup(func() { stop(tb, q) })
	return q
}

func stop(tb testing.TB, q *Queue) {
	tb.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(tb.Context()), stopTimeout)
	defer cancel()
	require.NoError(tb, q.Stop(ctx))
}

func TestConformance(t *testing.T) {
	t.Parallel()
	queuetest.Run(t, func(t *testing.T) queuetest.Harness {
		t.Helper()
		return queuetest.Harness{Queue: start(t, queuetest.Definitions(), Config{}), Server: "postgres"}
	})
}
