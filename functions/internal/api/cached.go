package api

import (
	"context"
	"sync"
	"time"
)

// cached is a measurement that is taken when somebody asks for it, but not more often than it may be.
type cached[T any] struct {
	measure func(context.Context) (T, error)

	mu    sync.Mutex // held while measuring
	state sync.RWMutex
	value T
	err   error
	until time.Time // zero before the first measurement
}

func newCached[T any](measure func(context.Context) (T, error)) *cached[T] {
	return &cached[T]{measure: measure}
}

// get returns the measurement. One caller at a time takes it anew; the others meanwhile get the last one, and wait only
// if there is none.
func (c *cached[T]) get(ctx context.Context) (T, error) {
	value, err, until := c.last()
	if time.Now().Before(until) {
		return value, err
	}
	if until.IsZero() {
		c.mu.Lock()
	} else if !c.mu.TryLock() {
		return value, err
	}
	defer c.mu.Unlock()
	if value, err, until = c.last(); time.Now().Before(until) {
		return value, err // another one was faster
	}
	// It is for all who ask, so it does not end with the one who happens to take it.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lookTimeout)
	defer cancel()
	started := time.Now()
	value, err = c.measure(ctx)
	took := time.Since(started)

	c.state.Lock()
	defer c.state.Unlock()
	c.value, c.err, c.until = value, err, time.Now().Add(max(lookEvery, countingShare*took))
	return value, err
}

func (c *cached[T]) last() (T, error, time.Time) { //nolint:revive // three values of one state
	c.state.RLock()
	defer c.state.RUnlock()
	return c.value, c.err, c.until
}
