package feed_test

import (
	"context"
	"log/slog"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"wafleet/functions/internal/feed"
	"wafleet/shared/store"
	"wafleet/shared/vault"
)

// countingVault does something at the n-th use.
type countingVault struct {
	*vault.Vault

	left atomic.Int64
	then func()
}

func (v *countingVault) Seal(ctx context.Context, companyID, place string, text []byte) ([]byte, error) {
	if v.left.Add(-1) == 0 {
		v.then()
	}
	return v.Vault.Seal(ctx, companyID, place, text)
}

// feederCrashingAfter has a vault that breaks everything off at its n-th use: ends the context, as a process's end would.
func (b *bundle) feederCrashingAfter(t *testing.T, uses int, crash func()) *feed.Feeder {
	t.Helper()
	v := &countingVault{Vault: b.vault, then: crash}
	v.left.Store(int64(uses))
	f, err := feed.New(feed.Deps{
		Store: store.New(b.pool, v), Vault: v, Queue: b.queue, Nudger: b.nudges, IDs: b.ids, Logger: slog.New(slog.DiscardHandler),
	})
	require.NoError(t, err)
	return f
}

// start runs a worker until the test ends.
func (b *bundle) start(t *testing.T) {
	t.Helper()
	w := feed.NewWorker(b.queue, b.feeder.Handlers(), slog.New(slog.DiscardHandler))
	require.NoError(t, b.queue.Start(t.Context()))
	require.NoError(t, w.Start(t.Context()))
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), 30*time.Second)
		defer cancel()
		require.NoError(t, w.Stop(ctx))
		require.NoError(t, w.Stop(ctx), "again")
		require.NoError(t, b.queue.Stop(ctx))
	})
}

// await waits until a statement counts so many.
func (b *bundle) await(t *testing.T, want int, statement string) {
	t.Helper()
	require.Eventually(t, func() bool {
		var n int
		err := b.pool.QueryRow(t.Context(), statement).Scan(&n)
		return err == nil && n == want
	}, 60*time.Second, 20*time.Millisecond)
}
