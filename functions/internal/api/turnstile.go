package api

import "sync"

// turnstile bounds how many calls of one sort are held at a time, in all and of one company, so that nobody takes all the
// places. It is safe for concurrent use.
type turnstile struct {
	most, each int

	// mu guards what follows.
	mu     sync.Mutex
	inside int
	of     map[string]int // by company
}

func newTurnstile(most, each int) *turnstile {
	return &turnstile{most: most, each: each, of: make(map[string]int)}
}

// enter takes a place until leave is called, or says that there is none.
func (t *turnstile) enter(companyID string) (leave func(), ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.inside >= t.most || t.of[companyID] >= t.each {
		return nil, false
	}
	t.inside++
	t.of[companyID]++
	return func() { t.leave(companyID) }, true
}

func (t *turnstile) leave(companyID string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.inside--
	if t.of[companyID]--; t.of[companyID] == 0 {
		delete(t.of, companyID)
	}
}
