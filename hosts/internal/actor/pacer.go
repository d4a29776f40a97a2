package actor

import (
	"context"
	"fmt"

	"golang.org/x/time/rate"
)

// Pacer limits the connects of a host. WhatsApp publishes no safe rate; the default is an estimate.
type Pacer struct{ limiter *rate.Limiter }

// NewPacer allows perSecond connects a second; zero or less opens it.
func NewPacer(perSecond float64) *Pacer {
	if perSecond <= 0 {
		return &Pacer{limiter: rate.NewLimiter(rate.Inf, 0)}
	}
	return &Pacer{limiter: rate.NewLimiter(rate.Limit(perSecond), max(1, int(perSecond)))}
}

// Wait returns when the next connect is allowed, or with the context's error.
func (p *Pacer) Wait(ctx context.Context) error {
	if err := p.limiter.Wait(ctx); err != nil {
		return fmt.Errorf("wait for pacer: %w", err)
	}
	return nil
}
