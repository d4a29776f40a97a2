package queuetest

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"

	"github.com/stretchr/testify/require"

	"wafleet/shared/queue"
)

const (
	consumers        = 4
	parallelGroups   = 8
	messagesPerGroup = 25
)

// ledger is what parallel consumers have seen.
type ledger struct {
	mu sync.Mutex
	// held has the groups that a consumer is working on.
	held map[string]bool
	// seen has the bodies of each group in the order received.
	seen map[string][]string
	left int
	err  error
}

// begin notes a batch and that its groups are being worked on.
func (l *ledger) begin(received []queue.Received, exclusive bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	mine := make(map[string]bool)
	for _, r := range received {
		if exclusive && l.held[r.Group] && !mine[r.Group] {
			l.err = errors.Join(l.err, fmt.Errorf("group %s given to two consumers at once", r.Group))
		}
		if r.Receives != 1 {
			l.err = errors.Join(l.err, fmt.Errorf("message %s received %d times", r.Body, r.Receives))
		}
		mine[r.Group], l.held[r.Group] = true, true
		l.seen[r.Group] = append(l.seen[r.Group], string(r.Body))
	}
}

// end notes that the groups of a batch are no longer worked on, and reports whether that was all there is to do.
func (l *ledger) end(received []queue.Received) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, r := range received {
		delete(l.held, r.Group)
	}
	l.left -= len(received)
	return l.left <= 0
}

// consume receives and deletes until everything has been received.
func consume(ctx context.Context, done context.CancelFunc, p *probe, name string, l *ledger, batch int) error {
	for ctx.Err() == nil {
		received, err := p.queue.Receive(ctx, name, batch, soon, 0)
		if err != nil && ctx.Err() == nil {
			return fmt.Errorf("receive: %w", err)
		}
		if len(received) == 0 {
			continue
		}
		l.begin(received, name == fifo)
		all := l.end(received)
		// What was received is deleted even if another consumer has just ended the test.
		if err := p.queue.Delete(context.WithoutCancel(ctx), name, handlesOf(received)); err != nil {
			return fmt.Errorf("delete: %w", err)
		}
		if all {
			done()
		}
	}
	return nil
}

// inParallel sends from one goroutine for each group while consumers receive, and returns what they saw.
func inParallel(p *probe, name string) *ledger {
	l := &ledger{held: make(map[string]bool), seen: make(map[string][]string), left: parallelGroups * messagesPerGroup}
	ctx, done := context.WithCancel(p.ctx)
	defer done()
	results := make(chan error, consumers+parallelGroups)
	for n := range consumers {
		go func() { results <- consume(ctx, done, p, name, l, 1+n*3) }()
	}
	for g := range parallelGroups {
		go func() {
			for i := range messagesPerGroup {
				m := queue.Message{Group: fmt.Sprintf("g%d", g), Body: fmt.Appendf(nil, "%d", i)}
				if name == fifo {
					m.DedupID = fmt.Sprintf("%d-%d", g, i)
				}
				if err := p.queue.Send(p.ctx, name, m); err != nil {
					results <- err
					return
				}
			}
			results <- nil
		}()
	}
	for range cap(results) {
		require.NoError(p, <-results)
	}
	require.NoError(p, l.err)
	return l
}

var parallelTests = []test{
	{"parallel_fifo_once_in_order_one_consumer_per_group", func(p *probe) {
		l := inParallel(p, fifo)
		want := make([]string, messagesPerGroup)
		for i := range want {
			want[i] = strconv.Itoa(i)
		}
		require.Len(p, l.seen, parallelGroups)
		for group, seen := range l.seen {
			require.Equal(p, want, seen, "group %s", group)
		}
	}},
	{"parallel_standard_once", func(p *probe) {
		l := inParallel(p, standard)
		for group, seen := range l.seen {
			unique := make(map[string]bool)
			for _, body := range seen {
				unique[body] = true
			}
			require.Len(p, unique, messagesPerGroup, "group %s", group)
			require.Len(p, seen, messagesPerGroup, "group %s", group)
		}
	}},
}
