package problem_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"wafleet/shared/problem"
)

func TestRetry(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		fails []error // what the calls return, then nil
		calls int
		want  error
	}{
		"success":               {nil, 1, nil},
		"success in the end":    {[]error{problem.Database, problem.Connection}, 3, nil},
		"never":                 {[]error{problem.Database, problem.Database, problem.Timeout, problem.Database}, 3, problem.Timeout},
		"not retryable":         {[]error{problem.Validation}, 1, problem.Validation},
		"unknown":               {[]error{errors.New("boom")}, 1, nil},
		"retryable, then final": {[]error{problem.Database, problem.Forbidden}, 2, problem.Forbidden},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				calls := 0
				err := problem.Retry(t.Context(), 3, func(context.Context) error {
					calls++
					if calls <= len(tc.fails) {
						return tc.fails[calls-1]
					}
					return nil
				})
				require.Equal(t, tc.calls, calls)
				if tc.want != nil {
					require.ErrorIs(t, err, tc.want)
				} else {
					require.Equal(t, len(tc.fails) >= calls, err != nil)
				}
			})
		})
	}
}

func TestRetryWaitsAsLongAsAsked(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		start, calls := time.Now(), 0
		err := problem.Retry(t.Context(), 2, func(context.Context) error {
			if calls++; calls == 1 {
				return problem.RateLimited.RetryAfter(90 * time.Second)
			}
			return nil
		})
		require.NoError(t, err)
		require.Equal(t, 90*time.Second, time.Since(start))
	})
}

func TestRetryEndsWithItsContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		err := problem.Retry(ctx, 5, func(context.Context) error { return problem.NotConnected })
		require.ErrorIs(t, err, context.DeadlineExceeded)
	})
}
