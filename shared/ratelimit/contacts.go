package ratelimit

import (
	"context"
	"log/slog"
	"time"

	"github.com/go-redis/redis_rate/v10"
	"github.com/redis/go-redis/v9"
)

// The numbers that a company may ask WhatsApp about: at once, and a minute from then on. WhatsApp takes accounts that go
// through lists of numbers for spammers (an estimate; it publishes none).
const (
	contactsBurst     = 200
	contactsPerMinute = 5
)

// Contacts is the budget of numbers that each company asks WhatsApp about. It protects an account, and it is in Redis alone,
// because the question itself goes through Redis.
type Contacts struct {
	redis  *redis_rate.Limiter
	logger *slog.Logger
}

// NewContacts returns the budgets of an installation.
func NewContacts(client redis.UniversalClient, logger *slog.Logger) *Contacts {
	return &Contacts{redis: redis_rate.NewLimiter(client), logger: logger}
}

// Take takes so many numbers out of a company's budget, all or none; then it says how long to wait.
func (c *Contacts) Take(ctx context.Context, companyID string, numbers int) (ok bool, retryAfter time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	r, err := c.redis.AllowN(ctx, "contacts:{"+companyID+"}",
		redis_rate.Limit{Rate: contactsPerMinute, Burst: contactsBurst, Period: time.Minute}, numbers)
	if err != nil {
		c.logger.WarnContext(ctx, "contacts budget", "error", err)
		return false, pause
	}
	return r.Allowed > 0, max(r.RetryAfter, 0)
}
