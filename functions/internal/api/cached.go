package api

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// cached is a measurement that is taken when somebody asks for it, but not more often than it may be.
type cached[T any] struct {
	measure func(context.Context) (T, error)

	turn chan struct{} // holds one token, which whoever measures has

	mu    sync.RWMutex // guards what follows
	value T
	err   error
	until time.Time // zero before the first measurement
}

func newCached[T any](measure func(context.Context) (T, error)) *cached[T] {
	c := &cached[T]{measure: measure, turn: make(chan struct{}, 1)}
	c.turn <- struct{}{}
	return c
}

// get returns the measurement. One caller at a time takes it anew; the others meanwhile get the last one, and wait only
// if there is none.
func (c *cached[T]) get(ctx context.Context) (T, error) {
	value, until, err := c.last()
	if time.Now().Before(until) {
		return value, err
	}
	select {
	case <-c.turn:
	default:
		if !until.IsZero() {
			return value, err
		}
		select {
		case <-c.turn:
		case <-ctx.Done():
			return value, fmt.Errorf("wait for measurement: %w", ctx.Err())
		}
	}
	defer func() { c.turn <- struct{}{} }()
	if value, until, err = c.last(); time.Now().Before(until) {
		return value, err // another one was faster
	}
	// It is for all who ask, so it does not end with the one who happens to take it.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lookTimeout)
	defer cancel()
	started := time.Now()
	value, err = c.measure(ctx)
	took := time.Since(started)

	c.mu.Lock()
	defer c.mu.Unlock()
	c.value, c.err, c.until = value, err, time.Now().Add(max(lookEvery, countingShare*took))
	return value, err
}

func (c *cached[T]) last() (value T, until time.Time, err error) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.value, c.until, c.err
}
