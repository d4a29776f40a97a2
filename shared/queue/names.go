package queue

import (
	"fmt"
	"strings"
	"time"
)

// The work queues of which there is one each.
const (
	// Bulk takes sends from producers inside the customer's account.
	Bulk = "bulk"
	// Batches has one job for each batch that is to be fed into the outbox.
	Batches = "batches"
	// Webhooks has one job for each webhook delivery that is due.
	Webhooks = "webhooks"
)

const (
	fifoSuffix       = ".fifo"
	deadLetterSuffix = "-dlq"
)

// Definition describes one queue. It is data, so that the deployment template can be checked against it.
type Definition struct {
	// Name is what callers pass. The name of a FIFO queue ends in ".fifo".
	Name string
	// Visibility is how long a message stays claimed unless a Receive says otherwise.
	Visibility time.Duration
	// MaxReceives is how often a message is received before it moves to the dead-letter queue; 0 means without limit.
	MaxReceives int
	// DeadLetters is the name of the dead-letter queue, empty where MaxReceives is 0.
	DeadLetters string
	// Retention is how long a message is kept, counted from its Send.
	Retention time.Duration
}

// FIFO reports whether the queue is a FIFO queue, which its name decides.
func (d Definition) FIFO() bool { return strings.HasSuffix(d.Name, fifoSuffix) }

// Sends returns the name of the FIFO queue that takes the sends of a shard.
func Sends(shard int) string { return fmt.Sprintf("sends-%02d%s", shard, fifoSuffix) }

// DeadLetters returns the name of the dead-letter queue of a queue.
func DeadLetters(name string) string {
	if base, fifo := strings.CutSuffix(name, fifoSuffix); fifo {
		return base + deadLetterSuffix + fifoSuffix
	}
	return name + deadLetterSuffix
}

// Definitions returns every queue of an installation with that many shards, each followed by its dead-letter queue.
// They are named as callers name them; a deployment may put a prefix of its own in front.
func Definitions(shards int) []Definition {
	const (
		day = 24 * time.Hour
		// Four days outlast a long weekend; what nobody took by then is an operator's case.
		retention = 4 * day
	)
	work := make([]Definition, 0, shards+3)
	for shard := range shards {
		// A host ingests and deletes at once. Many receives, because a host that cannot reach its database hands back.
		work = append(work, Definition{Name: Sends(shard), Visibility: 30 * time.Second, MaxReceives: 10, Retention: retention})
	}
	// Six times the time limit of the function behind the queue, as Lambda asks for.
	work = append(work,
		Definition{Name: Bulk, Visibility: 3 * time.Minute, MaxReceives: 5, Retention: retention},
		Definition{Name: Batches, Visibility: 6 * time.Minute, MaxReceives: 5, Retention: retention},
		Definition{Name: Webhooks, Visibility: 3 * time.Minute, MaxReceives: 5, Retention: retention},
	)
	all := make([]Definition, 0, 2*len(work))
	for _, d := range work {
		all = append(all, d.withDeadLetters(14*day)...)
	}
	return all
}

// withDeadLetters returns the queue, with its dead-letter queue set, and that queue.
func (d Definition) withDeadLetters(retention time.Duration) []Definition {
	d.DeadLetters = DeadLetters(d.Name)
	return []Definition{d, {Name: d.DeadLetters, Visibility: d.Visibility, Retention: retention}}
}

// Validate reports what is wrong with the definition itself, and whether its dead-letter queue is one of all.
func (d Definition) Validate(all []Definition) error {
	switch {
	case d.Name == "" || d.Name == fifoSuffix:
		return &MisuseError{"Name", "is empty"}
	case d.Visibility <= 0 || d.Visibility > MaxVisibility:
		return &MisuseError{"Visibility", fmt.Sprintf("of %s has to be above 0 and at most %v", d.Name, MaxVisibility)}
	case d.Retention <= 0:
		return &MisuseError{"Retention", fmt.Sprintf("of %s has to be above 0", d.Name)}
	case (d.MaxReceives > 0) != (d.DeadLetters != ""):
		return &MisuseError{"DeadLetters", fmt.Sprintf("of %s has to come with MaxReceives", d.Name)}
	case d.DeadLetters == "":
		return nil
	}
	for _, other := range all {
		if other.Name == d.DeadLetters && other.FIFO() == d.FIFO() && other.Name != d.Name {
			return nil
		}
	}
	return &MisuseError{"DeadLetters", fmt.Sprintf("of %s has to be another queue of the same kind", d.Name)}
}
