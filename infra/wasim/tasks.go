package wasim

import (
	"sync"
	"sync/atomic"
)

// tasks counts running goroutines and can be closed: from then on none begins, and done is closed when the last has
// ended. Unlike a WaitGroup it may be entered while it is being closed, and it has no lock.
type tasks struct {
	state atomic.Int64 // the count, plus closing once it is closed
	ended sync.Once
	done  chan struct{}
}

const closing = 1 << 32

func newTasks() *tasks { return &tasks{done: make(chan struct{})} }

// start runs a function in a goroutine and reports whether that was still possible.
func (t *tasks) start(run func()) bool {
	if t.state.Add(1)&closing != 0 {
		t.leave()
		return false
	}
	go func() {
		defer t.leave()
		run()
	}()
	return true
}

func (t *tasks) leave() {
	if t.state.Add(-1) == closing {
		t.ended.Do(func() { close(t.done) })
	}
}

// close lets nothing more begin. It may be called once.
func (t *tasks) close() {
	t.state.Add(closing + 1)
	t.leave()
}
