package rpc

import (
	"context"
	"fmt"
	"log/slog"
	"sync"

	"github.com/redis/go-redis/v9"
)

// Channels carry the ids of companies that the owner should look at now.
const (
	sessionNudges = "wafleet:nudges"
	outboxNudges  = "wafleet:nudges:outbox"
)

// Nudge asks the owner of a company to look at its session's row now rather than at its next poll.
func (b *Board) Nudge(ctx context.Context, companyID string) error {
	return b.nudge(ctx, sessionNudges, companyID)
}

// NudgeOutbox asks the owner of a company to look at its outbox now rather than at its next poll.
func (b *Board) NudgeOutbox(ctx context.Context, companyID string) error {
	return b.nudge(ctx, outboxNudges, companyID)
}

func (b *Board) nudge(ctx context.Context, channel, companyID string) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	if err := b.redis.Publish(ctx, channel, companyID).Err(); err != nil {
		return fmt.Errorf("nudge: %w", err)
	}
	return nil
}

// Hints are called back for nudges, one at a time. They must not block.
type Hints struct {
	Session func(companyID string)
	Outbox  func(companyID string)
}

// Listener passes every nudge on.
type Listener struct {
	redis  redis.UniversalClient
	hints  Hints
	logger *slog.Logger

	mu  sync.Mutex
	sub *redis.PubSub
	wg  sync.WaitGroup
}

// NewListener returns a listener that is not yet started.
func NewListener(client redis.UniversalClient, logger *slog.Logger, hints Hints) *Listener {
	return &Listener{redis: client, hints: hints, logger: logger}
}

// Start begins to listen. The subscription renews itself when Redis comes back; nudges in between are lost.
func (l *Listener) Start(ctx context.Context) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sub = l.redis.Subscribe(context.WithoutCancel(ctx), sessionNudges, outboxNudges)
	nudges := l.sub.Channel()
	l.wg.Go(func() {
		for nudge := range nudges {
			if nudge.Channel == outboxNudges {
				l.hints.Outbox(nudge.Payload)
			} else {
				l.hints.Session(nudge.Payload)
			}
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
