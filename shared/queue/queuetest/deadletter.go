package queuetest

import (
	"github.com/stretchr/testify/require"

	"wafleet/shared/queue"
)

var deadLetterTests = []test{
	{"dead_letter_fifo", func(p *probe) {
		p.send("a", "a0", "a1")
		for n := range maxReceives {
			received := p.receive(fifo, 1, soon, 0)
			require.Equal(p, []string{"a0"}, texts(received))
			require.Equal(p, n+1, received[0].Receives)
			p.extend(fifo, 0, received...)
		}
		require.Equal(p, []string{"a1"}, texts(p.receive(fifo, queue.MaxBatch, soon, 0)), "the group goes on without it")
		dead := p.take(fifoDead, "a0")
		require.Equal(p, "a", dead[0].Group)
		p.remove(fifoDead, dead...)
	}},
	{"dead_letter_standard", func(p *probe) {
		p.sendStandard("x")
		for range maxReceives {
			p.extend(standard, 0, p.take(standard, "x")...)
		}
		p.nothing(standard)
		p.remove(standardDead, p.take(standardDead, "x")...)
	}},
	{"dead_letter_when_visibility_ends", func(p *probe) {
		p.send("a", "a0")
		for range maxReceives {
			require.Equal(p, []string{"a0"}, texts(p.receive(fifo, 1, soon, brief)))
		}
		p.nothing(fifo)
		p.nothing(fifo) // by the end of these two the last claim has run out and the queue has been asked
		p.take(fifoDead, "a0")
	}},
	{"dead_letter_keeps_order", func(p *probe) {
		p.send("a", "a0", "a1", "a2")
		for range maxReceives {
			received := p.receive(fifo, 2, soon, 0)
			require.Equal(p, []string{"a0", "a1"}, texts(received))
			p.extend(fifo, 0, received...)
		}
		p.take(fifo, "a2")
		require.Equal(p, []string{"a0", "a1"}, texts(p.take(fifoDead, "a0", "a1")))
	}},
	{"dead_letter_not_for_the_deleted", func(p *probe) {
		p.send("a", "a0")
		for range maxReceives - 1 {
			p.extend(fifo, 0, p.take(fifo, "a0")...)
		}
		p.remove(fifo, p.take(fifo, "a0")...)
		p.nothing(fifo)
		p.nothing(fifoDead)
	}},
}
