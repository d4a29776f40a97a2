package ratelimit

import (
	"context"
	"fmt"
	"time"

	"github.com/go-redis/redis_rate/v10"
)

// Look says how much is left in the company's bucket and takes nothing out of it. It asks Redis alone: without it there is no
// answer, but an error.
func (l *Limiter) Look(ctx context.Context, companyID string, limit Limit) (Result, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	r, err := l.redis.AllowN(ctx, bucket(companyID), perMinute(limit), 0)
	if err != nil {
		return Result{}, fmt.Errorf("look into bucket: %w", err)
	}
	result := Result{Limit: limit, Allowed: r.Remaining > 0, Remaining: r.Remaining, ResetAfter: r.ResetAfter}
	if !result.Allowed {
		// Full again after ResetAfter; the first call is there when all but one interval of the burst is left of that.
		result.RetryAfter = max(r.ResetAfter-time.Duration(limit.Burst-1)*time.Minute/time.Duration(limit.PerMinute), 0)
	}
	return result, nil
}

// bucket is the key of a company's bucket.
func bucket(companyID string) string { return "sends:{" + companyID + "}" }

func perMinute(limit Limit) redis_rate.Limit {
	return redis_rate.Limit{Rate: limit.PerMinute, Burst: limit.Burst, Period: time.Minute}
}
