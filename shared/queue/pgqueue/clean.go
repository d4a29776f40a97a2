package pgqueue

import (
	"context"
	"math/rand/v2"
	"time"

	"wafleet/shared/queue/pgqueue/sqlcgen"
)

const (
	// forgetBatch keeps each clean-up transaction short.
	forgetBatch = 10_000
	// expireEvery is in how many rounds one looks for messages past their retention, which lasts days.
	expireEvery = 60
)

// cleanLoop keeps the tables small. Several processes may do it at once; each takes what the others have not.
func (q *Queue) cleanLoop(ctx context.Context) {
	for round := 0; ; round++ {
		// Jitter, so that processes that were started together do not clean together.
		pause := q.config.CleanEvery/2 + rand.N(q.config.CleanEvery) //nolint:gosec // jitter
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return
		}
		err := q.forget(ctx)
		if err == nil && round%expireEvery == 0 {
			err = q.expire(ctx)
		}
		if err != nil && ctx.Err() == nil {
			q.log.WarnContext(ctx, "queue.clean_failed", "error", err)
		}
	}
}

// forget removes dedup ids whose window has passed.
func (q *Queue) forget(ctx context.Context) error {
	for {
		limited, cancel := context.WithTimeout(ctx, q.config.CallTimeout)
		forgotten, err := q.sql.ForgetDuplicates(limited, forgetBatch)
		cancel()
		if err != nil {
			return classify(ctx, "forget dedup ids", err)
		}
		if forgotten < forgetBatch {
			return nil
		}
	}
}

// expire drops messages past the retention of their queue.
func (q *Queue) expire(ctx context.Context) error {
	for _, d := range q.definitions {
		limited, cancel := context.WithTimeout(ctx, q.config.CallTimeout)
		dropped, err := q.sql.Expire(limited, sqlcgen.ExpireParams{Queue: d.Name, RetentionSeconds: d.Retention.Seconds()})
		cancel()
		if err != nil {
			return classify(ctx, "drop messages past retention", err)
		}
		if dropped > 0 {
			q.log.WarnContext(ctx, "queue.retention_passed", "queue", d.Name, "dropped", dropped)
		}
	}
	return nil
}
