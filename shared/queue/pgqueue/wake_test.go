package pgqueue

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"wafleet/shared/queue"
	"wafleet/shared/queue/queuetest"
	"wafleet/shared/store/pgtest"
)

// rarely is a look that does not come before a test ends.
const rarely = time.Hour

// waiting starts a long poll and returns once it waits.
func waiting(t *testing.T, q *Queue, name string) <-chan []queue.Received {
	t.Helper()
	result := make(chan []queue.Received, 1)
	go func() {
		received, err := q.Receive(t.Context(), name, 1, queue.MaxWait, time.Minute)
		if err != nil {
			received = nil
		}
		result <- received
	}()
	require.Eventually(t, func() bool { return len(q.board.queues()) == 1 }, deadline, time.Millisecond)
	return result
}

func awaitBody(t *testing.T, want string, result <-chan []queue.Received) {
	t.Helper()
	select {
	case received := <-result:
		require.Equal(t, []string{want}, bodies(received))
	case <-time.After(deadline):
		require.Fail(t, "nobody woke the receiver")
	}
}

func TestAnnouncementWakes(t *testing.T) {
	t.Parallel()
	q := start(t, queuetest.Definitions(), Config{LookEvery: rarely})
	result := waiting(t, q, jobs)
	send(t, q, "a", "a0")
	awaitBody(t, "a0", result)

	result = waiting(t, q, jobs)
	send(t, q, "a", "a1") // its group is in flight, so this announces nothing
	pass(t, q, time.Minute)
	send(t, q, "b", "b0")
	received := <-result
	require.Len(t, received, 1)
}

func TestAnnouncementFromAnotherProcessWakes(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t)
	here := startOn(t, pool, Config{LookEvery: rarely})
	there := startOn(t, pool, Config{LookEvery: rarely})
	result := waiting(t, here, jobs)
	send(t, there, "a", "a0")
	awaitBody(t, "a0", result)
}

func TestLookFindsWhatNobodyAnnounced(t *testing.T) {
	t.Parallel()
	q := start(t, queuetest.Definitions(), Config{LookEvery: 20 * time.Millisecond})
	result := waiting(t, q, work)
	_, err := q.pool.Exec(t.Context(),
		"INSERT INTO queue_standard (queue, visible_at, sent_at, body) VALUES ($1, now(), now(), 'x')", work)
	require.NoError(t, err)
	awaitBody(t, "x", result)
}

func TestLookComesInTimeForWhatIsDue(t *testing.T) {
	t.Parallel()
	q := start(t, queuetest.Definitions(), Config{LookEvery: time.Second})
	result := waiting(t, q, work)
	begin := time.Now()
	require.NoError(t, q.Send(t.Context(), work, queue.Message{Delay: 1500 * time.Millisecond, Body: []byte("x")}))
	awaitBody(t, "x", result)
	require.Greater(t, time.Since(begin), 1400*time.Millisecond)
}

func TestListenerComesBack(t *testing.T) {
	t.Parallel()
	q := start(t, queuetest.Definitions(), Config{LookEvery: rarely})
	result := waiting(t, q, jobs)
	_, err := q.pool.Exec(t.Context(), `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
		WHERE datname = current_database() AND query LIKE 'LISTEN %'`)
	require.NoError(t, err)
	send(t, q, "a", "a0") // announced to nobody, or to the new connection
	awaitBody(t, "a0", result)

	result = waiting(t, q, jobs)
	send(t, q, "b", "b0")
	awaitBody(t, "b0", result)
}

// statements counts what a pool executes.
type statements struct {
	all, looks atomic.Int64
}

func (s *statements) TraceQueryStart(ctx context.Context, _ *pgx.Conn, data pgx.TraceQueryStartData) context.Context {
	s.all.Add(1)
	if strings.Contains(data.SQL, "-- name: NextDue") {
		s.looks.Add(1)
	}
	return ctx
}

func (*statements) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

func TestWaitingOnManyQueuesCostsOneStatementALook(t *testing.T) {
	t.Parallel()
	const shards = 64
	var count statements
	q := start(t, queue.Definitions(shards), Config{LookEvery: 50 * time.Millisecond},
		pgtest.Configure(func(c *pgxpool.Config) { c.ConnConfig.Tracer = &count }))
	var receivers errgroup.Group
	for shard := range shards {
		receivers.Go(func() error {
			received, err := q.Receive(t.Context(), queue.Sends(shard), queue.MaxBatch, 2*time.Second, 0)
			if err == nil && len(received) > 0 {
				return fmt.Errorf("received %d messages from an empty queue", len(received))
			}
			return err
		})
	}
	require.NoError(t, receivers.Wait())
	require.Greater(t, count.looks.Load(), int64(5))
	// Each receiver claims, asks and claims again; and there are the looks, and the LISTEN.
	require.LessOrEqual(t, count.all.Load(), 3*shards+count.looks.Load()+1)
}
