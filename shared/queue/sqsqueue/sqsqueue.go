package sqsqueue

import (
	"context"
	"fmt"
	"log/slog"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"wafleet/shared/queue"
)

var _ queue.Queue = (*Queue)(nil)

// Config says where the queues are.
type Config struct {
	// AWS has region, credentials and retry policy.
	AWS aws.Config
	// Endpoint is the URL of another server than Amazon's; empty for theirs.
	Endpoint string
	// Prefix stands before the name of every queue, so that several installations can share an account.
	Prefix string
}

// Queue is the queues of one account and prefix. It works without being started; Stop waits for cancelled polls.
type Queue struct {
	client      *sqs.Client
	prefix      string
	definitions map[string]queue.Definition
	log         *slog.Logger

	// polling has the long polls, also those whose callers have gone; hangUp ends them.
	polling sync.WaitGroup
	polls   context.Context //nolint:containedctx // the lifetime of the polls, which no call's context is
	hangUp  context.CancelFunc

	// mu guards urls, which has the URL of each queue once it was asked for.
	mu   sync.Mutex
	urls map[string]string
}

// New returns the queues with these definitions. It connects to nothing yet.
func New(config Config, definitions []queue.Definition, log *slog.Logger) (*Queue, error) {
	byName := make(map[string]queue.Definition, len(definitions))
	for _, d := range definitions {
		if err := d.Validate(definitions); err != nil {
			return nil, fmt.Errorf("define queue: %w", err)
		}
		byName[d.Name] = d
	}
	client := sqs.NewFromConfig(config.AWS, func(o *sqs.Options) {
		o.HTTPClient = httpClient{o.HTTPClient}
		if config.Endpoint != "" {
			o.BaseEndpoint = aws.String(config.Endpoint)
		}
	})
	polls, hangUp := context.WithCancel(context.Background())
	return &Queue{
		client: client, prefix: config.Prefix, definitions: byName, log: log,
		polls: polls, hangUp: hangUp, urls: make(map[string]string),
	}, nil
}

// Stop waits until cancelled polls have ended and handed back what they got, which takes at most as long as they were
// asked to wait. When ctx ends before, it hangs up on them. It may be called again. Afterwards Receive must not be called.
func (q *Queue) Stop(ctx context.Context) error {
	done := make(chan struct{})
	go func() {
		q.polling.Wait()
		close(done)
	}()
	select {
	case <-done:
		q.hangUp()
		return nil
	case <-ctx.Done():
		q.hangUp()
		<-done
		return fmt.Errorf("wait for cancelled polls: %w", ctx.Err())
	}
}

// target is a queue as calls need it.
type target struct {
	queue.Definition
	url *string
}

// find returns a queue with its URL, which it asks for once.
func (q *Queue) find(ctx context.Context, name string) (target, error) {
	d, ok := q.definitions[name]
	if !ok {
		return target{}, fmt.Errorf("queue %q: %w", name, queue.ErrNoQueue)
	}
	q.mu.Lock()
	url, known := q.urls[name]
	q.mu.Unlock()
	if !known {
		out, err := q.client.GetQueueUrl(ctx, &sqs.GetQueueUrlInput{QueueName: aws.String(q.prefix + name)})
		if err != nil {
			return target{}, classify(ctx, "find "+name, err)
		}
		url = aws.ToString(out.QueueUrl)
		q.mu.Lock()
		q.urls[name] = url
		q.mu.Unlock()
	}
	return target{Definition: d, url: aws.String(url)}, nil
}
