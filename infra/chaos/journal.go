package main

import (
	"context"
	"strings"
	"sync"
	"time"

	"wafleet/infra/chaos/internal/history"
	"wafleet/infra/internal/load"
	"wafleet/infra/internal/remote"
	"wafleet/infra/internal/tenants"
)

// journalPause is how often the journal is read when nothing new is in it.
const journalPause = 50 * time.Millisecond

// journal follows the simulator's journal. It is safe for concurrent use.
type journal struct {
	simulator *remote.Simulator

	mu       sync.Mutex // guards what follows
	recorder *history.Recorder
	after    uint64
}

func newJournal(simulator *remote.Simulator) *journal {
	return &journal{simulator: simulator, recorder: history.NewRecorder(isCompany)}
}

// isCompany tells the numbers of companies from those of their customers.
func isCompany(number string) bool {
	_, first, _ := tenants.Company(0)
	return strings.HasPrefix(number, first[:4])
}

// follow reads until the context ends, which is no error.
func (j *journal) follow(ctx context.Context) error {
	for {
		more, err := j.read(ctx)
		if ctx.Err() != nil {
			return nil //nolint:nilerr // the end that was asked for
		}
		if err != nil {
			return err
		}
		if more {
			continue
		}
		if err := load.Pause(ctx, journalPause); err != nil {
			return nil //nolint:nilerr // the same
		}
	}
}

// read takes the next page.
func (j *journal) read(ctx context.Context) (more bool, err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	rows, err := j.simulator.Journal(ctx, j.after)
	if err != nil || len(rows) == 0 {
		return false, err
	}
	j.after = rows[len(rows)-1].N
	j.recorder.Add(rows)
	return true, nil
}

// catchUp reads what there is.
func (j *journal) catchUp(ctx context.Context) error {
	for {
		if more, err := j.read(ctx); err != nil || !more {
			return err
		}
	}
}

// begin counts from now on.
func (j *journal) begin(at time.Time) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.recorder.Begin(at)
}

func (j *journal) online() int {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.recorder.Online()
}

func (j *journal) report() history.Report {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.recorder.Report()
}

func (j *journal) firstFrame(messageID string) uint64 {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.recorder.FirstFrame(messageID)
}
