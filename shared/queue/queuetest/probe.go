package queuetest

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"wafleet/shared/queue"
)

const (
	// testTimeout bounds every call of a test.
	testTimeout = 60 * time.Second
	// soon is how long a test waits for what has to come. It comes at once or within a second or two.
	soon = 10 * time.Second
	// never is how long a test waits for what must not come.
	never = 1200 * time.Millisecond
	// brief is the shortest visibility and delay that every implementation can keep.
	brief = time.Second
)

// probe stands between a test and testing.T, so that a failure can be compared with what is expected. It has the calls
// of the port as tests need them: an error that was not asked for fails the test.
type probe struct {
	ctx    context.Context //nolint:containedctx // it is the test's, as testing.T.Context is
	queue  queue.Queue
	failed bool
	log    []string
}

// attempt runs a test to its end and returns how it went.
func attempt(t *testing.T, q queue.Queue, body func(p *probe)) *probe {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), testTimeout)
	defer cancel()
	p := &probe{ctx: ctx, queue: q}
	done := make(chan struct{})
	go func() {
		defer close(done) // also when FailNow ends the goroutine
		body(p)
	}()
	<-done
	return p
}

// Errorf implements require.TestingT.
func (p *probe) Errorf(format string, args ...any) {
	p.failed = true
	p.log = append(p.log, fmt.Sprintf(format, args...))
}

// FailNow implements require.TestingT.
func (p *probe) FailNow() {
	p.failed = true
	runtime.Goexit()
}

func (p *probe) report() string { return strings.Join(p.log, "\n") }

// send sends to the FIFO queue, with the body as dedup id.
func (p *probe) send(group string, bodies ...string) {
	for _, body := range bodies {
		require.NoError(p, p.queue.Send(p.ctx, fifo, queue.Message{Group: group, DedupID: body, Body: []byte(body)}))
	}
}

// sendStandard sends to the standard queue.
func (p *probe) sendStandard(bodies ...string) {
	for _, body := range bodies {
		require.NoError(p, p.queue.Send(p.ctx, standard, queue.Message{Body: []byte(body)}))
	}
}

// receive claims what is there, or comes within wait.
func (p *probe) receive(name string, most int, wait, visibility time.Duration) []queue.Received {
	received, err := p.queue.Receive(p.ctx, name, most, wait, visibility)
	require.NoError(p, err)
	require.LessOrEqual(p, len(received), most)
	return received
}

// take receives until it has exactly these bodies, in any number of receives, and returns them in the order received.
func (p *probe) take(name string, bodies ...string) []queue.Received {
	var all []queue.Received
	for len(all) < len(bodies) {
		received := p.receive(name, min(queue.MaxBatch, len(bodies)-len(all)), soon, 0)
		require.NotEmpty(p, received, "have %v, want %v", texts(all), bodies)
		all = append(all, received...)
	}
	require.ElementsMatch(p, bodies, texts(all))
	return all
}

// nothing requires that the queue has nothing to receive, now and for a while.
func (p *probe) nothing(name string) {
	require.Empty(p, texts(p.receive(name, queue.MaxBatch, never, 0)))
}

// remove deletes deliveries.
func (p *probe) remove(name string, received ...queue.Received) {
	require.NoError(p, p.queue.Delete(p.ctx, name, handlesOf(received)))
}

// extend moves the end of claims.
func (p *probe) extend(name string, visibility time.Duration, received ...queue.Received) {
	require.NoError(p, p.queue.Extend(p.ctx, name, handlesOf(received), visibility))
}

func handlesOf(received []queue.Received) []string {
	handles := make([]string, len(received))
	for i, r := range received {
		handles[i] = r.Handle
	}
	return handles
}

func texts(received []queue.Received) []string {
	bodies := make([]string, len(received))
	for i, r := range received {
		bodies[i] = string(r.Body)
	}
	return bodies
}
