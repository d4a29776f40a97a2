package pgqueue

import (
	"slices"
	"sync"
)

// waiter is one Receive that waits for a queue.
type waiter struct {
	queue string
	// woken has room for one wake-up; further ones say nothing new.
	woken chan struct{}
}

// board is where receives wait. A wake-up goes to one waiter and is never lost: whoever leaves with it unread passes it on.
type board struct {
	// mu guards what follows.
	mu      sync.Mutex
	waiting map[string][]*waiter
	// done is closed while nobody could be woken.
	done chan struct{}
	shut bool
}

func newBoard() *board {
	b := &board{waiting: make(map[string][]*waiter), done: make(chan struct{}), shut: true}
	close(b.done)
	return b
}

// open lets receives wait.
func (b *board) open() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.shut {
		b.done, b.shut = make(chan struct{}), false
	}
}

// close lets all waiting receives go.
func (b *board) close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.shut {
		close(b.done)
		b.shut = true
	}
}

// closed returns a channel that is closed while the board is.
func (b *board) closed() <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.done
}

// join begins to wait: wake-ups from now on are not missed.
func (b *board) join(queue string) (*waiter, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.shut {
		return nil, errNotStarted
	}
	w := &waiter{queue: queue, woken: make(chan struct{}, 1)}
	b.waiting[queue] = append(b.waiting[queue], w)
	return w, nil
}

// leave ends a wait and passes on a wake-up that was not read.
func (b *board) leave(w *waiter) {
	b.mu.Lock()
	defer b.mu.Unlock()
	rest := slices.DeleteFunc(b.waiting[w.queue], func(other *waiter) bool { return other == w })
	if len(rest) == 0 {
		delete(b.waiting, w.queue)
		return
	}
	b.waiting[w.queue] = rest
	if len(w.woken) > 0 {
		wakeOne(rest)
	}
}

// wake wakes one waiter of the queue that has not been woken yet, if there is any.
func (b *board) wake(queue string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	wakeOne(b.waiting[queue])
}

// wakeEvery wakes one waiter of every queue, after announcements may have been missed.
func (b *board) wakeEvery() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, waiters := range b.waiting {
		wakeOne(waiters)
	}
}

// queues returns the queues that somebody waits for.
func (b *board) queues() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	names := make([]string, 0, len(b.waiting))
	for name := range b.waiting {
		names = append(names, name)
	}
	return names
}

func wakeOne(waiters []*waiter) {
	for _, w := range waiters {
		select {
		case w.woken <- struct{}{}:
			return
		default:
		}
	}
}
