package store_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
)

// However many hosts ask at once: one cleans, and none again within a day of the database's clock.
func TestOneHostCleansUpOnceADay(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	var cleaned, due atomic.Int32
	ask := func() {
		ok, err := f.CleanUp(t.Context(), func(context.Context) error { cleaned.Add(1); return nil })
		if err != nil {
			t.Error(err)
		}
		if ok {
			due.Add(1)
		}
	}
	var hosts sync.WaitGroup
	for range 8 {
		hosts.Go(ask)
	}
	hosts.Wait()
	require.EqualValues(t, 1, cleaned.Load())
	require.EqualValues(t, 1, due.Load())

	f.exec(t, `UPDATE fleet SET devices_cleaned_at = now() - interval '23 hours'`)
	ask()
	require.EqualValues(t, 1, cleaned.Load())
	f.exec(t, `UPDATE fleet SET devices_cleaned_at = now() - interval '25 hours'`)
	ask()
	require.EqualValues(t, 2, cleaned.Load())
}

// While one cleans, the others do not; what failed is tried again when its turn is over.
func TestACleanUpIsATurn(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	broken := errors.New("broken")
	due, err := f.CleanUp(t.Context(), func(ctx context.Context) error {
		again, err := f.CleanUp(ctx, func(context.Context) error { return nil })
		require.NoError(t, err)
		require.False(t, again, "somebody is at it")
		return broken
	})
	require.ErrorIs(t, err, broken)
	require.True(t, due)
	due, err = f.CleanUp(t.Context(), func(context.Context) error { return nil })
	require.NoError(t, err)
	require.False(t, due, "not at once")
	f.exec(t, `UPDATE fleet SET devices_cleaning_until = now() - interval '1 second'`)
	due, err = f.CleanUp(t.Context(), func(context.Context) error { return nil })
	require.NoError(t, err)
	require.True(t, due)
}
