package app

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// A host looks once in an hour or so, not at its start, and goes on after an error.
func TestTheCaretakerLooksFromTimeToTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var looks []time.Duration
		started := time.Now()
		c := newCaretaker(func(context.Context) (bool, error) {
			looks = append(looks, time.Since(started))
			return true, errors.New("postgres is away")
		}, slog.New(slog.DiscardHandler))
		require.NoError(t, c.Start(t.Context()))
		<-time.After(24 * time.Hour)
		require.NoError(t, c.Stop(t.Context()))
		require.GreaterOrEqual(t, len(looks), 15)
		require.LessOrEqual(t, len(looks), 48)
		last := time.Duration(0)
		for _, at := range looks {
			require.GreaterOrEqual(t, at-last, careInterval/2)
			require.LessOrEqual(t, at-last, careInterval*3/2)
			last = at
		}
	})
}

// A host that stops breaks the work off.
func TestTheCaretakerStops(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newCaretaker(func(ctx context.Context) (bool, error) {
			<-ctx.Done()
			return true, ctx.Err()
		}, slog.New(slog.DiscardHandler))
		require.NoError(t, c.Stop(t.Context()), "before it started")
		require.NoError(t, c.Start(t.Context()))
		<-time.After(2 * careInterval)
		require.NoError(t, c.Stop(t.Context()))
		require.NoError(t, c.Stop(t.Context()), "twice")
	})
}
