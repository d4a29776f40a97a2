package pgqueue

import (
	"fmt"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"wafleet/shared/queue"
	"wafleet/shared/queue/pgqueue/sqlcgen"
	"wafleet/shared/queue/queuetest"
	"wafleet/shared/store/pgtest"
)

// Sends meet receivers that are just about to wait. Nobody looks, so every message has to be announced or to be seen by
// the look that follows the question: a wake-up that is lost leaves a receiver waiting.
func TestNoWakeUpIsLost(t *testing.T) {
	t.Parallel()
	const (
		pairs  = 4
		rounds = 100
	)
	for _, name := range []string{jobs, work} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			q := start(t, queuetest.Definitions(), Config{LookEvery: rarely}, pgtest.MaxConns(2*pairs))
			arrived := make([]chan struct{}, pairs)
			for i := range arrived {
				arrived[i] = make(chan struct{}, 1)
			}
			pairing, ctx := errgroup.WithContext(t.Context())
			for i := range pairs {
				pairing.Go(func() error { // a sender, which waits for each of its messages to arrive
					for round := range rounds {
						m := queue.Message{Group: fmt.Sprintf("g%d", i), Body: []byte(strconv.Itoa(i))}
						if name == jobs {
							m.DedupID = strconv.Itoa(round)
						}
						if err := q.Send(ctx, name, m); err != nil {
							return err
						}
						select {
						case <-arrived[i]:
						case <-ctx.Done():
							return fmt.Errorf("message %d of sender %d: %w", round, i, ctx.Err())
						}
					}
					return nil
				})
			}
			// Fewer receivers than senders, so that they are idle and busy in turn.
			for range pairs / 2 {
				pairing.Go(func() error {
					for range pairs * rounds / (pairs / 2) {
						received, err := q.Receive(ctx, name, 1, deadline, time.Minute)
						if err != nil {
							return err
						}
						if len(received) == 0 {
							return fmt.Errorf("waited for %v", deadline)
						}
						if err := q.Delete(ctx, name, handlesOf(received)); err != nil {
							return err
						}
						i, err := strconv.Atoi(string(received[0].Body))
						if err != nil {
							return err
						}
						arrived[i] <- struct{}{}
					}
					return nil
				})
			}
			require.NoError(t, pairing.Wait())
		})
	}
}

// announcements returns how often a queue was announced while a connection of its own listened.
func announcements(t *testing.T, q *Queue, during func()) int {
	t.Helper()
	conn, err := q.listen(t.Context())
	require.NoError(t, err)
	defer hangUp(t.Context(), conn)
	during()
	// Announcements arrive in the order of commits, so this one is the last.
	_, err = q.pool.Exec(t.Context(), "SELECT pg_notify($1, 'end')", channel)
	require.NoError(t, err)
	for n := 0; ; n++ {
		announced, err := conn.WaitForNotification(t.Context())
		require.NoError(t, err)
		if announced.Payload == "end" {
			return n
		}
	}
}

// ask waits for the announcement of what comes next.
func (q *Queue) ask(t *testing.T, name string) {
	t.Helper()
	_, err := q.pool.Exec(t.Context(), "SELECT queue_await($1)", name)
	require.NoError(t, err)
}

// Announcing serialises commits, so it is done once for each time that somebody has found nothing.
func TestOnlyTheAwaitedIsAnnounced(t *testing.T) {
	t.Parallel()
	q := start(t, queuetest.Definitions(), Config{LookEvery: rarely})
	require.Zero(t, announcements(t, q, func() { send(t, q, "a", "a0", "a1", "a2") }), "nobody waits")
	require.Equal(t, 1, announcements(t, q, func() {
		q.ask(t, jobs)
		send(t, q, "b", "b0", "b1", "b2")
	}))
	require.Equal(t, 1, announcements(t, q, func() {
		received := receive(t, q, jobs)
		require.Len(t, received, 6)
		q.ask(t, jobs)
		send(t, q, "a", "a3") // may not be received yet
		require.NoError(t, q.Delete(t.Context(), jobs, handlesOf(received)))
	}), "the delete frees the group")
	require.Zero(t, announcements(t, q, func() {
		q.ask(t, jobs)
		require.NoError(t, q.Send(t.Context(), work, queue.Message{Body: []byte("x")}))
	}), "another queue")
}

// A sender that takes long does not hold up the others, who would otherwise queue behind the receiver that asks.
func TestAwaitGivesUpOnASlowSender(t *testing.T) {
	t.Parallel()
	q := start(t, queuetest.Definitions(), Config{LookEvery: 50 * time.Millisecond})
	tx, sql := begin(t, q)
	sending(t, sql, "slow", "s0")
	result := waiting(t, q, jobs)
	send(t, q, "a", "a0")
	awaitBody(t, "a0", result)
	require.NoError(t, tx.Commit(t.Context()))
	require.Equal(t, []string{"s0"}, bodies(receive(t, q, jobs)))
}

// Whatever may have to be announced keeps others from asking until it is committed, or the answer could fall in between.
func TestChangesHoldOffTheQuestion(t *testing.T) {
	t.Parallel()
	q := start(t, queuetest.Definitions(), Config{LookEvery: rarely})
	ctx := t.Context()
	send(t, q, "a", "a0")
	require.NoError(t, q.Send(ctx, work, queue.Message{Body: []byte("x")}))
	fifo, standard := parseHandles(handlesOf(receive(t, q, jobs))), parseHandles(handlesOf(receive(t, q, work)))
	for name, change := range map[string]func(sql *sqlcgen.Queries) error{
		"send fifo": func(sql *sqlcgen.Queries) error {
			sending(t, sql, "b", "b0")
			return nil
		},
		"send standard": func(sql *sqlcgen.Queries) (err error) {
			sql.SendStandard(ctx, []sqlcgen.SendStandardParams{{Queue: work, Body: []byte("y")}}).Exec(func(_ int, e error) { err = e })
			return err
		},
		"delete fifo": func(sql *sqlcgen.Queries) error {
			_, err := sql.DeleteFIFO(ctx, sqlcgen.DeleteFIFOParams{Queue: jobs, Ids: fifo.ids, Counts: fifo.counts})
			return err
		},
		"extend fifo": func(sql *sqlcgen.Queries) error {
			_, err := sql.ExtendFIFO(ctx, sqlcgen.ExtendFIFOParams{Queue: jobs, Ids: fifo.ids, Counts: fifo.counts})
			return err
		},
		"extend standard": func(sql *sqlcgen.Queries) error {
			_, err := sql.ExtendStandard(ctx, sqlcgen.ExtendStandardParams{Queue: work, Ids: standard.ids, Counts: standard.counts})
			return err
		},
	} {
		tx, sql := begin(t, q)
		require.NoError(t, change(sql), name)
		var held bool
		require.NoError(t, tx.QueryRow(ctx, `SELECT EXISTS (SELECT FROM pg_locks
			WHERE locktype = 'advisory' AND mode = 'ShareLock' AND granted AND pid = pg_backend_pid())`).Scan(&held))
		require.True(t, held, name)
		require.NoError(t, tx.Rollback(ctx))
	}
}
