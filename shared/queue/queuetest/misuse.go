package queuetest

import (
	"bytes"
	"strings"
	"time"

	"github.com/stretchr/testify/require"

	"wafleet/shared/queue"
)

var misuseTests = []test{
	{"misuse_is_a_typed_error", func(p *probe) {
		body := []byte("x")
		long := strings.Repeat("g", queue.MaxName+1)
		for name, messages := range map[string][]queue.Message{
			fifo: {
				{DedupID: "id", Body: body},
				{Group: "a", Body: body},
				{Group: "a", DedupID: "id", Body: body, Delay: time.Second},
				{Group: "a", DedupID: "id"},
				{Group: "a", DedupID: "id", Body: []byte("\x00")},
				{Group: "a", DedupID: "id", Body: []byte{0xff}},
				{Group: "a b", DedupID: "id", Body: body},
				{Group: long, DedupID: "id", Body: body},
				{Group: "a", DedupID: long, Body: body},
			},
			standard: {
				{DedupID: "id", Body: body},
				{Body: body, Delay: queue.MaxDelay + time.Second},
				{Body: body, Delay: -time.Second},
			},
		} {
			for _, m := range messages {
				var misuse *queue.MisuseError
				require.ErrorAs(p, p.queue.Send(p.ctx, name, m), &misuse, "%s: %+v", name, m)
			}
			p.nothing(name)
		}
	}},
	{"misuse_of_ranges", func(p *probe) {
		var misuse *queue.MisuseError
		for _, call := range []struct {
			most             int
			wait, visibility time.Duration
		}{
			{0, 0, 0},
			{queue.MaxBatch + 1, 0, 0},
			{1, -1, 0},
			{1, queue.MaxWait + 1, 0},
			{1, 0, -1},
			{1, 0, queue.MaxVisibility + 1},
		} {
			_, err := p.queue.Receive(p.ctx, fifo, call.most, call.wait, call.visibility)
			require.ErrorAs(p, err, &misuse, "%+v", call)
		}
		for _, entries := range []int{0, queue.MaxBatch + 1} {
			require.ErrorAs(p, p.queue.SendBatch(p.ctx, fifo, make([]queue.Message, entries)), &misuse)
			require.ErrorAs(p, p.queue.Delete(p.ctx, fifo, make([]string, entries)), &misuse)
			require.ErrorAs(p, p.queue.Extend(p.ctx, fifo, make([]string, entries), 0), &misuse)
		}
		require.ErrorAs(p, p.queue.Extend(p.ctx, fifo, []string{"x"}, queue.MaxVisibility+1), &misuse)
	}},
	{"misuse_in_a_batch_spares_the_rest", func(p *probe) {
		err := p.queue.SendBatch(p.ctx, standard, []queue.Message{
			{Body: []byte("x")},
			{Body: []byte("y"), DedupID: "id"},
			{Body: bytes.Repeat([]byte("z"), queue.MaxBody+1)},
		})
		var partial *queue.BatchError
		require.ErrorAs(p, err, &partial)
		require.Len(p, partial.Failed, 2)
		var misuse *queue.MisuseError
		require.ErrorAs(p, partial.Failed[1], &misuse)
		require.ErrorIs(p, partial.Failed[2], queue.ErrTooLarge)
		p.take(standard, "x")
		p.nothing(standard)
	}},
	{"body_of_the_largest_size", func(p *probe) {
		largest := bytes.Repeat([]byte("0123456789abcdef"), queue.MaxBody/16)
		message := queue.Message{Group: "a", DedupID: "id", Body: largest}
		require.NoError(p, p.queue.Send(p.ctx, fifo, message))
		received := p.receive(fifo, 1, soon, 0)
		require.Len(p, received, 1)
		require.True(p, bytes.Equal(largest, received[0].Body))

		message.Body = append(largest, 'x')
		require.ErrorIs(p, p.queue.Send(p.ctx, fifo, message), queue.ErrTooLarge)
	}},
	{"body_of_a_large_batch", func(p *probe) {
		half := bytes.Repeat([]byte("x"), queue.MaxBody/2+1)
		require.NoError(p, p.queue.SendBatch(p.ctx, standard, []queue.Message{{Body: half}, {Body: half}, {Body: half}}))
		for range 3 {
			received := p.receive(standard, 1, soon, 0)
			require.Len(p, received, 1)
			require.Len(p, received[0].Body, len(half))
		}
	}},
	{"unknown_queue", func(p *probe) {
		for _, name := range []string{"nowhere", "nowhere.fifo", ""} {
			m := queue.Message{Body: []byte("x")}
			require.ErrorIs(p, p.queue.Send(p.ctx, name, m), queue.ErrNoQueue)
			require.ErrorIs(p, p.queue.SendBatch(p.ctx, name, []queue.Message{m}), queue.ErrNoQueue)
			_, err := p.queue.Receive(p.ctx, name, 1, 0, 0)
			require.ErrorIs(p, err, queue.ErrNoQueue)
			require.ErrorIs(p, p.queue.Delete(p.ctx, name, []string{"x"}), queue.ErrNoQueue)
			require.ErrorIs(p, p.queue.Extend(p.ctx, name, []string{"x"}, 0), queue.ErrNoQueue)
		}
	}},
}
