package devicestore

import (
	"slices"
	"sync"
)

// recent remembers the values of the keys that were used last, up to a limit. It is one slice: for the few keys that a
// device deals with, that is smaller than a map and as fast.
type recent[K comparable, V any] struct {
	limit int

	mu      sync.Mutex
	entries []entry[K, V] // the one used last is at the end
}

type entry[K comparable, V any] struct {
	key   K
	value V
}

func (r *recent[K, V]) get(key K) (value V, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if found, ok := r.take(key); ok {
		r.entries = append(r.entries, found)
		return found.value, true
	}
	return value, false
}

func (r *recent[K, V]) put(key K, value V) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, ok := r.take(key); !ok && len(r.entries) >= r.limit {
		copy(r.entries, r.entries[1:])
		r.entries = r.entries[:len(r.entries)-1]
	}
	r.entries = append(r.entries, entry[K, V]{key, value})
}

func (r *recent[K, V]) forget(key K) {
	r.mu.Lock()
	defer r.mu.Unlock()
	_, _ = r.take(key)
}

func (r *recent[K, V]) clear() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.entries = nil
}

// take removes a key, keeping the order of the others.
func (r *recent[K, V]) take(key K) (found entry[K, V], ok bool) {
	for i, found := range slices.Backward(r.entries) {
		if found.key == key {
			copy(r.entries[i:], r.entries[i+1:])
			r.entries = r.entries[:len(r.entries)-1]
			return found, true
		}
	}
	return found, false
}
