package pgqueue

import (
	"context"
	"time"
)

// lookLoop finds what nobody announces: visibility that ends, delays that pass, announcements that were missed.
func (q *Queue) lookLoop(ctx context.Context) {
	timer := time.NewTimer(q.config.LookEvery)
	defer timer.Stop()
	for {
		select {
		case <-timer.C:
			timer.Reset(q.look(ctx))
		case <-ctx.Done():
			return
		}
	}
}

// look wakes receivers of queues that have something, in one statement for all of them. It returns when to look again:
// earlier than usual if something is due by then.
func (q *Queue) look(ctx context.Context) time.Duration {
	next := q.config.LookEvery
	waiting := q.board.queues()
	if len(waiting) == 0 {
		return next
	}
	limited, cancel := context.WithTimeout(ctx, q.config.CallTimeout)
	defer cancel()
	due, err := q.sql.NextDue(limited, waiting)
	if err != nil {
		if ctx.Err() == nil {
			q.log.WarnContext(ctx, "queue.look_failed", "error", err)
		}
		return next
	}
	for _, d := range due {
		in := time.Duration(d.Seconds * float64(time.Second))
		if in <= 0 {
			q.board.wake(d.Queue)
			continue
		}
		// A little late is better than a little early, which would take another look.
		next = min(next, in+time.Millisecond)
	}
	return next
}
