package queuetest

import (
	"time"

	"github.com/stretchr/testify/require"

	"wafleet/shared/queue"
)

var standardTests = []test{
	{"standard_fields", func(p *probe) {
		require.NoError(p, p.queue.Send(p.ctx, standard, queue.Message{Body: []byte("<a> & \"b\"")}))
		received := p.receive(standard, queue.MaxBatch, soon, 0)
		require.Len(p, received, 1)
		require.Equal(p, "<a> & \"b\"", string(received[0].Body))
		require.Equal(p, 1, received[0].Receives)
		require.False(p, received[0].SentAt.IsZero())
	}},
	{"standard_group_is_carried_along", func(p *probe) {
		require.NoError(p, p.queue.Send(p.ctx, standard, queue.Message{Group: "acme", Body: []byte("x")}))
		received := p.receive(standard, queue.MaxBatch, soon, 0)
		require.Len(p, received, 1)
		require.Equal(p, "acme", received[0].Group)
	}},
	{"standard_groups_lock_nothing", func(p *probe) {
		for _, body := range []string{"x", "y"} {
			require.NoError(p, p.queue.Send(p.ctx, standard, queue.Message{Group: "acme", Body: []byte(body)}))
		}
		first := p.receive(standard, 1, soon, 0)
		second := p.receive(standard, 1, soon, 0)
		require.ElementsMatch(p, []string{"x", "y"}, texts(append(first, second...)))
	}},
	{"standard_redelivers_when_visibility_ends", func(p *probe) {
		p.sendStandard("x")
		require.Len(p, p.receive(standard, 1, soon, brief), 1)
		again := p.receive(standard, 1, soon, 0)
		require.Equal(p, []string{"x"}, texts(again))
		require.Equal(p, 2, again[0].Receives)
	}},
	{"standard_delay", func(p *probe) {
		start := time.Now()
		require.NoError(p, p.queue.Send(p.ctx, standard, queue.Message{Delay: 2 * brief, Body: []byte("later")}))
		p.sendStandard("now")
		p.take(standard, "now")
		require.Empty(p, p.receive(standard, 1, 0, 0))
		p.take(standard, "later")
		require.Greater(p, time.Since(start), brief)
	}},
	{"standard_batch", func(p *probe) {
		require.NoError(p, p.queue.SendBatch(p.ctx, standard, []queue.Message{
			{Body: []byte("x")}, {Body: []byte("y")}, {Body: []byte("z"), Delay: brief},
		}))
		p.take(standard, "x", "y", "z")
	}},
}
