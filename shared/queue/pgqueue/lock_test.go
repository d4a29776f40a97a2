package pgqueue

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"wafleet/shared/queue"
	"wafleet/shared/queue/pgqueue/sqlcgen"
	"wafleet/shared/queue/queuetest"
	"wafleet/shared/store/pgtest"
)

const deadline = 10 * time.Second

// begin opens a transaction that stands for another process in the middle of a call.
func begin(t *testing.T, q *Queue) (pgx.Tx, *sqlcgen.Queries) {
	t.Helper()
	tx, err := q.pool.Begin(t.Context())
	require.NoError(t, err)
	t.Cleanup(func() { _ = tx.Rollback(context.WithoutCancel(t.Context())) })
	return tx, q.sql.WithTx(tx)
}

// sending sends within a transaction.
func sending(t *testing.T, sql *sqlcgen.Queries, group, body string) {
	t.Helper()
	sql.SendFIFO(t.Context(), []sqlcgen.SendFIFOParams{{Queue: jobs, GroupID: group, DedupID: body, Body: []byte(body)}}).
		Exec(func(_ int, err error) { require.NoError(t, err) })
}

// awaitBlocked waits until a statement of this database waits for a lock.
func awaitBlocked(t *testing.T, q *Queue) {
	t.Helper()
	require.Eventually(t, func() bool {
		var blocked bool
		err := q.pool.QueryRow(t.Context(),
			"SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock')").Scan(&blocked)
		return err == nil && blocked
	}, deadline, 5*time.Millisecond)
}

func TestGroupIsLockedBeforeTheClaimIsCommitted(t *testing.T) {
	t.Parallel()
	q := start(t, queuetest.Definitions(), Config{})
	send(t, q, "a", "a0", "a1")
	send(t, q, "b", "b0")
	tx, sql := begin(t, q)
	claimed, err := sql.ReceiveFIFO(t.Context(), sqlcgen.ReceiveFIFOParams{Queue: jobs, Most: 1, VisibilitySeconds: 60})
	require.NoError(t, err)
	require.Len(t, claimed, 1)
	require.Equal(t, "a0", string(claimed[0].Body))
	require.Equal(t, []string{"b0"}, bodies(receive(t, q, jobs)), "does not wait, and does not take a1")
	require.NoError(t, tx.Commit(t.Context()))
	require.Empty(t, receive(t, q, jobs))
}

func TestSenderDoesNotBlockReceiver(t *testing.T) {
	t.Parallel()
	q := start(t, queuetest.Definitions(), Config{})
	send(t, q, "a", "a0")
	tx, sql := begin(t, q)
	sending(t, sql, "a", "a1")
	require.Equal(t, []string{"a0"}, bodies(receive(t, q, jobs)))
	require.NoError(t, tx.Commit(t.Context()))
	require.Empty(t, receive(t, q, jobs), "sent into a group that was claimed meanwhile")
}

// Deleting the last message of a group removes the group. A sender that is about to commit into it must not be stranded.
func TestDeleteWaitsForSender(t *testing.T) {
	t.Parallel()
	q := start(t, queuetest.Definitions(), Config{})
	send(t, q, "a", "a0")
	received := receive(t, q, jobs)
	require.Len(t, received, 1)
	tx, sql := begin(t, q)
	sending(t, sql, "a", "a1")

	deleted := make(chan error, 1)
	go func() { deleted <- q.Delete(t.Context(), jobs, []string{received[0].Handle}) }()
	awaitBlocked(t, q)
	require.NoError(t, tx.Commit(t.Context()))
	require.NoError(t, <-deleted)
	require.Equal(t, []string{"a1"}, bodies(receive(t, q, jobs)))
}

// And the other way round: a sender that finds a group which is just being removed makes it anew.
func TestSenderWaitsForDelete(t *testing.T) {
	t.Parallel()
	q := start(t, queuetest.Definitions(), Config{})
	send(t, q, "a", "a0")
	received := receive(t, q, jobs)
	require.Len(t, received, 1)
	h, err := parseHandle(received[0].Handle)
	require.NoError(t, err)
	tx, sql := begin(t, q)
	stale, err := sql.DeleteFIFO(t.Context(), sqlcgen.DeleteFIFOParams{Queue: jobs, Ids: []int64{h.id}, Counts: []int{h.receives}})
	require.NoError(t, err)
	require.Empty(t, stale)

	sent := make(chan error, 1)
	go func() {
		sent <- q.Send(t.Context(), jobs, queue.Message{Group: "a", DedupID: "a1", Body: []byte("a1")})
	}()
	awaitBlocked(t, q)
	require.NoError(t, tx.Commit(t.Context()))
	require.NoError(t, <-sent)
	require.Equal(t, []string{"a1"}, bodies(receive(t, q, jobs)))
}

func TestRolledBackSendLeavesNothing(t *testing.T) {
	t.Parallel()
	q := start(t, queuetest.Definitions(), Config{})
	tx, sql := begin(t, q)
	sending(t, sql, "a", "a0")
	require.NoError(t, tx.Rollback(t.Context()))
	require.Empty(t, receive(t, q, jobs))
	send(t, q, "a", "a0") // its dedup id is free
	require.Len(t, receive(t, q, jobs), 1)
}

// Many receivers, few groups: at no time may two receivers hold messages of one group, whatever they do with them. A
// check for messages in flight that does not hold the group's lock fails this.
func TestGroupLockUnderContention(t *testing.T) {
	t.Parallel()
	const (
		groups    = 3
		each      = 150
		receivers = 8
	)
	definitions := queuetest.Definitions()
	definitions[0].MaxReceives, definitions[0].DeadLetters = 0, ""
	q := start(t, definitions, Config{}, pgtest.MaxConns(receivers+2))

	var (
		mu   sync.Mutex
		held = make(map[string]int) // group: receiver
		next = make(map[string]int) // group: the message that has to be deleted next
		left = groups * each
	)
	// claim notes who holds the groups of a batch, or which promise it breaks.
	claim := func(me int, received []queue.Received) error {
		mu.Lock()
		defer mu.Unlock()
		expected := make(map[string]int)
		for _, r := range received {
			if other, taken := held[r.Group]; taken && other != me {
				return fmt.Errorf("receiver %d got %s of group %s, which %d holds", me, r.Body, r.Group, other)
			}
			held[r.Group] = me
			if want := strconv.Itoa(next[r.Group] + expected[r.Group]); string(r.Body) != want {
				return fmt.Errorf("receiver %d got %s of group %s instead of %s", me, r.Body, r.Group, want)
			}
			expected[r.Group]++
		}
		return nil
	}
	// free notes that the first messages of each group will be deleted and the others handed back.
	free := func(received []queue.Received, keep func(group string) int) (remove, back []string) {
		mu.Lock()
		defer mu.Unlock()
		taken := make(map[string]int)
		for _, r := range received {
			taken[r.Group]++
			delete(held, r.Group)
			if taken[r.Group] > keep(r.Group) {
				back = append(back, r.Handle)
				continue
			}
			remove = append(remove, r.Handle)
			next[r.Group]++
			left--
		}
		return remove, back
	}
	finished := func() bool {
		mu.Lock()
		defer mu.Unlock()
		return left == 0
	}

	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	work, ctx := errgroup.WithContext(ctx)
	for g := range groups {
		work.Go(func() error {
			for i := range each {
				m := queue.Message{Group: fmt.Sprintf("g%d", g), DedupID: strconv.Itoa(i), Body: fmt.Append(nil, i)}
				if err := q.Send(ctx, jobs, m); err != nil {
					return err
				}
			}
			return nil
		})
	}
	for me := range receivers {
		work.Go(func() error {
			for !finished() {
				received, err := q.Receive(ctx, jobs, 1+rand.N(4), 20*time.Millisecond, time.Minute)
				if err != nil {
					return err
				}
				if len(received) == 0 {
					continue
				}
				if err := claim(me, received); err != nil {
					return err
				}
				keep := 0
				if rand.N(3) > 0 {
					keep = queue.MaxBatch
				}
				remove, back := free(received, func(string) int { return keep })
				if len(remove) > 0 {
					err = q.Delete(ctx, jobs, remove)
				} else {
					err = q.Extend(ctx, jobs, back, 0)
				}
				if err != nil {
					return err
				}
			}
			return nil
		})
	}
	require.NoError(t, work.Wait(), "a deadline that has passed means that a message was lost")
	var groupsLeft int
	require.NoError(t, q.pool.QueryRow(t.Context(), "SELECT count(*) FROM queue_fifo_groups").Scan(&groupsLeft))
	require.Zero(t, groupsLeft, "a group without messages is gone")
}

func TestReceiversOfAStandardQueueDoNotWaitForEachOther(t *testing.T) {
	t.Parallel()
	q := start(t, queuetest.Definitions(), Config{})
	for _, body := range []string{"x", "y"} {
		require.NoError(t, q.Send(t.Context(), work, queue.Message{Body: []byte(body)}))
	}
	tx, sql := begin(t, q)
	claimed, err := sql.ReceiveStandard(t.Context(), sqlcgen.ReceiveStandardParams{Queue: work, Most: 1, VisibilitySeconds: 60})
	require.NoError(t, err)
	require.Len(t, claimed, 1)
	require.Equal(t, []string{"y"}, bodies(receive(t, q, work)))
	require.NoError(t, tx.Rollback(t.Context()))
	require.Equal(t, []string{"x"}, bodies(receive(t, q, work)))
}
