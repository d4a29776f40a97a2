package queuetest

import (
	"github.com/stretchr/testify/require"

	"wafleet/shared/queue"
)

var dedupTests = []test{
	{"dedup_within_window", func(p *probe) {
		p.send("a", "a0", "a0", "a1", "a0")
		require.Equal(p, []string{"a0", "a1"}, texts(p.receive(fifo, queue.MaxBatch, soon, 0)))
	}},
	{"dedup_by_id_whatever_the_body", func(p *probe) {
		require.NoError(p, p.queue.Send(p.ctx, fifo, queue.Message{Group: "a", DedupID: "id", Body: []byte("first")}))
		require.NoError(p, p.queue.Send(p.ctx, fifo, queue.Message{Group: "a", DedupID: "id", Body: []byte("second")}))
		require.NoError(p, p.queue.Send(p.ctx, fifo, queue.Message{Group: "a", DedupID: "other", Body: []byte("first")}))
		received := p.receive(fifo, queue.MaxBatch, soon, 0)
		require.Equal(p, []string{"first", "first"}, texts(received))
		require.Equal(p, []string{"id", "other"}, []string{received[0].DedupID, received[1].DedupID})
	}},
	{"dedup_outlives_the_message", func(p *probe) {
		p.send("a", "a0")
		p.remove(fifo, p.take(fifo, "a0")...)
		p.send("a", "a0")
		p.nothing(fifo)
	}},
	{"dedup_while_in_flight", func(p *probe) {
		p.send("a", "a0")
		received := p.take(fifo, "a0")
		p.send("a", "a0")
		p.remove(fifo, received...)
		p.nothing(fifo)
	}},
	{"dedup_within_a_batch", func(p *probe) {
		m := queue.Message{Group: "a", DedupID: "a0", Body: []byte("a0")}
		require.NoError(p, p.queue.SendBatch(p.ctx, fifo, []queue.Message{m, m}))
		p.take(fifo, "a0")
		p.nothing(fifo)
	}},
	{"dedup_scoped_to_the_group", func(p *probe) {
		for _, group := range []string{"a", "b"} {
			require.NoError(p, p.queue.Send(p.ctx, fifo, queue.Message{Group: group, DedupID: "same", Body: []byte(group)}))
		}
		p.take(fifo, "a", "b")
	}},
}
