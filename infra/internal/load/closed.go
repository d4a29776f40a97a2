package load

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// arrivalTimeout is how long a worker waits for its message before it goes on. The message is not given up.
const arrivalTimeout = 10 * time.Second

// Watcher tells of arrivals. A *Receipts is one.
type Watcher interface {
	// Await returns when the message has arrived, or with the context.
	Await(ctx context.Context, messageID string) error
}

// Closed sends for a time with so many workers for each pair, and returns when all have finished their last message.
func Closed(ctx context.Context, api API, watcher Watcher, pairs []Pair, workers int, lasting time.Duration) ([]Sent, error) {
	deadline := time.Now().Add(lasting)
	var (
		mu   sync.Mutex // guards sent
		sent []Sent
		work sync.WaitGroup
	)
	for range workers {
		for _, pair := range pairs {
			work.Go(func() {
				for time.Now().Before(deadline) && ctx.Err() == nil {
					mu.Lock()
					n := len(sent)
					sent = append(sent, Sent{})
					mu.Unlock()
					one := send(ctx, api, pair, n, time.Now())
					mu.Lock()
					sent[n] = one
					mu.Unlock()
					if one.Err != nil {
						_ = Pause(ctx, refusedPause) // the loop looks at the context
						continue
					}
					await(ctx, watcher, one.ID)
				}
			})
		}
	}
	work.Wait()
	if ctx.Err() != nil {
		return sent, fmt.Errorf("broken off: %w", context.Cause(ctx))
	}
	return sent, nil
}

// refusedPause keeps a worker from flooding an API that refuses.
const refusedPause = 100 * time.Millisecond

func await(ctx context.Context, watcher Watcher, messageID string) {
	ctx, cancel := context.WithTimeout(ctx, arrivalTimeout)
	defer cancel()
	_ = watcher.Await(ctx, messageID) // late or lost: counted in the end, from what the phones have
}
