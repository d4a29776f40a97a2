package lease

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/jackc/pgx/v5"
)

const (
	// channel is notified by the statements that free or settle a lease, with the host that is meant or nothing for all.
	channel = "wafleet_leases"

	connectTimeout = 5 * time.Second
	closeTimeout   = time.Second
	firstRetry     = 100 * time.Millisecond
	lastRetry      = 5 * time.Second
)

// Listen calls told whenever this host may want to look at the leases: some were freed, or handed to it, or arrived where
// they were handed to. It keeps a connection beside the pool, opens it again when it is lost, and returns when the
// context ends. Announcements are hints: one that comes while nobody listens is lost.
func (t *Table) Listen(ctx context.Context, logger *slog.Logger, told func()) {
	for pause := firstRetry; ctx.Err() == nil; pause = min(2*pause, lastRetry) {
		began := time.Now()
		if err := t.listen(ctx, told); err != nil && ctx.Err() == nil {
			logger.WarnContext(ctx, "announcements of leases are not heard", "error", err)
		}
		if time.Since(began) > lastRetry {
			pause = firstRetry
		}
		select {
		case <-ctx.Done():
		case <-time.After(rand.N(pause)): //nolint:gosec // jitter
		}
	}
}

// listen returns when the connection or the context ends.
func (t *Table) listen(ctx context.Context, told func()) error {
	conn, err := t.connect(ctx)
	if err != nil {
		return err
	}
	defer hangUp(ctx, conn)
	told() // of what came before
	for {
		announced, err := conn.WaitForNotification(ctx)
		if err != nil {
			return fmt.Errorf("wait for announcements: %w", err)
		}
		if announced.Payload == "" || announced.Payload == t.config.HostID {
			told()
		}
	}
}

func (t *Table) connect(ctx context.Context) (*pgx.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	conn, err := pgx.ConnectConfig(ctx, t.pool.Config().ConnConfig)
	if err != nil {
		return nil, fmt.Errorf("connect: %w", err)
	}
	if _, err := conn.Exec(ctx, "LISTEN "+channel); err != nil {
		hangUp(ctx, conn)
		return nil, fmt.Errorf("listen: %w", err)
	}
	return conn, nil
}

// hangUp closes a connection whose owner's context may have ended.
func hangUp(ctx context.Context, conn *pgx.Conn) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
	defer cancel()
	_ = conn.Close(ctx) // nothing is left to be lost on it
}
