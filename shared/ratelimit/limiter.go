package ratelimit

import (
	"context"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/go-redis/redis_rate/v10"
	"github.com/redis/go-redis/v9"
)

const (
	// timeout bounds every command: a caller must not wait for a Redis that hangs.
	timeout = 50 * time.Millisecond
	// pause is how long a failed Redis is left alone.
	pause = time.Second
)

// Limit is a company's limit: how many calls a minute come back to a bucket of this size.
type Limit struct {
	PerMinute int
	Burst     int
}

// Result is the answer to one call.
type Result struct {
	Limit      Limit
	Allowed    bool
	Remaining  int           // calls that may follow at once
	RetryAfter time.Duration // until the next call is allowed; 0 where this one was
	ResetAfter time.Duration // until the bucket is full again
}

// Limiter hands out the calls. It is safe for concurrent use.
type Limiter struct {
	redis  *redis_rate.Limiter
	local  *buckets
	logger *slog.Logger

	// failedAt is when Redis last failed, in Unix nanoseconds, and 0 once it has answered again.
	failedAt atomic.Int64
}

// New returns a limiter on a Redis that may come and go.
func New(client redis.UniversalClient, logger *slog.Logger) *Limiter {
	return &Limiter{redis: redis_rate.NewLimiter(client), local: newBuckets(), logger: logger}
}

// Allow takes one call out of the company's bucket, if there is one.
func (l *Limiter) Allow(ctx context.Context, companyID string, limit Limit) Result {
	if at := l.failedAt.Load(); at != 0 && time.Since(time.Unix(0, at)) < pause {
		return l.local.take(companyID, limit)
	}
	result, err := l.shared(ctx, companyID, limit)
	if err != nil {
		if ctx.Err() == nil && l.failedAt.Swap(time.Now().UnixNano()) == 0 {
			l.logger.WarnContext(ctx, "ratelimit.degraded", "error", err)
		}
		return l.local.take(companyID, limit)
	}
	if l.failedAt.Swap(0) != 0 {
		l.logger.InfoContext(ctx, "ratelimit.restored")
	}
	if result.Allowed {
		l.local.take(companyID, limit)
	}
	return result
}

// Degraded says that the buckets are those of this process alone, because Redis failed.
func (l *Limiter) Degraded() bool { return l.failedAt.Load() != 0 }

func (l *Limiter) shared(ctx context.Context, companyID string, limit Limit) (Result, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	r, err := l.redis.Allow(ctx, bucket(companyID), perMinute(limit))
	if err != nil {
		return Result{}, fmt.Errorf("ask redis: %w", err)
	}
	return Result{
		Limit: limit, Allowed: r.Allowed > 0, Remaining: r.Remaining,
		RetryAfter: max(r.RetryAfter, 0), ResetAfter: r.ResetAfter,
	}, nil
}
