package queuetest

import (
	"github.com/stretchr/testify/require"

	"wafleet/shared/queue"
)

var fifoTests = []test{
	{"fifo_order_within_group", func(p *probe) {
		p.send("a", "a0", "a1", "a2", "a3")
		for _, want := range []string{"a0", "a1", "a2", "a3"} {
			received := p.receive(fifo, 1, soon, 0)
			require.Equal(p, []string{want}, texts(received))
			p.remove(fifo, received...)
		}
		p.nothing(fifo)
	}},
	{"fifo_fields", func(p *probe) {
		require.NoError(p, p.queue.Send(p.ctx, fifo, queue.Message{Group: "group/1", DedupID: "3EB0AB:1", Body: []byte("Привет, \"мир\" <&> 🙂\r\n")}))
		received := p.receive(fifo, queue.MaxBatch, soon, 0)
		require.Len(p, received, 1)
		require.Equal(p, "group/1", received[0].Group)
		require.Equal(p, "3EB0AB:1", received[0].DedupID)
		require.Equal(p, "Привет, \"мир\" <&> 🙂\r\n", string(received[0].Body))
		require.Equal(p, 1, received[0].Receives)
		require.False(p, received[0].SentAt.IsZero())
	}},
	{"fifo_group_locked_while_in_flight", func(p *probe) {
		p.send("a", "a0", "a1")
		first := p.receive(fifo, 1, soon, 0)
		require.Equal(p, []string{"a0"}, texts(first))
		p.nothing(fifo)
		p.send("b", "b0")
		p.send("a", "a2")
		p.take(fifo, "b0")
		p.nothing(fifo)
		p.remove(fifo, first...)
		require.Equal(p, []string{"a1", "a2"}, texts(p.receive(fifo, queue.MaxBatch, soon, 0)))
	}},
	{"fifo_several_of_a_group_in_one_receive", func(p *probe) {
		p.send("a", "a0", "a1", "a2", "a3")
		require.Equal(p, []string{"a0", "a1", "a2", "a3"}, texts(p.receive(fifo, queue.MaxBatch, soon, 0)))
	}},
	{"fifo_group_locked_until_all_are_settled", func(p *probe) {
		p.send("a", "a0", "a1", "a2")
		received := p.receive(fifo, 2, soon, 0)
		require.Equal(p, []string{"a0", "a1"}, texts(received))
		p.remove(fifo, received[0])
		p.nothing(fifo)
		p.remove(fifo, received[1])
		require.Equal(p, []string{"a2"}, texts(p.receive(fifo, queue.MaxBatch, soon, 0)))
	}},
	{"fifo_order_after_visibility_ends", func(p *probe) {
		p.send("a", "a0", "a1", "a2")
		require.Equal(p, []string{"a0", "a1", "a2"}, texts(p.receive(fifo, queue.MaxBatch, soon, brief)))
		again := p.receive(fifo, queue.MaxBatch, soon, 0)
		require.Equal(p, []string{"a0", "a1", "a2"}, texts(again))
		require.Equal(p, 2, again[0].Receives)
	}},
	{"fifo_order_after_hand_back", func(p *probe) {
		p.send("a", "a0", "a1", "a2")
		received := p.receive(fifo, queue.MaxBatch, soon, 0)
		require.Equal(p, []string{"a0", "a1", "a2"}, texts(received))
		p.remove(fifo, received[1])
		p.extend(fifo, 0, received[0], received[2])
		p.send("a", "a3")
		require.Equal(p, []string{"a0", "a2", "a3"}, texts(p.receive(fifo, queue.MaxBatch, soon, 0)))
	}},
	{"fifo_hand_back_of_a_part_keeps_the_lock", func(p *probe) {
		p.send("a", "a0", "a1")
		received := p.receive(fifo, queue.MaxBatch, soon, 0)
		require.Equal(p, []string{"a0", "a1"}, texts(received))
		p.extend(fifo, 0, received[1])
		p.nothing(fifo)
		p.remove(fifo, received[0])
		require.Equal(p, []string{"a1"}, texts(p.receive(fifo, queue.MaxBatch, soon, 0)))
	}},
	{"fifo_groups_do_not_wait_for_each_other", func(p *probe) {
		for batch := range 5 {
			messages := make([]queue.Message, queue.MaxBatch)
			for i := range messages {
				id := string(rune('a'+batch)) + string(rune('0'+i))
				messages[i] = queue.Message{Group: "loud", DedupID: id, Body: []byte(id)}
			}
			require.NoError(p, p.queue.SendBatch(p.ctx, fifo, messages))
		}
		require.NotEmpty(p, p.receive(fifo, 1, soon, 0))
		p.send("quiet", "q0")
		p.take(fifo, "q0")
	}},
	{"fifo_batch_keeps_order", func(p *probe) {
		require.NoError(p, p.queue.SendBatch(p.ctx, fifo, []queue.Message{
			{Group: "b", DedupID: "b0", Body: []byte("b0")},
			{Group: "a", DedupID: "a0", Body: []byte("a0")},
			{Group: "b", DedupID: "b1", Body: []byte("b1")},
			{Group: "a", DedupID: "a1", Body: []byte("a1")},
		}))
		byGroup := make(map[string][]string)
		for _, r := range p.take(fifo, "a0", "a1", "b0", "b1") {
			byGroup[r.Group] = append(byGroup[r.Group], string(r.Body))
		}
		require.Equal(p, map[string][]string{"a": {"a0", "a1"}, "b": {"b0", "b1"}}, byGroup)
	}},
}
