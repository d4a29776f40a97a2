package pgqueue

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/jackc/pgx/v5"
)

const (
	// channel is the one that the migration's functions notify, with the queue's name as payload.
	channel = "wafleet_queue"

	firstRetry = 100 * time.Millisecond
	lastRetry  = 5 * time.Second
	closeWait  = time.Second
)

// listen opens a connection beside the pool and subscribes to announcements.
func (q *Queue) listen(ctx context.Context) (*pgx.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, q.config.CallTimeout)
	defer cancel()
	conn, err := pgx.ConnectConfig(ctx, q.pool.Config().ConnConfig)
	if err != nil {
		return nil, fmt.Errorf("connect: %w", err)
	}
	if _, err := conn.Exec(ctx, "LISTEN "+channel); err != nil {
		hangUp(ctx, conn)
		return nil, fmt.Errorf("listen: %w", err)
	}
	return conn, nil
}

// listenLoop passes announcements on to the board until ctx ends, and connects again when the connection is lost.
func (q *Queue) listenLoop(ctx context.Context, conn *pgx.Conn) {
	for {
		err := q.relay(ctx, conn)
		hangUp(ctx, conn)
		if ctx.Err() != nil {
			return
		}
		q.log.WarnContext(ctx, "queue.listener_lost", "error", err)
		if conn = q.relisten(ctx); conn == nil {
			return
		}
		q.log.InfoContext(ctx, "queue.listener_back")
		q.board.wakeEvery()
	}
}

// relay blocks until the connection or ctx ends.
func (q *Queue) relay(ctx context.Context, conn *pgx.Conn) error {
	for {
		announced, err := conn.WaitForNotification(ctx)
		if err != nil {
			return fmt.Errorf("wait for announcements: %w", err)
		}
		q.board.wake(announced.Payload)
	}
}

// relisten tries until it has a connection; nil means that ctx has ended. Without a limit, because receives go on
// meanwhile, only slower.
func (q *Queue) relisten(ctx context.Context) *pgx.Conn {
	for pause := firstRetry; ; pause = min(2*pause, lastRetry) {
		select {
		case <-time.After(rand.N(pause)): //nolint:gosec // jitter
		case <-ctx.Done():
			return nil
		}
		if conn, err := q.listen(ctx); err == nil {
			return conn
		}
	}
}

// hangUp closes a connection whose owner's context may have ended.
func hangUp(ctx context.Context, conn *pgx.Conn) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeWait)
	defer cancel()
	_ = conn.Close(ctx) // nothing is left to be lost on it
}
