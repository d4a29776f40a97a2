package ratelimit

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/go-redis/redis_rate/v10"
	"github.com/redis/go-redis/v9"
)

// pairingCodes is how many pairing codes an hour are asked for one number, and at once: WhatsApp answers more of them by
// blocking the linking of devices to it, for hours (an estimate; WhatsApp publishes none).
const pairingCodes = 5

// Pairing is the budget of pairing codes of every number, whoever asks for it. The owner of a session takes a code out
// of it before it asks WhatsApp; the API only looks. Without Redis nothing is refused: a company that has to pair is
// worth more than a limit.
type Pairing struct {
	redis  *redis_rate.Limiter
	logger *slog.Logger
}

// NewPairing returns the budgets of an installation.
func NewPairing(client redis.UniversalClient, logger *slog.Logger) *Pairing {
	return &Pairing{redis: redis_rate.NewLimiter(client), logger: logger}
}

// Take takes one code out of a number's budget, or says how long to wait for the next one.
func (p *Pairing) Take(ctx context.Context, phone string) (ok bool, retryAfter time.Duration) {
	r, err := p.ask(ctx, phone, 1)
	if err != nil {
		return true, 0
	}
	return r.Allowed > 0, max(r.RetryAfter, 0)
}

// Check says whether Take would succeed now, or how long to wait until it would.
func (p *Pairing) Check(ctx context.Context, phone string) (ok bool, retryAfter time.Duration) {
	r, err := p.ask(ctx, phone, 0)
	if err != nil || r.Remaining > 0 {
		return true, 0
	}
	// The bucket is full again after ResetAfter; one code is there when all but one interval of that is left.
	return false, max(r.ResetAfter-(pairingCodes-1)*time.Hour/pairingCodes, 0)
}

func (p *Pairing) ask(ctx context.Context, phone string, codes int) (*redis_rate.Result, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	r, err := p.redis.AllowN(ctx, "pairing:{"+phone+"}", redis_rate.PerHour(pairingCodes), codes)
	if err != nil {
		p.logger.WarnContext(ctx, "pairing budget", "error", err)
		return nil, fmt.Errorf("ask redis: %w", err)
	}
	return r, nil
}
