package queue

import (
	"context"
	"time"
)

// Limits that every implementation keeps, because one of them has to.
const (
	// MaxBody is the size of the largest body, in bytes.
	MaxBody = 1 << 20
	// MaxBatch is the most entries of one call.
	MaxBatch = 10
	// MaxDelay is the longest Message.Delay.
	MaxDelay = 15 * time.Minute
	// MaxWait is the longest time that Receive waits for a first message.
	MaxWait = 20 * time.Second
	// MaxVisibility is the longest time for which a message can be claimed, or its claim be extended.
	MaxVisibility = 12 * time.Hour
	// MaxName is the length of the longest Group and DedupID, in bytes.
	MaxName = 128
	// DedupWindow is how long a FIFO queue remembers a DedupID.
	DedupWindow = 5 * time.Minute
)

// Message is what a producer sends.
type Message struct {
	// Group is what order holds within. Required on FIFO queues. Printable ASCII without spaces.
	Group string
	// DedupID makes a repeated Send harmless. Required on FIFO queues, refused on others. Printable ASCII without spaces.
	DedupID string
	// Delay is how long a standard queue holds the message back, refused on FIFO queues. SQS rounds it up to a second.
	Delay time.Duration
	// Body is text in UTF-8 without control characters, as JSON is; at least one byte and at most MaxBody.
	Body []byte
}

// Received is one delivery of a message.
type Received struct {
	// Handle is what Delete and Extend take.
	Handle string
	// Group and DedupID are those of the Message.
	Group, DedupID string
	// Body is the body of the Message, byte for byte.
	Body []byte
	// Receives says how often the message was received from this queue, this time included.
	Receives int
	// SentAt is when the queue accepted the message.
	SentAt time.Time
}

// Queue is the port. Its methods may be called concurrently. Each of them reports [ErrNoQueue] for a queue that does not
// exist, a [*MisuseError] for arguments that can never work, and [ErrUnavailable] for what a later attempt may get
// through.
type Queue interface {
	// Send makes the message durable. A body above MaxBody is ErrTooLarge.
	Send(ctx context.Context, queue string, message Message) error

	// SendBatch sends up to MaxBatch messages, those of one group in their order. Messages that were not sent are
	// listed in a *BatchError; any other error leaves open which were sent.
	SendBatch(ctx context.Context, queue string, messages []Message) error

	// Receive claims up to most messages (1 to MaxBatch) for the given visibility; 0 means the queue's own. It waits up
	// to wait for a first one and returns none and no error if there was none. Messages may come back although the context
	// has ended meanwhile: they are claimed and the caller's.
	Receive(ctx context.Context, queue string, most int, wait, visibility time.Duration) ([]Received, error)

	// Delete acknowledges up to MaxBatch deliveries. Those that failed are listed in a *BatchError: stale handles with
	// ErrReceiptExpired.
	Delete(ctx context.Context, queue string, handles []string) error

	// Extend lets the claims on up to MaxBatch deliveries end visibility from now; 0 hands the messages back. Those
	// that failed are listed in a *BatchError: stale handles with ErrReceiptExpired.
	Extend(ctx context.Context, queue string, handles []string, visibility time.Duration) error
}
