package load

import (
	"context"
	"fmt"
	"sync"
	"time"

	"wafleet/infra/internal/remote"
)

// journalPause is how often the journal is read. It is far below the time that a message takes under full load, so
// that it does not limit what is measured.
const journalPause = 5 * time.Millisecond

// Journal tells which stanzas crossed the simulator, a page at a time. *remote.Simulator is one.
type Journal interface {
	Journal(ctx context.Context, after uint64) ([]remote.Row, error)
}

var _ Journal = (*remote.Simulator)(nil)

// Receipts knows which messages have arrived, from the delivery receipts that the simulator relays.
type Receipts struct {
	journal Journal
	after   uint64 // the last row that was read

	mu      sync.Mutex // guards what follows
	arrived map[string]bool
	waiting map[string]chan struct{}
}

// NewReceipts returns the receipts from now on, after reading what the journal has so far.
func NewReceipts(ctx context.Context, journal Journal) (*Receipts, error) {
	r := &Receipts{journal: journal, arrived: make(map[string]bool), waiting: make(map[string]chan struct{})}
	for {
		rows, err := r.next(ctx)
		if err != nil {
			return nil, err
		}
		if len(rows) == 0 {
			return r, nil
		}
	}
}

// Follow reads the journal until the context ends, which is no error.
func (r *Receipts) Follow(ctx context.Context) error {
	for {
		rows, err := r.next(ctx)
		if ctx.Err() != nil {
			return nil //nolint:nilerr // the end that was asked for
		}
		if err != nil {
			return err
		}
		r.note(rows)
		if err := Pause(ctx, journalPause); err != nil {
			return nil //nolint:nilerr // the same
		}
	}
}

// Await returns when the message has arrived, or with the context's error.
func (r *Receipts) Await(ctx context.Context, messageID string) error {
	r.mu.Lock()
	if r.arrived[messageID] {
		r.mu.Unlock()
		return nil
	}
	arrived := make(chan struct{})
	r.waiting[messageID] = arrived
	r.mu.Unlock()
	select {
	case <-arrived:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx) //nolint:wrapcheck // nothing to add
	}
}

func (r *Receipts) next(ctx context.Context) ([]remote.Row, error) {
	rows, err := r.journal.Journal(ctx, r.after)
	if err != nil {
		return nil, fmt.Errorf("read journal: %w", err)
	}
	if len(rows) > 0 {
		r.after = rows[len(rows)-1].N
	}
	return rows, nil
}

func (r *Receipts) note(rows []remote.Row) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, row := range rows {
		if row.Direction != "out" || row.Tag != "receipt" || row.Type != "" { // a delivery receipt has no type
			continue
		}
		r.arrived[row.ID] = true
		if waiter := r.waiting[row.ID]; waiter != nil {
			close(waiter)
			delete(r.waiting, row.ID)
		}
	}
}
