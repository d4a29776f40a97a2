package sqsqueue

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"wafleet/shared/queue"
)

// Ensure makes the queues that do not exist yet, for development and tests. A queue that exists with other attributes is an
// error. The definitions are those of New, or some of them with their dead-letter queues.
func (q *Queue) Ensure(ctx context.Context, definitions []queue.Definition) error {
	arns := make(map[string]string)
	// Dead-letter queues first, because the others refer to them.
	for _, redrives := range []bool{false, true} {
		for _, d := range definitions {
			if (d.DeadLetters != "") != redrives {
				continue
			}
			arn, err := q.create(ctx, d, arns[d.DeadLetters])
			if err != nil {
				return classify(ctx, "create "+d.Name, err)
			}
			arns[d.Name] = arn
		}
	}
	return nil
}

// create makes one queue and returns its ARN.
func (q *Queue) create(ctx context.Context, d queue.Definition, deadLetters string) (string, error) {
	attributes, err := attributesOf(d, deadLetters)
	if err != nil {
		return "", err
	}
	made, err := q.client.CreateQueue(ctx, &sqs.CreateQueueInput{QueueName: aws.String(q.prefix + d.Name), Attributes: attributes})
	if err != nil {
		return "", err //nolint:wrapcheck // the caller classifies it
	}
	arn := types.QueueAttributeNameQueueArn
	out, err := q.client.GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{
		QueueUrl: made.QueueUrl, AttributeNames: []types.QueueAttributeName{arn},
	})
	if err != nil {
		return "", err //nolint:wrapcheck // the caller classifies it
	}
	return out.Attributes[string(arn)], nil
}

// attributesOf translates a definition. FIFO queues get high throughput: deduplication and limits per message group.
func attributesOf(d queue.Definition, deadLetters string) (map[string]string, error) {
	whole := func(v time.Duration) string { return strconv.Itoa(int(seconds(v))) }
	attributes := map[types.QueueAttributeName]string{
		types.QueueAttributeNameVisibilityTimeout:      whole(d.Visibility),
		types.QueueAttributeNameMessageRetentionPeriod: whole(d.Retention),
		types.QueueAttributeNameMaximumMessageSize:     strconv.Itoa(queue.MaxBody),
	}
	if d.FIFO() {
		attributes[types.QueueAttributeNameFifoQueue] = "true"
		attributes[types.QueueAttributeNameDeduplicationScope] = "messageGroup"
		attributes[types.QueueAttributeNameFifoThroughputLimit] = "perMessageGroupId"
	}
	if d.DeadLetters != "" {
		policy, err := json.Marshal(map[string]any{"deadLetterTargetArn": deadLetters, "maxReceiveCount": d.MaxReceives})
		if err != nil {
			return nil, fmt.Errorf("write redrive policy: %w", err)
		}
		attributes[types.QueueAttributeNameRedrivePolicy] = string(policy)
	}
	named := make(map[string]string, len(attributes))
	for name, value := range attributes {
		named[string(name)] = value
	}
	return named, nil
}
