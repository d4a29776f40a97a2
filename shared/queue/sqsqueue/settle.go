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

// Delete implements queue.Queue.
func (q *Queue) Delete(ctx context.Context, name string, handles []string) error {
	from, err := q.find(ctx, name)
	if err != nil {
		return err
	}
	if err := queue.CheckBatch(len(handles)); err != nil {
		return fmt.Errorf("delete from %s: %w", name, err)
	}
	entries := make([]types.DeleteMessageBatchRequestEntry, len(handles))
	for i, h := range handles {
		entries[i] = types.DeleteMessageBatchRequestEntry{Id: aws.String(strconv.Itoa(i)), ReceiptHandle: aws.String(h)}
	}
	out, err := q.client.DeleteMessageBatch(ctx, &sqs.DeleteMessageBatchInput{QueueUrl: from.url, Entries: entries})
	if err != nil {
		return classify(ctx, "delete from "+name, err)
	}
	failed := make(map[int]error)
	if err := note(failed, out.Failed, receiptError); err != nil {
		return fmt.Errorf("delete from %s: %w", name, err)
	}
	if err := queue.Batch(failed); err != nil {
		return fmt.Errorf("delete from %s: %w", name, err)
	}
	return nil
}

// Extend implements queue.Queue.
func (q *Queue) Extend(ctx context.Context, name string, handles []string, visibility time.Duration) error {
	in, err := q.find(ctx, name)
	if err != nil {
		return err
	}
	if err := queue.CheckBatch(len(handles)); err != nil {
		return fmt.Errorf("extend in %s: %w", name, err)
	}
	if err := queue.CheckVisibility(visibility); err != nil {
		return fmt.Errorf("extend in %s: %w", name, err)
	}
	entries := make([]types.ChangeMessageVisibilityBatchRequestEntry, len(handles))
	for i, h := range handles {
		entries[i] = types.ChangeMessageVisibilityBatchRequestEntry{
			Id: aws.String(strconv.Itoa(i)), ReceiptHandle: aws.String(h), VisibilityTimeout: seconds(visibility),
		}
	}
	out, err := q.client.ChangeMessageVisibilityBatch(ctx, &sqs.ChangeMessageVisibilityBatchInput{QueueUrl: in.url, Entries: entries})
	if err != nil {
		return classify(ctx, "extend in "+name, err)
	}
	failed := make(map[int]error)
	if err := note(failed, out.Failed, receiptError); err != nil {
		return fmt.Errorf("extend in %s: %w", name, err)
	}
	if err := queue.Batch(failed); err != nil {
		return fmt.Errorf("extend in %s: %w", name, err)
	}
	return nil
}
