package sqsqueue

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/aws/smithy-go"

	"wafleet/shared/queue"
)

// conditions is what the codes of SQS mean to the port. A code may come with the prefix of the older query protocol.
var conditions = map[string]error{
	"QueueDoesNotExist":      queue.ErrNoQueue,
	"NonExistentQueue":       queue.ErrNoQueue,
	"ReceiptHandleIsInvalid": queue.ErrReceiptExpired,
	"MessageNotInflight":     queue.ErrReceiptExpired,
	"BatchRequestTooLong":    queue.ErrTooLarge,
	"RequestThrottled":       queue.ErrUnavailable,
	"ThrottlingException":    queue.ErrUnavailable,
	"KmsThrottled":           queue.ErrUnavailable,
	"OverLimit":              queue.ErrUnavailable,
	"ServiceUnavailable":     queue.ErrUnavailable,
	"InternalError":          queue.ErrUnavailable,
	"InternalFailure":        queue.ErrUnavailable,
	"QueueDeletedRecently":   queue.ErrUnavailable,
}

// passing are the failures that the SDK itself would try again: broken connections, throttling, server errors.
var passing = retry.IsErrorRetryables(retry.DefaultRetryables)

// classify says what was being done and which condition of the port the error is, if it is one.
func classify(ctx context.Context, doing string, err error) error {
	if ctx.Err() != nil {
		return fmt.Errorf("%s: %w: %w", doing, ctx.Err(), err)
	}
	if api, ok := errors.AsType[smithy.APIError](err); ok {
		if condition := conditionOf(api.ErrorCode()); condition != nil {
			return fmt.Errorf("%s: %w: %w", doing, condition, err)
		}
	}
	if passing.IsErrorRetryable(err) == aws.TrueTernary {
		return fmt.Errorf("%s: %w: %w", doing, queue.ErrUnavailable, err)
	}
	return fmt.Errorf("%s: %w", doing, err)
}

// entryError is classify for one entry of a batch.
func entryError(entry types.BatchResultErrorEntry) error {
	code, message := aws.ToString(entry.Code), aws.ToString(entry.Message)
	switch condition := conditionOf(code); {
	case condition != nil:
		return fmt.Errorf("%s: %w", code, condition)
	case !entry.SenderFault:
		return fmt.Errorf("%s: %w", code, queue.ErrUnavailable)
	default:
		return fmt.Errorf("refused: %s: %s", code, message)
	}
}

// receiptError is entryError where the handle is all that can be wrong with an entry: SQS calls a handle of a FIFO queue that
// has expired an invalid parameter.
func receiptError(entry types.BatchResultErrorEntry) error {
	err := entryError(entry)
	if entry.SenderFault && !errors.Is(err, queue.ErrReceiptExpired) {
		return fmt.Errorf("%w: %w", queue.ErrReceiptExpired, err)
	}
	return err
}

// conditionOf returns nil for a code that has no condition.
func conditionOf(code string) error {
	return conditions[code[strings.LastIndexAny(code, ".#")+1:]]
}
