package local

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
)

// stack remembers how to end what was started, in the order of the start.
type stack struct {
	steps []step
	log   *slog.Logger
}

type step struct {
	name string
	end  func(ctx context.Context) error
}

// push adds the end of something that has just been started.
func (s *stack) push(name string, end func(ctx context.Context) error) {
	s.steps = append(s.steps, step{name, end})
}

// unwind ends everything, last started first. An end that fails does not keep the others from ending; the error names
// each one that failed. Afterwards the stack is empty.
func (s *stack) unwind(ctx context.Context) error {
	var errs []error
	for len(s.steps) > 0 {
		last := s.steps[len(s.steps)-1]
		s.steps = s.steps[:len(s.steps)-1]
		s.log.DebugContext(ctx, "stopping", "part", last.name)
		if err := last.end(ctx); err != nil {
			errs = append(errs, fmt.Errorf("stop %s: %w", last.name, err))
		}
	}
	return errors.Join(errs...)
}
