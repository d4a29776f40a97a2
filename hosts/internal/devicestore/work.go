package devicestore

import (
	"context"
	"sync"
)

// work is one sequence of reads and writes of sessions: a send under WithAbort, or a decryption.
type work struct {
	mu     sync.Mutex
	readAt map[string]uint64 // address -> time of reading its session

	// transaction is set for a decryption, whose writes count only when it ends. What follows belongs to it, and is
	// used by its goroutine alone.
	transaction bool
	claimed     map[string]bool
	identities  map[string]bool // addresses whose identity it has written
}

func newWork() *work { return &work{readAt: map[string]uint64{}} }

func newTransaction() *work {
	w := newWork()
	w.transaction, w.claimed, w.identities = true, map[string]bool{}, map[string]bool{}
	return w
}

type transactionKey struct{}

// transactionOf returns the decryption that a context belongs to, nil if none.
func transactionOf(ctx context.Context) *work {
	w, _ := ctx.Value(transactionKey{}).(*work)
	return w
}

// workOf returns the work that a context belongs to, loose if none.
func workOf(ctx context.Context, loose *work) *work {
	if w := transactionOf(ctx); w != nil {
		return w
	}
	if s, ok := ctx.Value(sendKey{}).(*send); ok {
		return s.work
	}
	return loose
}

// note notes the time at which sessions are about to be read.
func (w *work) note(now uint64, addresses ...string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.readAt) >= maxSteps { // only loose work gets that old; what is forgotten counts as read long ago
		clear(w.readAt)
	}
	for _, address := range addresses {
		w.readAt[address] = now
	}
}
