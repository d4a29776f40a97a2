package actor

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"wafleet/shared/pace"
)

func never() bool { return false }

// alone is the pace of a host without Redis.
func alone(perSecond float64) *pace.Pace {
	return pace.New(nil, pace.Config{Start: perSecond}, slog.New(slog.DiscardHandler))
}

// After a burst of as many as a second allows, connects come one by one at the host's rate.
func TestPacerKeepsItsRate(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const perSecond, dials = 5, 50
		p := NewPacer(alone(perSecond))
		start := time.Now()
		var mu sync.Mutex
		var at []time.Duration
		var dialling sync.WaitGroup
		for range dials {
			dialling.Go(func() {
				if p.Wait(t.Context(), never) == nil {
					mu.Lock()
					defer mu.Unlock()
					at = append(at, time.Since(start))
				}
			})
		}
		dialling.Wait()
		p.Stop()
		require.Len(t, at, dials)
		slices.Sort(at)
		require.Zero(t, at[perSecond-1], "the burst")
		for i := perSecond; i < dials; i++ {
			require.InDelta(t, time.Second/perSecond, at[i]-at[i-1], float64(time.Millisecond))
		}
	})
}

// A dial that is given up gives its slot back, and does not wait for it.
func TestPacerLetsGo(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := NewPacer(alone(0.1))
		defer p.Stop()
		require.NoError(t, p.Wait(t.Context(), never))
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		start := time.Now()
		require.ErrorIs(t, p.Wait(ctx, never), context.Canceled)
		require.Equal(t, time.Second, time.Since(start))
		p.Stop() // nothing runs while nobody waits
		require.NoError(t, p.Wait(t.Context(), never))
		require.Equal(t, 10*time.Second, time.Since(start), "as if nobody had asked in between")
	})
}

// Who has something to send goes first, also when that becomes so while it waits; the others keep their order.
func TestPacerPrefersTheUrgent(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := NewPacer(alone(1))
		require.NoError(t, p.Wait(t.Context(), never))
		var order []string
		var became bool
		var mu sync.Mutex
		var dialling sync.WaitGroup
		dial := func(name string, urgent func() bool) {
			dialling.Go(func() {
				if p.Wait(t.Context(), urgent) == nil {
					mu.Lock()
					defer mu.Unlock()
					order = append(order, name)
				}
			})
			synctest.Wait()
		}
		dial("first", never)
		dial("second", never)
		dial("later", func() bool {
			mu.Lock()
			defer mu.Unlock()
			return became
		})
		dial("pairing", func() bool { return true })
		<-time.After(1500 * time.Millisecond)
		mu.Lock()
		became = true
		mu.Unlock()
		dialling.Wait()
		p.Stop()
		require.Equal(t, []string{"pairing", "later", "first", "second"}, order)
	})
}

//nolint:paralleltest // counts allocations
func TestAPacerWithoutALimit(t *testing.T) {
	p := NewPacer(pace.New(nil, pace.Config{}, nil))
	require.Zero(t, testing.AllocsPerRun(1000, func() { require.NoError(t, p.Wait(t.Context(), never)) }))
	p.Stop()
}

// While nobody is online and others fail as well, it is the address that fails, and no session gives up for that.
func TestWhoseFailureItIs(t *testing.T) {
	t.Parallel()
	p := NewPacer(nil)
	require.True(t, p.Failed("a"), "a session that is alone has nobody else to blame")
	require.True(t, p.Failed("a"))
	require.False(t, p.Failed("b"))
	require.False(t, p.Failed("a"))
	p.Up("c")
	require.True(t, p.Failed("a"))
	require.True(t, p.Failed("b"))
	p.Down()
	require.False(t, p.Failed("b"))
	p.Forget("a")
	require.True(t, p.Failed("b"))
	p.Up("b")
	p.Down()
	require.True(t, p.Failed("a"), "b has connected since")
}
