package queuetest

import (
	"testing"
	"time"

	"wafleet/shared/queue"
)

// Harness is one implementation with fresh, empty queues.
type Harness struct {
	// Queue has the queues of Definitions.
	Queue queue.Queue
	// Server names what is behind the implementation, as deviations.go does.
	Server string
}

// The queues of the suite.
const (
	fifo         = "jobs.fifo"
	fifoDead     = "jobs-dlq.fifo"
	standard     = "jobs"
	standardDead = "jobs-dlq"

	maxReceives = 3
)

// Definitions returns the queues that a Harness has to have.
func Definitions() []queue.Definition {
	// Longer than any test takes, so that what becomes visible again does so because the test said so.
	const visibility = 2 * time.Minute
	const retention = time.Hour
	return []queue.Definition{
		{Name: fifo, Visibility: visibility, MaxReceives: maxReceives, DeadLetters: fifoDead, Retention: retention},
		{Name: fifoDead, Visibility: visibility, Retention: retention},
		{Name: standard, Visibility: visibility, MaxReceives: maxReceives, DeadLetters: standardDead, Retention: retention},
		{Name: standardDead, Visibility: visibility, Retention: retention},
	}
}

// test is one promise. The probe it gets is to be used from its own goroutine only.
type test struct {
	name string
	body func(p *probe)
}

// Run holds an implementation to the promises of package queue. open is called once for each test, in parallel.
func Run(t *testing.T, open func(t *testing.T) Harness) {
	t.Helper()
	for _, group := range [][]test{fifoTests, dedupTests, standardTests, settleTests, deadLetterTests, waitTests, misuseTests, parallelTests} {
		for _, test := range group {
			t.Run(test.name, func(t *testing.T) {
				t.Parallel()
				harness := open(t)
				judge(t, harness.Server, test.name, attempt(t, harness.Queue, test.body))
			})
		}
	}
}

// judge compares how a test went with what is known about the server.
func judge(t *testing.T, server, name string, p *probe) {
	t.Helper()
	reason, known := deviations[server][name]
	switch {
	case known && p.failed:
		t.Logf("known deviation of %s: %s\n%s", server, reason, p.report())
	case known:
		t.Errorf("%s is listed to fail this test (%s), but it passes: remove the entry from deviations.go", server, reason)
	case p.failed:
		t.Error(p.report())
	}
}
