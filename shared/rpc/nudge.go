package rpc

import (
	"context"
	"fmt"
	"log/slog"
	"sync"

	"github.com/redis/go-redis/v9"
)

// channel carries the ids of companies whose owner should look at the database now.
const channel = "wafleet:nudges"

// Nudge asks the owner of a company to look at the database now rather than at its next poll.
func (b *Board) Nudge(ctx context.Context, companyID string) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	if err := b.redis.Publish(ctx, channel, companyID).Err(); err != nil {
		return fmt.Errorf("nudge: %w", err)
	}
	return nil
}

// Listener calls back for every nudge, one at a time. The callback must not block.
type Listener struct {
	redis  redis.UniversalClient
	onHint func(companyID string)
	logger *slog.Logger

	mu  sync.Mutex
	sub *redis.PubSub
	wg  sync.WaitGroup
}

// NewListener returns a listener that is not yet started.
func NewListener(client redis.UniversalClient, logger *slog.Logger, onHint func(companyID string)) *Listener {
	return &Listener{redis: client, onHint: onHint, logger: logger}
}

// Start begins to listen. The subscription renews itself when Redis comes back; nudges in between are lost.
func (l *Listener) Start(ctx context.Context) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sub = l.redis.Subscribe(context.WithoutCancel(ctx), channel)
	hints := l.sub.Channel()
	l.wg.Go(func() {
		for hint := range hints {
			l.onHint(hint.Payload)
		}
	})
	return nil
}

// Stop ends the subscription and waits for the last callback.
func (l *Listener) Stop(ctx context.Context) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.sub == nil {
		return nil
	}
	if err := l.sub.Close(); err != nil {
		l.logger.WarnContext(ctx, "close nudge subscription", "error", err)
	}
	l.wg.Wait()
	l.sub = nil
	return nil
}
