package delivery_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"wafleet/functions/internal/delivery"
	"wafleet/shared/queue"
)

// source is a queue that hands out what it is given and remembers what was deleted.
type source struct {
	jobs chan queue.Received

	mu      sync.Mutex
	fail    int // so many receives fail
	asked   int
	deleted []string
}

func (s *source) Receive(ctx context.Context, _ string, most int, wait, _ time.Duration) ([]queue.Received, error) {
	s.mu.Lock()
	s.asked++
	failing := s.fail > 0
	s.fail--
	s.mu.Unlock()
	if failing {
		return nil, queue.ErrUnavailable
	}
	var got []queue.Received
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case job := <-s.jobs:
		got = append(got, job)
	case <-timer.C:
		return nil, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	for len(got) < most {
		select {
		case job := <-s.jobs:
			got = append(got, job)
		default:
			return got, nil
		}
	}
	return got, nil
}

func (s *source) Delete(_ context.Context, _ string, handles []string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.deleted = append(s.deleted, handles...)
	return nil
}

func (s *source) gone() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.deleted)
}

// handler is what jobs are given to.
type handler func(ctx context.Context, body []byte) error

func (h handler) Handle(ctx context.Context, body []byte) error { return h(ctx, body) }

func newSource(jobs int) *source {
	s := &source{jobs: make(chan queue.Received, 1000)}
	for i := range jobs {
		s.jobs <- queue.Received{Handle: strconv.Itoa(i), Body: fmt.Append(nil, i)}
	}
	return s
}

func newWorker(s *source, h handler, concurrency int) *delivery.Worker {
	return delivery.NewWorker(s, h, slog.New(slog.DiscardHandler), concurrency)
}

func TestWorkerBoundsItsAttempts(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSource(100)
		var mu sync.Mutex
		var open, most int
		w := newWorker(s, func(context.Context, []byte) error {
			mu.Lock()
			open++
			most = max(most, open)
			mu.Unlock()
			<-time.After(time.Second)
			mu.Lock()
			open--
			mu.Unlock()
			return nil
		}, 25)
		require.NoError(t, w.Start(t.Context()))
		require.Error(t, w.Start(t.Context()), "started twice")
		<-time.After(10 * time.Second)
		require.NoError(t, w.Stop(t.Context()))
		require.Equal(t, 25, most)
		require.Equal(t, 100, s.gone())
	})
}

func TestWorkerKeepsJobsThatFail(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSource(2)
		w := newWorker(s, func(_ context.Context, body []byte) error {
			if string(body) == "0" {
				return errors.New("database is gone")
			}
			return nil
		}, 4)
		require.NoError(t, w.Start(t.Context()))
		synctest.Wait()
		require.NoError(t, w.Stop(t.Context()))
		require.Equal(t, []string{"1"}, s.deleted)
	})
}

func TestWorkerSurvivesTheQueue(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSource(1)
		s.fail = 20
		w := newWorker(s, func(context.Context, []byte) error { return nil }, 4)
		require.NoError(t, w.Start(t.Context()))
		<-time.After(2 * time.Minute)
		require.Equal(t, 1, s.gone())
		require.NoError(t, w.Stop(t.Context()))
		require.Less(t, s.asked, 50, "it does not hammer")
	})
}

// Stop lets attempts finish, and breaks them off when its patience ends.
func TestWorkerDrains(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		patience time.Duration
		broken   bool
	}{"in time": {time.Minute, false}, "out of time": {time.Second, true}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := newSource(3)
				broken := make(chan bool, 3)
				w := newWorker(s, func(ctx context.Context, _ []byte) error {
					select {
					case <-time.After(10 * time.Second):
						broken <- false
					case <-ctx.Done():
						broken <- true
					}
					return nil
				}, 3)
				starting, cancel := context.WithCancel(t.Context())
				require.NoError(t, w.Start(starting))
				cancel() // bounds the start only
				synctest.Wait()
				s.jobs <- queue.Received{Handle: "late"}
				ctx, cancel := context.WithTimeout(t.Context(), c.patience)
				defer cancel()
				require.NoError(t, w.Stop(ctx))
				require.NoError(t, w.Stop(ctx), "twice")
				for range 3 {
					require.Equal(t, c.broken, <-broken)
				}
				require.Equal(t, 3, s.gone())
				require.Len(t, s.jobs, 1, "what was not begun stays in the queue")
			})
		})
	}
}

func TestStopBeforeStart(t *testing.T) {
	t.Parallel()
	require.NoError(t, newWorker(newSource(0), nil, 1).Stop(t.Context()))
}
