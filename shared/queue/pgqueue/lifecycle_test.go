package pgqueue

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"wafleet/shared/queue"
	"wafleet/shared/queue/queuetest"
	"wafleet/shared/store/pgtest"
)

// startOn returns started queues on a pool.
func startOn(t *testing.T, pool *pgxpool.Pool, config Config) *Queue {
	t.Helper()
	q, err := New(pool, queuetest.Definitions(), slog.New(slog.DiscardHandler), config)
	require.NoError(t, err)
	require.NoError(t, q.Start(t.Context()))
	t.Cleanup(func() { stop(t, q) })
	return q
}

func TestLifecycle(t *testing.T) {
	t.Parallel()
	q, err := New(pgtest.New(t), queuetest.Definitions(), slog.New(slog.DiscardHandler), Config{})
	require.NoError(t, err)
	stop(t, q)

	send(t, q, "a", "a0")
	require.Len(t, receive(t, q, jobs), 1, "what does not wait needs no start")
	_, err = q.Receive(t.Context(), jobs, 1, time.Second, 0)
	require.ErrorIs(t, err, queue.ErrUnavailable)

	for range 2 {
		require.NoError(t, q.Start(t.Context()))
		require.Error(t, q.Start(t.Context()))
		stop(t, q)
		stop(t, q)
	}
}

func TestStartOutlivesItsContext(t *testing.T) {
	t.Parallel()
	q, err := New(pgtest.New(t), queuetest.Definitions(), slog.New(slog.DiscardHandler), Config{LookEvery: rarely})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	require.NoError(t, q.Start(ctx))
	t.Cleanup(func() { stop(t, q) })
	cancel()
	result := waiting(t, q, jobs)
	send(t, q, "a", "a0")
	awaitBody(t, "a0", result)
}

func TestStopEndsWaits(t *testing.T) {
	t.Parallel()
	q := start(t, queuetest.Definitions(), Config{})
	result := waiting(t, q, jobs)
	stop(t, q)
	select {
	case received := <-result:
		require.Empty(t, received)
	case <-time.After(deadline):
		require.Fail(t, "still waiting")
	}
}

func TestUnreachable(t *testing.T) {
	t.Parallel()
	pool, err := pgxpool.New(t.Context(), "postgres://nobody@127.0.0.1:1/none?sslmode=disable")
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	q, err := New(pool, queuetest.Definitions(), slog.New(slog.DiscardHandler), Config{})
	require.NoError(t, err)
	require.ErrorIs(t, q.Start(t.Context()), queue.ErrUnavailable)
	require.ErrorIs(t, q.Send(t.Context(), work, queue.Message{Body: []byte("x")}), queue.ErrUnavailable)
	require.ErrorIs(t, q.Delete(t.Context(), work, []string{"1-1"}), queue.ErrUnavailable)
	_, err = q.Receive(t.Context(), work, 1, 0, 0)
	require.ErrorIs(t, err, queue.ErrUnavailable)

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	err = q.Send(ctx, work, queue.Message{Body: []byte("x")})
	require.ErrorIs(t, err, context.Canceled)
	require.NotErrorIs(t, err, queue.ErrUnavailable)
}

func TestNewChecksDefinitions(t *testing.T) {
	t.Parallel()
	_, err := New(nil, []queue.Definition{{Name: "jobs"}}, slog.New(slog.DiscardHandler), Config{})
	var misuse *queue.MisuseError
	require.ErrorAs(t, err, &misuse)
}

func TestClassify(t *testing.T) {
	t.Parallel()
	for code, unavailable := range map[string]bool{
		"08006": true, "40P01": true, "53300": true, "55P03": true, "57P01": true, "57014": true, "25006": true,
		"42P01": false, "23514": false, "22021": false, "25P02": false, "55000": false,
	} {
		err := classify(t.Context(), "send", &pgconn.PgError{Code: code})
		require.Equal(t, unavailable, errors.Is(err, queue.ErrUnavailable), code)
	}
	require.ErrorIs(t, classify(t.Context(), "send", errors.New("broken pipe")), queue.ErrUnavailable)
	require.ErrorIs(t, classify(t.Context(), "send", context.DeadlineExceeded), queue.ErrUnavailable, "our own deadline")
}

func FuzzParseHandle(f *testing.F) {
	for _, seed := range []string{"", "1-1", "-1-1", "1", "1-", "-", "1-1-1", "9223372036854775807-2147483647", "1-4294967296"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		h, err := parseHandle(text)
		if err != nil {
			require.ErrorIs(t, err, queue.ErrReceiptExpired)
			return
		}
		again, err := parseHandle(h.String())
		require.NoError(t, err)
		require.Equal(t, h, again)
	})
}
