package queuetest

import (
	"context"
	"strconv"
	"time"

	"github.com/stretchr/testify/require"

	"wafleet/shared/queue"
)

// pause is long enough for a receive that was started before to be waiting.
const pause = 300 * time.Millisecond

// outcome is what a receive in another goroutine came to.
type outcome struct {
	received []queue.Received
	err      error
}

// receiving starts a long poll for one message.
func (p *probe) receiving(ctx context.Context, name string) <-chan outcome {
	result := make(chan outcome, 1)
	go func() {
		received, err := p.queue.Receive(ctx, name, 1, soon, 0)
		result <- outcome{received, err}
	}()
	return result
}

var waitTests = []test{
	{"wait_for_nothing", func(p *probe) {
		start := time.Now()
		require.Empty(p, p.receive(fifo, 1, brief, 0))
		require.GreaterOrEqual(p, time.Since(start), brief-100*time.Millisecond)
		start = time.Now()
		require.Empty(p, p.receive(fifo, 1, 0, 0))
		require.Less(p, time.Since(start), brief)
	}},
	{"wait_ends_with_a_send", func(p *probe) {
		for _, name := range []string{fifo, standard} {
			result := p.receiving(p.ctx, name)
			<-time.After(pause)
			start := time.Now()
			if name == fifo {
				p.send("a", "x")
			} else {
				p.sendStandard("x")
			}
			got := <-result
			require.NoError(p, got.err)
			require.Equal(p, []string{"x"}, texts(got.received))
			require.Less(p, time.Since(start), 2*brief)
		}
	}},
	{"wait_ends_with_a_freed_group", func(p *probe) {
		p.send("a", "a0", "a1")
		first := p.receive(fifo, 1, soon, 0)
		result := p.receiving(p.ctx, fifo)
		<-time.After(pause)
		p.remove(fifo, first...)
		got := <-result
		require.NoError(p, got.err)
		require.Equal(p, []string{"a1"}, texts(got.received))
	}},
	{"wait_wakes_every_receiver", func(p *probe) {
		const receivers = 4
		results := make([]<-chan outcome, receivers)
		for i := range results {
			results[i] = p.receiving(p.ctx, standard)
		}
		<-time.After(pause)
		want := make([]string, receivers)
		for i := range want {
			want[i] = strconv.Itoa(i)
		}
		p.sendStandard(want...)
		var all []queue.Received
		for _, result := range results {
			got := <-result
			require.NoError(p, got.err)
			all = append(all, got.received...)
		}
		require.ElementsMatch(p, want, texts(all))
	}},
	{"wait_cancelled_ends_at_once", func(p *probe) {
		ctx, cancel := context.WithCancel(p.ctx)
		defer cancel()
		result := p.receiving(ctx, fifo)
		<-time.After(pause)
		start := time.Now()
		cancel()
		got := <-result
		require.ErrorIs(p, got.err, context.Canceled)
		require.Empty(p, got.received)
		require.Less(p, time.Since(start), brief)
	}},
	{"wait_cancelled_swallows_nothing", func(p *probe) {
		for _, name := range []string{fifo, standard} {
			ctx, cancel := context.WithCancel(p.ctx)
			result := p.receiving(ctx, name)
			<-time.After(pause)
			cancel()
			require.ErrorIs(p, (<-result).err, context.Canceled)
			if name == fifo {
				p.send("a", "x")
			} else {
				p.sendStandard("x")
			}
			p.remove(name, p.take(name, "x")...)
		}
	}},
	{"wait_cancelled_while_sending_swallows_nothing", func(p *probe) {
		for round := range 10 {
			body := strconv.Itoa(round)
			ctx, cancel := context.WithCancel(p.ctx)
			result := p.receiving(ctx, fifo)
			<-time.After(time.Duration(round) * 5 * time.Millisecond)
			p.send("a", body)
			cancel()
			got := <-result
			if got.err != nil {
				require.ErrorIs(p, got.err, context.Canceled)
				got.received = p.take(fifo, body)
			}
			require.Equal(p, []string{body}, texts(got.received))
			p.remove(fifo, got.received...)
		}
	}},
}
