package sqsqueue

import (
	"cmp"
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"wafleet/shared/queue"
)

// handBackTimeout bounds the hand-back of what a cancelled poll still got.
const handBackTimeout = 5 * time.Second

// answer is what a poll came to.
type answer struct {
	received []queue.Received
	err      error
}

// Receive implements queue.Queue.
func (q *Queue) Receive(ctx context.Context, name string, most int, wait, visibility time.Duration) ([]queue.Received, error) {
	from, err := q.find(ctx, name)
	if err != nil {
		return nil, err
	}
	if err := queue.CheckReceive(most, wait, visibility); err != nil {
		return nil, fmt.Errorf("receive from %s: %w", name, err)
	}
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("receive from %s: %w", name, err)
	}
	input := &sqs.ReceiveMessageInput{
		QueueUrl:                    from.url,
		MaxNumberOfMessages:         int32(most), //nolint:gosec // at most MaxBatch
		WaitTimeSeconds:             seconds(wait),
		VisibilityTimeout:           seconds(cmp.Or(visibility, from.Visibility)),
		MessageSystemAttributeNames: []types.MessageSystemAttributeName{types.MessageSystemAttributeNameAll},
	}
	polled := make(chan answer, 1)
	q.polling.Add(1)
	go func() {
		received, err := q.poll(input)
		polled <- answer{received, err}
	}()
	select {
	case got := <-polled:
		q.polling.Done()
		if got.err != nil {
			return nil, classify(ctx, "receive from "+name, got.err)
		}
		return got.received, nil
	case <-ctx.Done():
		go func() { //nolint:contextcheck // the caller's context has ended
			defer q.polling.Done()
			q.handBack(name, <-polled)
		}()
		return nil, fmt.Errorf("receive from %s: %w", name, ctx.Err())
	}
}

// poll asks the server, for as long as the input says.
func (q *Queue) poll(input *sqs.ReceiveMessageInput) ([]queue.Received, error) {
	out, err := q.client.ReceiveMessage(q.polls, input)
	if err != nil {
		return nil, err //nolint:wrapcheck // the caller classifies it
	}
	received := make([]queue.Received, len(out.Messages))
	for i, m := range out.Messages {
		received[i] = read(m)
	}
	return received, nil
}

// handBack makes visible again what came for a caller that has gone.
func (q *Queue) handBack(name string, got answer) {
	if len(got.received) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(q.polls), handBackTimeout)
	defer cancel()
	handles := make([]string, len(got.received))
	for i, r := range got.received {
		handles[i] = r.Handle
	}
	if err := q.Extend(ctx, name, handles, 0); err != nil {
		// They come back when their visibility ends.
		q.log.WarnContext(ctx, "queue.hand_back_failed", "queue", name, "error", err)
	}
}

// read turns a message of SQS into one of the port. Attributes that a server leaves out stay zero.
func read(m types.Message) queue.Received {
	attribute := func(name types.MessageSystemAttributeName) string { return m.Attributes[string(name)] }
	r := queue.Received{
		Handle:  aws.ToString(m.ReceiptHandle),
		Group:   attribute(types.MessageSystemAttributeNameMessageGroupId),
		DedupID: attribute(types.MessageSystemAttributeNameMessageDeduplicationId),
		Body:    []byte(aws.ToString(m.Body)),
	}
	if n, err := strconv.Atoi(attribute(types.MessageSystemAttributeNameApproximateReceiveCount)); err == nil {
		r.Receives = n
	}
	if ms, err := strconv.ParseInt(attribute(types.MessageSystemAttributeNameSentTimestamp), 10, 64); err == nil {
		r.SentAt = time.UnixMilli(ms)
	}
	return r
}
