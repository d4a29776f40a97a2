package queuetest

import (
	"github.com/stretchr/testify/require"

	"wafleet/shared/queue"
)

var settleTests = []test{
	{"delete_of_a_part_reports_each_handle", func(p *probe) {
		p.sendStandard("x", "y")
		received := p.take(standard, "x", "y")
		err := p.queue.Delete(p.ctx, standard, []string{received[0].Handle, "no-handle", received[1].Handle})
		var partial *queue.BatchError
		require.ErrorAs(p, err, &partial)
		require.Len(p, partial.Failed, 1)
		require.ErrorIs(p, partial.Failed[1], queue.ErrReceiptExpired)
		require.ErrorIs(p, err, queue.ErrReceiptExpired)
		p.nothing(standard)
	}},
	{"delete_twice", func(p *probe) {
		p.sendStandard("x")
		received := p.take(standard, "x")
		p.remove(standard, received...)
		p.remove(standard, received...)
	}},
	{"delete_with_stale_handle", func(p *probe) {
		p.send("a", "a0")
		stale := p.receive(fifo, 1, soon, brief)
		require.Len(p, stale, 1)
		fresh := p.take(fifo, "a0")
		require.NotEqual(p, stale[0].Handle, fresh[0].Handle)
		require.ErrorIs(p, p.queue.Delete(p.ctx, fifo, handlesOf(stale)), queue.ErrReceiptExpired)
		p.extend(fifo, 0, fresh...) // the newer claim is untouched, and so is the message
		p.take(fifo, "a0")
	}},
	{"extend_with_stale_handle", func(p *probe) {
		p.send("a", "a0")
		stale := p.receive(fifo, 1, soon, brief)
		require.Len(p, stale, 1)
		fresh := p.take(fifo, "a0")
		require.ErrorIs(p, p.queue.Extend(p.ctx, fifo, handlesOf(stale), 0), queue.ErrReceiptExpired)
		p.nothing(fifo)
		p.remove(fifo, fresh...)
	}},
	{"extend_of_a_part_reports_each_handle", func(p *probe) {
		p.sendStandard("x", "y")
		received := p.take(standard, "x", "y")
		err := p.queue.Extend(p.ctx, standard, []string{"no-handle", received[0].Handle, received[1].Handle}, 0)
		var partial *queue.BatchError
		require.ErrorAs(p, err, &partial)
		require.Len(p, partial.Failed, 1)
		require.ErrorIs(p, partial.Failed[0], queue.ErrReceiptExpired)
		p.take(standard, "x", "y")
	}},
	{"extend_standard_hides_for_longer", func(p *probe) {
		p.sendStandard("x")
		received := p.receive(standard, 1, soon, 2*brief)
		p.extend(standard, soon, received...)
		require.Empty(p, p.receive(standard, 1, 4*brief, 0))
		p.remove(standard, received...)
	}},
	{"extend_fifo_keeps_the_lock_for_longer", func(p *probe) {
		p.send("a", "a0", "a1")
		received := p.receive(fifo, 1, soon, 2*brief)
		p.extend(fifo, soon, received...)
		require.Empty(p, p.receive(fifo, 1, 4*brief, 0))
		p.remove(fifo, received...)
		require.Equal(p, []string{"a1"}, texts(p.receive(fifo, queue.MaxBatch, soon, 0)))
	}},
	{"extend_may_shorten", func(p *probe) {
		p.send("a", "a0")
		p.extend(fifo, brief, p.take(fifo, "a0")...)
		p.take(fifo, "a0")
	}},
	{"extend_to_zero_hands_back", func(p *probe) {
		p.sendStandard("x")
		p.send("a", "a0")
		p.extend(standard, 0, p.take(standard, "x")...)
		p.extend(fifo, 0, p.take(fifo, "a0")...)
		again := append(p.receive(standard, 1, soon, 0), p.receive(fifo, 1, soon, 0)...)
		require.Equal(p, []string{"x", "a0"}, texts(again))
		require.Equal(p, 2, again[0].Receives)
		require.Equal(p, 2, again[1].Receives)
	}},
}
