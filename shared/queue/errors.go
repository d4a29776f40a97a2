package queue

import (
	"errors"
	"fmt"
	"maps"
	"slices"
)

var (
	// ErrNoQueue means that there is no queue of that name.
	ErrNoQueue = errors.New("no such queue")
	// ErrTooLarge means that a body is larger than MaxBody.
	ErrTooLarge = errors.New("message too large")
	// ErrReceiptExpired means that a handle no longer speaks for its message, or never was one.
	ErrReceiptExpired = errors.New("receipt expired")
	// ErrUnavailable means that the queue could not be reached, was overloaded or throttled the call: try again later.
	ErrUnavailable = errors.New("queue unavailable")
)

// MisuseError reports an argument that can never work, which is a defect of the caller.
type MisuseError struct {
	// Argument names the argument or the field of Message.
	Argument string
	// Problem says what is wrong with it.
	Problem string
}

// Error names the argument and the problem.
func (e *MisuseError) Error() string { return e.Argument + " " + e.Problem }

// BatchError reports which entries of a call failed. The others succeeded.
type BatchError struct {
	// Failed has the error of each failed entry, by its index in the call. It is never empty.
	Failed map[int]error
}

// Batch returns a *BatchError with the failed entries, or nil if there are none.
func Batch(failed map[int]error) error {
	if len(failed) == 0 {
		return nil
	}
	return &BatchError{Failed: failed}
}

// Error says how many entries failed and why the first of them did.
func (e *BatchError) Error() string {
	first := slices.Min(slices.Collect(maps.Keys(e.Failed)))
	return fmt.Sprintf("%d entries failed, the first is %d: %v", len(e.Failed), first, e.Failed[first])
}

// Unwrap returns the errors of the failed entries in the order of the call, so that errors.Is finds any of them.
func (e *BatchError) Unwrap() []error {
	errs := make([]error, 0, len(e.Failed))
	for _, i := range slices.Sorted(maps.Keys(e.Failed)) {
		errs = append(errs, e.Failed[i])
	}
	return errs
}
