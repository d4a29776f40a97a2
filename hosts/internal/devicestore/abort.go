package devicestore

import (
	"context"
	"errors"
	"sync"
)

// WithAbort derives the context for one call of SendMessage. Any error of a store that is used under it cancels the
// context, so that whatsmeow fails the send instead of leaving out the device that the error was about.
//
// The returned function releases the context and must be called when the send has returned. It returns the first error
// of a store, nil if there was none. If it returns one, no frame was written, because stores are used only before that;
// with ErrStale the send may be tried again at once.
func WithAbort(ctx context.Context) (context.Context, func() error) {
	ctx, cancel := context.WithCancelCause(ctx)
	s := &send{work: newWork(), cancel: cancel}
	return context.WithValue(ctx, sendKey{}, s), s.end
}

type sendKey struct{}

// send is what a context of WithAbort carries.
type send struct {
	work   *work
	cancel context.CancelCauseFunc

	mu  sync.Mutex
	err error
}

func (s *send) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err == nil {
		s.err = err
	}
	s.cancel(err)
}

func (s *send) end() error {
	s.cancel(nil)
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

// storeError marks what came from a store, because whatsmeow mixes it with what is wrong with a message.
type storeError struct{ err error }

func (e *storeError) Error() string { return e.err.Error() }
func (e *storeError) Unwrap() error { return e.err }

// check passes on what a store returned, and aborts the send that it was for if that is an error.
func check(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	if _, marked := errors.AsType[*storeError](err); !marked {
		err = &storeError{err}
	}
	if s, ok := ctx.Value(sendKey{}).(*send); ok {
		s.fail(err)
	}
	return err
}
