package interop

import (
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// history is what has happened to somebody, in order, for tests to wait for.
type history[T any] struct {
	mu      sync.Mutex // guards the fields below
	all     []T
	changed chan struct{}
}

func newHistory[T any]() *history[T] { return &history[T]{changed: make(chan struct{})} }

func (h *history[T]) add(item T) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.all = append(h.all, item)
	close(h.changed)
	h.changed = make(chan struct{})
}

// snapshot returns what has happened so far, and a channel that is closed when something more has.
func (h *history[T]) snapshot() (all []T, changed <-chan struct{}) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clip(h.all), h.changed
}

// await returns the first item that matches, as soon as there is one.
func (h *history[T]) await(t *testing.T, what string, match func(T) bool) T {
	t.Helper()
	deadline := time.After(patience)
	for seen := 0; ; {
		all, changed := h.snapshot()
		for ; seen < len(all); seen++ {
			if match(all[seen]) {
				return all[seen]
			}
		}
		select {
		case <-changed:
		case <-deadline:
			require.FailNow(t, "no "+what, "of these %d: %v", len(all), all)
		}
	}
}
