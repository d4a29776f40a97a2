package pgqueue

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"wafleet/shared/queue"
	"wafleet/shared/queue/queuetest"
)

// modelMessage is a message as the model knows it.
type modelMessage struct {
	body     string
	receives int
	// until is when its latest claim ends.
	until time.Duration
	// handle is that of its latest delivery.
	handle string
}

// model is what a FIFO queue with a dead-letter queue is: for each group, its messages in order.
type model struct {
	now         time.Duration
	maxReceives int
	groups      map[string][]*modelMessage
	dedup       map[string]time.Duration
	dead        []string
}

func newModel(maxReceives int) *model {
	return &model{maxReceives: maxReceives, groups: make(map[string][]*modelMessage), dedup: make(map[string]time.Duration)}
}

func (m *model) send(group, id string) {
	if until, known := m.dedup[group+id]; known && until > m.now {
		return
	}
	m.dedup[group+id] = m.now + queue.DedupWindow
	m.groups[group] = append(m.groups[group], &modelMessage{body: id})
}

// free reports whether nothing of a group is in flight.
func (m *model) free(group string) bool {
	return !slices.ContainsFunc(m.groups[group], func(x *modelMessage) bool { return x.until > m.now })
}

// bury moves the messages at the head of a free group that were received too often, up to the first that was not.
func (m *model) bury(group string) (buried bool) {
	for len(m.groups[group]) > 0 && m.groups[group][0].receives >= m.maxReceives {
		m.dead = append(m.dead, m.groups[group][0].body)
		m.groups[group] = m.groups[group][1:]
		buried = true
	}
	return buried
}

// receive checks a receive against the promises and follows it. Which free groups are served is the queue's choice.
func (m *model) receive(received []queue.Received, most int, visibility time.Duration) error {
	byGroup := make(map[string][]queue.Received)
	for _, r := range received {
		byGroup[r.Group] = append(byGroup[r.Group], r)
	}
	waiting, buried := 0, false
	for group := range m.groups {
		if !m.free(group) {
			if len(byGroup[group]) > 0 {
				return fmt.Errorf("group %s is in flight, but %v was received", group, bodies(byGroup[group]))
			}
			continue
		}
		if len(byGroup[group]) > 0 || len(received) < most {
			buried = m.bury(group) || buried
		}
		if len(byGroup[group]) > len(m.groups[group]) {
			return fmt.Errorf("group %s has %d messages, but %v was received", group, len(m.groups[group]), bodies(byGroup[group]))
		}
		waiting += len(m.groups[group])
		for i, r := range byGroup[group] {
			x := m.groups[group][i]
			if x.body != string(r.Body) {
				return fmt.Errorf("group %s: received %s instead of %s", group, r.Body, x.body)
			}
			x.receives, x.until, x.handle = x.receives+1, m.now+visibility, r.Handle
			if x.receives != r.Receives {
				return fmt.Errorf("%s was received %d times, not %d", x.body, x.receives, r.Receives)
			}
		}
	}
	// A receive that has buried something may leave it at fewer than it could have had, but not at nothing.
	if len(received) > most || (len(received) < most && len(received) < waiting && (!buried || len(received) == 0)) {
		return fmt.Errorf("%d messages were free, %d asked for, %d received", waiting, most, len(received))
	}
	return nil
}

// settle deletes a delivery (visibility below 0) or moves its end, and reports whether its handle was good.
func (m *model) settle(handle string, visibility time.Duration) bool {
	for group, messages := range m.groups {
		i := slices.IndexFunc(messages, func(x *modelMessage) bool { return x.handle == handle && x.until > m.now })
		if i < 0 {
			continue
		}
		if visibility < 0 {
			m.groups[group] = slices.Delete(messages, i, i+1)
		} else {
			messages[i].until = m.now + visibility
		}
		return true
	}
	return false
}

// has reports whether a handle is of a message that still exists, be it stale.
func (m *model) has(handle string, of map[string]string) bool {
	body := of[handle]
	if slices.Contains(m.dead, body) {
		return true
	}
	for _, messages := range m.groups {
		if slices.ContainsFunc(messages, func(x *modelMessage) bool { return x.body == body }) {
			return true
		}
	}
	return false
}

// Random operations on a queue and on the model, with time that passes in steps. Every visibility and every step are
// multiples of a minute and no sum of them is ever closer than that to another, so that real time does not matter.
func TestAgainstModel(t *testing.T) {
	t.Parallel()
	for range 8 {
		seed := rand.Uint64()
		t.Run(fmt.Sprintf("seed_%d", seed), func(t *testing.T) {
			t.Parallel()
			q := start(t, queuetest.Definitions(), Config{LookEvery: rarely})
			runModel(t, q, rand.New(rand.NewPCG(seed, seed)))
		})
	}
}

func runModel(t *testing.T, q *Queue, random *rand.Rand) {
	t.Helper()
	const operations = 150
	m := newModel(q.definitions[jobs].MaxReceives)
	var handles []string
	bodyOf := make(map[string]string)
	minutes := func(n int) time.Duration { return time.Duration(n) * time.Minute }
	for op := range operations {
		switch dice := random.IntN(10); {
		case dice < 4:
			group := fmt.Sprintf("g%d", random.IntN(3))
			id := fmt.Sprintf("%s-%d", group, random.IntN(40))
			if known, again := m.dedup[group+id]; again && known <= m.now {
				continue // bodies are unique in the model; the end of the window has its own test
			}
			require.NoError(t, q.Send(t.Context(), jobs, queue.Message{Group: group, DedupID: id, Body: []byte(id)}))
			m.send(group, id)
		case dice < 7:
			most, visibility := 1+random.IntN(4), minutes(1+random.IntN(4))
			received, err := q.Receive(t.Context(), jobs, most, 0, visibility)
			require.NoError(t, err)
			require.NoError(t, m.receive(received, most, visibility), "operation %d", op)
			for _, r := range received {
				handles = append(handles, r.Handle)
				bodyOf[r.Handle] = string(r.Body)
			}
		case dice < 9 && len(handles) > 0:
			handle := handles[random.IntN(len(handles))]
			if random.IntN(2) == 0 {
				good, exists := m.settle(handle, -1), m.has(handle, bodyOf)
				err := q.Delete(t.Context(), jobs, []string{handle})
				if good || !exists {
					require.NoError(t, err, "operation %d", op)
				} else {
					require.ErrorIs(t, err, queue.ErrReceiptExpired, "operation %d", op)
				}
				continue
			}
			visibility := minutes(random.IntN(4))
			good := m.settle(handle, visibility)
			err := q.Extend(t.Context(), jobs, []string{handle}, visibility)
			if good {
				require.NoError(t, err, "operation %d", op)
			} else {
				require.ErrorIs(t, err, queue.ErrReceiptExpired, "operation %d", op)
			}
		default:
			step := minutes(1)
			pass(t, q, step)
			m.now += step
		}
	}
	drain(t, q, m)
}

// drain lets every claim end and requires that queue and model then hold the same.
func drain(t *testing.T, q *Queue, m *model) {
	t.Helper()
	pass(t, q, time.Hour-time.Minute)
	m.now += time.Hour - time.Minute
	for {
		received, err := q.Receive(t.Context(), jobs, queue.MaxBatch, 0, time.Minute)
		require.NoError(t, err)
		require.NoError(t, m.receive(received, queue.MaxBatch, time.Minute))
		if len(received) == 0 {
			break
		}
		handles := make([]string, len(received))
		for i, r := range received {
			handles[i] = r.Handle
			require.True(t, m.settle(r.Handle, -1))
		}
		require.NoError(t, q.Delete(t.Context(), jobs, handles))
	}
	var dead []string
	for {
		received, err := q.Receive(t.Context(), jobsDead, queue.MaxBatch, 0, time.Minute)
		require.NoError(t, err)
		if len(received) == 0 {
			break
		}
		dead = append(dead, bodies(received)...)
		for _, r := range received {
			require.NoError(t, q.Delete(t.Context(), jobsDead, []string{r.Handle}))
		}
	}
	require.ElementsMatch(t, m.dead, dead)
	for group, messages := range m.groups {
		require.Empty(t, messages, "group %s", group)
	}
}
