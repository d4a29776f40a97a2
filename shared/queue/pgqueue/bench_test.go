package pgqueue

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"wafleet/shared/queue"
	"wafleet/shared/queue/queuetest"
	"wafleet/shared/store/pgtest"
)

const (
	senders = 8
	// payload is the size of a usual message.
	payload = 400
)

// benchmarkQueue returns started queues that as many connections as the benchmarks have workers may use.
func benchmarkQueue(b *testing.B) *Queue {
	b.Helper()
	q, err := New(pgtest.New(b, pgtest.MaxConns(senders+4)), queuetest.Definitions(), slog.New(slog.DiscardHandler), Config{})
	require.NoError(b, err)
	require.NoError(b, q.Start(b.Context()))
	b.Cleanup(func() { stop(b, q) })
	return q
}

func benchMessage(name string, n int64, groups int) queue.Message {
	body := make([]byte, payload)
	copy(body, strconv.FormatInt(time.Now().UnixNano(), 10))
	for i := 19; i < payload; i++ {
		body[i] = 'x'
	}
	m := queue.Message{Group: fmt.Sprintf("company-%d", n%int64(groups)), Body: body}
	if name == jobs {
		m.DedupID = strconv.FormatInt(n, 10)
	}
	return m
}

// sendAll sends n messages from several goroutines.
func sendAll(ctx context.Context, q *Queue, name string, n int64, groups int) error {
	var next atomic.Int64
	var work errgroup.Group
	for range senders {
		work.Go(func() error {
			for i := next.Add(1); i <= n; i = next.Add(1) {
				if err := q.Send(ctx, name, benchMessage(name, i, groups)); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return work.Wait()
}

func BenchmarkSend(b *testing.B) {
	for _, name := range []string{jobs, work} {
		b.Run(name, func(b *testing.B) {
			q := benchmarkQueue(b)
			b.ResetTimer()
			require.NoError(b, sendAll(b.Context(), q, name, int64(b.N), 1000))
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "sends/s")
		})
	}
}

// BenchmarkReceiveEmpty is what an idle look at a queue costs.
func BenchmarkReceiveEmpty(b *testing.B) {
	for _, name := range []string{jobs, work} {
		b.Run(name, func(b *testing.B) {
			q := benchmarkQueue(b)
			for b.Loop() {
				_, err := q.Receive(b.Context(), name, queue.MaxBatch, 0, 0)
				require.NoError(b, err)
			}
		})
	}
}

// BenchmarkHandOver has eight senders and one receiver, which deletes what it got, at full speed: the time a message
// takes is then mostly spent waiting for its turn.
func BenchmarkHandOver(b *testing.B) {
	for _, name := range []string{jobs, work} {
		b.Run(name, func(b *testing.B) {
			q := benchmarkQueue(b)
			b.ResetTimer()
			var sending errgroup.Group
			sending.Go(func() error { return sendAll(b.Context(), q, name, int64(b.N), 1000) })
			latencies := receiveAll(b, q, name, b.N)
			require.NoError(b, sending.Wait())
			report(b, latencies)
		})
	}
}

// BenchmarkHandOverPaced has the same senders at 2,000 sends a second together, which tells how long a message takes when
// nothing queues up.
func BenchmarkHandOverPaced(b *testing.B) {
	const each = senders * time.Second / 2000
	for _, name := range []string{jobs, work} {
		b.Run(name, func(b *testing.B) {
			q := benchmarkQueue(b)
			b.ResetTimer()
			var sending errgroup.Group
			var next atomic.Int64
			for range senders {
				sending.Go(func() error {
					tick := time.NewTicker(each)
					defer tick.Stop()
					for i := next.Add(1); i <= int64(b.N); i = next.Add(1) {
						<-tick.C
						if err := q.Send(b.Context(), name, benchMessage(name, i, 1000)); err != nil {
							return err
						}
					}
					return nil
				})
			}
			latencies := receiveAll(b, q, name, b.N)
			require.NoError(b, sending.Wait())
			report(b, latencies)
		})
	}
}

// receiveAll receives and deletes n messages and returns how long each took from just before its Send.
func receiveAll(b *testing.B, q *Queue, name string, n int) []time.Duration {
	b.Helper()
	latencies := make([]time.Duration, 0, n)
	for len(latencies) < n {
		received, err := q.Receive(b.Context(), name, queue.MaxBatch, queue.MaxWait, time.Minute)
		require.NoError(b, err)
		now := time.Now()
		handles := make([]string, len(received))
		for i, r := range received {
			sent, err := strconv.ParseInt(string(r.Body[:19]), 10, 64)
			require.NoError(b, err)
			latencies = append(latencies, now.Sub(time.Unix(0, sent)))
			handles[i] = r.Handle
		}
		if len(handles) > 0 {
			require.NoError(b, q.Delete(b.Context(), name, handles))
		}
	}
	return latencies
}

func report(b *testing.B, latencies []time.Duration) {
	b.Helper()
	slices.Sort(latencies)
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "msgs/s")
	b.ReportMetric(float64(latencies[len(latencies)/2].Microseconds())/1000, "p50-ms")
	b.ReportMetric(float64(latencies[len(latencies)*99/100].Microseconds())/1000, "p99-ms")
}
