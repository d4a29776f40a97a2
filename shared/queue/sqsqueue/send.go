package sqsqueue

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"wafleet/shared/queue"
)

// Send implements queue.Queue.
func (q *Queue) Send(ctx context.Context, name string, message queue.Message) error {
	to, err := q.find(ctx, name)
	if err != nil {
		return err
	}
	if err := to.Check(message); err != nil {
		return fmt.Errorf("send to %s: %w", name, err)
	}
	_, err = q.client.SendMessage(ctx, &sqs.SendMessageInput{
		QueueUrl:               to.url,
		MessageBody:            aws.String(string(message.Body)),
		MessageGroupId:         optional(message.Group),
		MessageDeduplicationId: optional(message.DedupID),
		DelaySeconds:           seconds(message.Delay),
	})
	if err != nil {
		return classify(ctx, "send to "+name, err)
	}
	return nil
}

// SendBatch implements queue.Queue.
func (q *Queue) SendBatch(ctx context.Context, name string, messages []queue.Message) error {
	to, err := q.find(ctx, name)
	if err != nil {
		return err
	}
	if err := queue.CheckBatch(len(messages)); err != nil {
		return fmt.Errorf("send to %s: %w", name, err)
	}
	failed := make(map[int]error)
	for _, indexes := range split(to.Definition, messages, failed) {
		if err := q.sendTogether(ctx, to, messages, indexes, failed); err != nil {
			return err
		}
	}
	if err := queue.Batch(failed); err != nil {
		return fmt.Errorf("send to %s: %w", name, err)
	}
	return nil
}

// split groups the sound messages, by their indexes, into requests of at most MaxBody bytes, and puts the others into
// failed.
func split(def queue.Definition, messages []queue.Message, failed map[int]error) [][]int {
	var requests [][]int
	size := 0
	for i, m := range messages {
		if err := def.Check(m); err != nil {
			failed[i] = err
			continue
		}
		if len(requests) == 0 || size+len(m.Body) > queue.MaxBody {
			requests, size = append(requests, nil), 0
		}
		last := len(requests) - 1
		requests[last] = append(requests[last], i)
		size += len(m.Body)
	}
	return requests
}

// sendTogether sends the messages with these indexes in one request.
func (q *Queue) sendTogether(ctx context.Context, to target, messages []queue.Message, indexes []int, failed map[int]error) error {
	entries := make([]types.SendMessageBatchRequestEntry, len(indexes))
	for n, i := range indexes {
		m := messages[i]
		entries[n] = types.SendMessageBatchRequestEntry{
			Id:                     aws.String(strconv.Itoa(i)),
			MessageBody:            aws.String(string(m.Body)),
			MessageGroupId:         optional(m.Group),
			MessageDeduplicationId: optional(m.DedupID),
			DelaySeconds:           seconds(m.Delay),
		}
	}
	out, err := q.client.SendMessageBatch(ctx, &sqs.SendMessageBatchInput{QueueUrl: to.url, Entries: entries})
	if err != nil {
		return classify(ctx, "send to "+to.Name, err)
	}
	return note(failed, out.Failed, entryError)
}

// note adds the failed entries of an answer, whose ids are indexes of the call.
func note(failed map[int]error, entries []types.BatchResultErrorEntry, explain func(types.BatchResultErrorEntry) error) error {
	for _, entry := range entries {
		i, err := strconv.Atoi(aws.ToString(entry.Id))
		if err != nil {
			return fmt.Errorf("read answer: entry without a known id: %w", err)
		}
		failed[i] = explain(entry)
	}
	return nil
}

// optional leaves an empty parameter out.
func optional(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

// seconds rounds up: a message hidden for a moment too long is late, one hidden too short is early.
func seconds(d time.Duration) int32 {
	return int32((d + time.Second - 1) / time.Second) //nolint:gosec // every duration has been checked to be at most hours
}
