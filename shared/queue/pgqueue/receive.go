package pgqueue

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"wafleet/shared/queue"
	"wafleet/shared/queue/pgqueue/sqlcgen"
)

// Receive implements queue.Queue.
func (q *Queue) Receive(ctx context.Context, name string, most int, wait, visibility time.Duration) ([]queue.Received, error) {
	def, err := q.definition(name)
	if err != nil {
		return nil, err
	}
	if err := queue.CheckReceive(most, wait, visibility); err != nil {
		return nil, fmt.Errorf("receive from %s: %w", name, err)
	}
	visibility = cmp.Or(visibility, def.Visibility)
	if wait == 0 {
		return q.claim(ctx, def, most, visibility, false)
	}

	timeout := time.NewTimer(wait)
	defer timeout.Stop()
	// From here on no announcement is missed, so that looking once and then waiting leaves no gap.
	waiter, err := q.board.join(name)
	if err != nil {
		return nil, fmt.Errorf("receive from %s: %w", name, err)
	}
	defer q.board.leave(waiter)
	for {
		received, err := q.claim(ctx, def, most, visibility, true)
		if err != nil {
			return nil, err
		}
		if len(received) > 0 {
			// There may be more than we took.
			q.board.wake(name)
			return received, nil
		}
		select {
		case <-waiter.woken:
		case <-timeout.C:
			return nil, nil
		case <-ctx.Done():
			return nil, fmt.Errorf("receive from %s: %w", name, ctx.Err())
		case <-q.board.closed():
			return nil, fmt.Errorf("receive from %s: %w", name, errNotStarted)
		}
	}
}

// claim takes what is there now. One that polls asks for an announcement if that is nothing.
func (q *Queue) claim(ctx context.Context, def queue.Definition, most int, visibility time.Duration, poll bool) (received []queue.Received, err error) {
	err = q.detached(ctx, func(ctx context.Context, sql *sqlcgen.Queries) (err error) {
		if def.FIFO() {
			received, err = claimFIFO(ctx, sql, def, most, visibility, poll)
		} else {
			received, err = claimStandard(ctx, sql, def, most, visibility, poll)
		}
		return err
	})
	if err != nil {
		return nil, classify(ctx, "receive from "+def.Name, err)
	}
	return received, nil
}

// detached runs a statement that, once it has a connection, no longer listens to ctx: an abandoned statement may have
// been carried out, and the messages it claimed would be in flight for nobody.
func (q *Queue) detached(ctx context.Context, run func(context.Context, *sqlcgen.Queries) error) error {
	conn, err := q.pool.Acquire(ctx)
	if err != nil {
		return fmt.Errorf("acquire connection: %w", err)
	}
	defer conn.Release()
	limited, cancel := context.WithTimeout(context.WithoutCancel(ctx), q.config.CallTimeout)
	defer cancel()
	return run(limited, sqlcgen.New(conn))
}

func claimFIFO(ctx context.Context, sql *sqlcgen.Queries, def queue.Definition, most int, visibility time.Duration, poll bool) ([]queue.Received, error) {
	rows, err := sql.ReceiveFIFO(ctx, sqlcgen.ReceiveFIFOParams{
		Queue: def.Name, Most: most, VisibilitySeconds: visibility.Seconds(), MaxReceives: def.MaxReceives, Dead: def.DeadLetters,
		Poll: poll,
	})
	if err != nil {
		return nil, err
	}
	received := make([]queue.Received, len(rows))
	for i, r := range rows {
		received[i] = queue.Received{
			Handle: handle{r.ID, r.Receives}.String(),
			Group:  r.GroupID, DedupID: r.DedupID, Body: r.Body, Receives: r.Receives, SentAt: r.SentAt,
		}
	}
	return received, nil
}

func claimStandard(ctx context.Context, sql *sqlcgen.Queries, def queue.Definition, most int, visibility time.Duration, poll bool) ([]queue.Received, error) {
	rows, err := sql.ReceiveStandard(ctx, sqlcgen.ReceiveStandardParams{
		Queue: def.Name, Most: most, VisibilitySeconds: visibility.Seconds(), MaxReceives: def.MaxReceives, Dead: def.DeadLetters,
		Poll: poll,
	})
	if err != nil {
		return nil, err
	}
	received := make([]queue.Received, len(rows))
	for i, r := range rows {
		received[i] = queue.Received{
			Handle: handle{r.ID, r.Receives}.String(),
			Group:  r.GroupID, Body: r.Body, Receives: r.Receives, SentAt: r.SentAt,
		}
	}
	return received, nil
}
