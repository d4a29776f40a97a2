package pgqueue

import (
	"fmt"
	"testing"
	"time"

	"wafleet/shared/queue"
)

func BenchmarkDbg(b *testing.B) {
	for _, name := range []string{jobs, work} {
		b.Run(name, func(b *testing.B) {
			q := benchmarkQueue(b)
			var s, r, d time.Duration
			var n int64
			for b.Loop() {
				t0 := time.Now()
				for range 10 {
					n++
					if err := q.Send(b.Context(), name, benchMessage(name, n, 1000)); err != nil {
						b.Fatal(err)
					}
				}
				t1 := time.Now()
				got, _ := q.Receive(b.Context(), name, 10, 0, 0)
				if len(got) != 10 {
					b.Fatal(len(got))
				}
				t2 := time.Now()
				h := make([]string, 10)
				for i := range got {
					h[i] = got[i].Handle
				}
				if err := q.Delete(b.Context(), name, h); err != nil {
					b.Fatal(err)
				}
				s += t1.Sub(t0)
				r += t2.Sub(t1)
				d += time.Since(t2)
			}
			fmt.Println(name, "send", s/time.Duration(b.N*10), "receive10", r/time.Duration(b.N), "delete10", d/time.Duration(b.N))
			_ = queue.MaxBatch
		})
	}
}
