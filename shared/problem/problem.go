package problem

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"time"
)

// Class is one of the predecessor's error classes.
type Class string

// Code names a problem for programs.
type Code string

// Problem is an error that a caller of the API may see. Values are immutable: the methods that change something
// return a copy.
type Problem struct {
	Code      Code
	Class     Class
	Status    int // of the HTTP answer
	Message   string
	Details   map[string]any
	Retryable bool
	After     time.Duration // to wait before trying again; 0 where that is not known

	cause error
}

// Error states the code, the text and, for the log, the cause.
func (p *Problem) Error() string {
	if p.cause == nil {
		return fmt.Sprintf("%s: %s", p.Code, p.Message)
	}
	return fmt.Sprintf("%s: %s: %v", p.Code, p.Message, p.cause)
}

// Unwrap returns the cause.
func (p *Problem) Unwrap() error { return p.cause }

// Is says whether the target is the same problem, whatever its text and details.
func (p *Problem) Is(target error) bool {
	other, ok := target.(*Problem)
	return ok && other.Code == p.Code
}

// Saying returns the problem with another text for the caller.
func (p *Problem) Saying(message string) *Problem {
	q := *p
	q.Message = message
	return &q
}

// With returns the problem with one more detail for the caller.
func (p *Problem) With(key string, value any) *Problem {
	q := *p
	q.Details = maps.Clone(p.Details)
	if q.Details == nil {
		q.Details = make(map[string]any, 1)
	}
	q.Details[key] = value
	return &q
}

// Because returns the problem with its cause, which the log shows and the caller does not see.
func (p *Problem) Because(err error) *Problem {
	q := *p
	q.cause = err
	return &q
}

// RetryAfter returns the problem as one that may be gone after a while.
func (p *Problem) RetryAfter(d time.Duration) *Problem {
	q := *p
	q.Retryable, q.After = true, d
	return &q
}

// Final returns the problem as one that trying again does not mend.
func (p *Problem) Final() *Problem {
	q := *p
	q.Retryable, q.After = false, 0
	return &q
}

// From classifies any error: a problem in its chain is returned as it is, a deadline that passed is a Timeout, and everything else
// is Internal with the error as its cause. From of nil is nil.
func From(err error) *Problem {
	var p *Problem
	switch {
	case err == nil:
		return nil
	case errors.As(err, &p):
		return p
	case errors.Is(err, context.DeadlineExceeded):
		return Timeout.Because(err)
	default:
		return Internal.Because(err)
	}
}
