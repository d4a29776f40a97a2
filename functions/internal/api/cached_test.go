package api //nolint:testpackage // the cache is nobody else's business

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func TestCachedMeasuresAtMostOnceASecond(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := 0
		c := newCached(func(context.Context) (int, error) { n++; return n, nil })
		for range 5 {
			v, err := c.get(t.Context())
			require.NoError(t, err)
			require.Equal(t, 1, v)
		}
		<-time.After(lookEvery)
		v, _ := c.get(t.Context())
		require.Equal(t, 2, v)
	})
}

func TestCachedGivesTheLastValueWhileAnotherMeasures(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := 0
		c := newCached(func(context.Context) (int, error) {
			n++
			<-time.After(100 * time.Millisecond)
			return n, nil
		})
		var wg sync.WaitGroup
		for range 10 { // the first ones wait: there is nothing to give yet
			wg.Go(func() {
				v, err := c.get(t.Context())
				require.NoError(t, err)
				require.Equal(t, 1, v)
			})
		}
		wg.Wait()
		<-time.After(countingShare * 100 * time.Millisecond) // what takes long is done seldom
		wg.Go(func() { _, _ = c.get(t.Context()) })
		synctest.Wait()
		started := time.Now()
		v, _ := c.get(t.Context())
		require.Equal(t, 1, v)
		require.Zero(t, time.Since(started))
		wg.Wait()
		v, _ = c.get(t.Context())
		require.Equal(t, 2, v)
	})
}

func TestCachedOutlivesTheCallerAndKeepsErrorsToo(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		broken := errors.New("broken")
		n := 0
		c := newCached(func(ctx context.Context) (int, error) {
			n++
			require.NoError(t, ctx.Err())
			_, bounded := ctx.Deadline()
			require.True(t, bounded)
			return 0, broken
		})
		gone, cancel := context.WithCancel(t.Context())
		cancel()
		for range 3 {
			_, err := c.get(gone)
			require.ErrorIs(t, err, broken)
		}
		require.Equal(t, 1, n)
	})
}
