package pgqueue

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"wafleet/shared/queue"
	"wafleet/shared/queue/queuetest"
)

const (
	jobs     = "jobs.fifo"
	jobsDead = "jobs-dlq.fifo"
	work     = "jobs"
	workDead = "jobs-dlq"
)

// pass lets time pass for everything in the queues, by moving their times back.
func pass(tb testing.TB, q *Queue, d time.Duration) {
	tb.Helper()
	for _, statement := range []string{
		"UPDATE queue_standard SET visible_at = visible_at - $1::interval, sent_at = sent_at - $1::interval",
		"UPDATE queue_fifo SET held_until = held_until - $1::interval, sent_at = sent_at - $1::interval",
		"UPDATE queue_fifo_groups SET free_at = free_at - $1::interval",
		"UPDATE queue_fifo_dedup SET expires_at = expires_at - $1::interval",
	} {
		_, err := q.pool.Exec(tb.Context(), statement, d)
		require.NoError(tb, err)
	}
}

func send(tb testing.TB, q *Queue, group string, bodies ...string) {
	tb.Helper()
	for _, body := range bodies {
		require.NoError(tb, q.Send(tb.Context(), jobs, queue.Message{Group: group, DedupID: body, Body: []byte(body)}))
	}
}

// receive claims for a minute what is there now.
func receive(tb testing.TB, q *Queue, name string) []queue.Received {
	tb.Helper()
	received, err := q.Receive(tb.Context(), name, queue.MaxBatch, 0, time.Minute)
	require.NoError(tb, err)
	return received
}

func bodies(received []queue.Received) []string {
	texts := make([]string, len(received))
	for i, r := range received {
		texts[i] = string(r.Body)
	}
	return texts
}

func TestVisibilityEnds(t *testing.T) {
	t.Parallel()
	q := start(t, queuetest.Definitions(), Config{})
	send(t, q, "a", "a0", "a1")
	first := receive(t, q, jobs)
	require.Equal(t, []string{"a0", "a1"}, bodies(first))
	pass(t, q, 59*time.Second)
	require.Empty(t, receive(t, q, jobs))

	pass(t, q, time.Second)
	handles := []string{first[0].Handle, first[1].Handle}
	require.ErrorIs(t, q.Delete(t.Context(), jobs, handles), queue.ErrReceiptExpired, "nobody has received it again, but somebody may")
	require.ErrorIs(t, q.Extend(t.Context(), jobs, handles, time.Minute), queue.ErrReceiptExpired)
	require.Equal(t, []string{"a0", "a1"}, bodies(receive(t, q, jobs)))
}

func TestVisibilityOfAGroupEndsWithItsLastClaim(t *testing.T) {
	t.Parallel()
	q := start(t, queuetest.Definitions(), Config{})
	send(t, q, "a", "a0", "a1")
	first := receive(t, q, jobs)
	require.Len(t, first, 2)
	require.NoError(t, q.Extend(t.Context(), jobs, []string{first[1].Handle}, 10*time.Minute))
	pass(t, q, 2*time.Minute)
	require.Empty(t, receive(t, q, jobs), "a0 is visible, but a1 is in flight")
	require.NoError(t, q.Delete(t.Context(), jobs, []string{first[1].Handle}))
	require.Equal(t, []string{"a0"}, bodies(receive(t, q, jobs)))
}

func TestStandardHandle(t *testing.T) {
	t.Parallel()
	q := start(t, queuetest.Definitions(), Config{})
	require.NoError(t, q.Send(t.Context(), work, queue.Message{Body: []byte("x")}))
	stale := receive(t, q, work)
	require.Len(t, stale, 1)
	pass(t, q, time.Minute)
	fresh := receive(t, q, work)
	require.Len(t, fresh, 1)
	require.ErrorIs(t, q.Delete(t.Context(), work, []string{stale[0].Handle}), queue.ErrReceiptExpired)
	require.ErrorIs(t, q.Extend(t.Context(), work, []string{stale[0].Handle}, 0), queue.ErrReceiptExpired)
	require.Empty(t, receive(t, q, work), "the newer claim stands")

	pass(t, q, time.Minute)
	require.ErrorIs(t, q.Extend(t.Context(), work, []string{fresh[0].Handle}, time.Minute), queue.ErrReceiptExpired)
	require.NoError(t, q.Delete(t.Context(), work, []string{fresh[0].Handle}), "late, but nobody else has it")
	require.Empty(t, receive(t, q, work))
}

func TestHandleOfADeadLetter(t *testing.T) {
	t.Parallel()
	q := start(t, queuetest.Definitions(), Config{})
	send(t, q, "a", "a0")
	require.NoError(t, q.Send(t.Context(), work, queue.Message{Body: []byte("x")}))
	for name, dead := range map[string]string{jobs: jobsDead, work: workDead} {
		var last []queue.Received
		for range q.definitions[name].MaxReceives {
			last = receive(t, q, name)
			require.Len(t, last, 1)
			pass(t, q, time.Minute)
		}
		require.Empty(t, receive(t, q, name))
		require.ErrorIs(t, q.Delete(t.Context(), name, []string{last[0].Handle}), queue.ErrReceiptExpired)
		require.Len(t, receive(t, q, dead), 1)
	}
}

func TestDedupWindowEnds(t *testing.T) {
	t.Parallel()
	q := start(t, queuetest.Definitions(), Config{})
	send(t, q, "a", "a0")
	pass(t, q, queue.DedupWindow-10*time.Second)
	send(t, q, "a", "a0") // does not start the window anew
	require.Len(t, receive(t, q, jobs), 1)
	require.NoError(t, q.forget(t.Context()))
	send(t, q, "a", "a0")
	pass(t, q, 10*time.Second)
	send(t, q, "a", "a0")
	pass(t, q, time.Minute)
	require.Equal(t, []string{"a0", "a0"}, bodies(receive(t, q, jobs)))
}

func TestForget(t *testing.T) {
	t.Parallel()
	q := start(t, queuetest.Definitions(), Config{CleanEvery: 10 * time.Millisecond})
	send(t, q, "a", "a0", "a1")
	pass(t, q, queue.DedupWindow)
	send(t, q, "a", "a2")
	require.Eventually(t, func() bool {
		var left int
		err := q.pool.QueryRow(t.Context(), "SELECT count(*) FROM queue_fifo_dedup").Scan(&left)
		return err == nil && left == 1
	}, 10*time.Second, 10*time.Millisecond)
}

func TestRetention(t *testing.T) {
	t.Parallel()
	q := start(t, queuetest.Definitions(), Config{})
	send(t, q, "a", "a0")
	send(t, q, "b", "b0")
	require.NoError(t, q.Send(t.Context(), work, queue.Message{Body: []byte("x")}))
	pass(t, q, time.Hour)
	send(t, q, "a", "a1")
	require.NoError(t, q.Send(t.Context(), work, queue.Message{Body: []byte("y")}))

	require.NoError(t, q.expire(t.Context()))
	require.Equal(t, []string{"a1"}, bodies(receive(t, q, jobs)))
	require.Equal(t, []string{"y"}, bodies(receive(t, q, work)))
	send(t, q, "b", "b1")
	require.Equal(t, []string{"b1"}, bodies(receive(t, q, jobs)), "a group that was emptied works as before")
}
