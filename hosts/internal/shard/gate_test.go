package shard_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"wafleet/hosts/internal/shard"
	"wafleet/shared/store"
)

// guarded gives a bubble a host with one shard, and the gate of it.
func guarded(t *testing.T) (s *script, k *shard.Keeper, fence store.Fence) {
	t.Helper()
	s = &script{shards: 1, free: []int{0}}
	k = start(t, s)
	fence, _ = gained(t, k)
	s.change(func(s *script) { s.free = nil })
	return s, k, fence
}

// pass tries to pass in the background and returns what comes of it.
func passing(gate *shard.Gate, stop <-chan struct{}) <-chan error {
	done := make(chan error, 1)
	go func() { done <- gate.Pass(stop) }()
	synctest.Wait()
	return done
}

func TestAGateIsOpenWhileTheLeaseIsTrusted(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		_, k, fence := guarded(t)
		gate := k.Gate(fence)
		for range 100 {
			require.NoError(t, gate.Pass(nil))
			pass(100 * time.Millisecond)
		}
		require.Same(t, gate, k.Gate(fence), "one for the whole term")
	})
}

// A database that is away makes writes wait, and only that.
func TestDoubtHoldsWritesUntilTheLeaseIsConfirmed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, k, fence := guarded(t)
		gate := k.Gate(fence)
		s.change(func(s *script) { s.down = true })
		pass(20 * time.Second)
		first, second := passing(gate, nil), passing(gate, nil)
		require.Empty(t, first)
		s.change(func(s *script) { s.down = false })
		pass(time.Second)
		require.NoError(t, <-first)
		require.NoError(t, <-second)
		require.NoError(t, gate.Pass(nil))
	})
}

func TestADeniedLeaseClosesTheGate(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(t *testing.T, s *script, k *shard.Keeper, fence store.Fence){
		"by the database": func(_ *testing.T, s *script, _ *shard.Keeper, _ store.Fence) {
			s.change(func(s *script) { s.down, s.deny = false, true })
			pass(time.Second)
		},
		"by its own release": func(t *testing.T, _ *script, k *shard.Keeper, fence store.Fence) {
			t.Helper()
			require.NoError(t, k.Release(t.Context(), fence))
		},
		"by the end of the host": func(t *testing.T, _ *script, k *shard.Keeper, _ store.Fence) {
			t.Helper()
			require.NoError(t, k.Stop(t.Context()))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s, k, fence := guarded(t)
				gate := k.Gate(fence)
				told := make(chan struct{})
				gate.OnDenied(func() { close(told) })
				never := gate.OnDenied(func() { t.Error("was taken back") })
				require.True(t, never())
				s.change(func(s *script) { s.down = true })
				pass(20 * time.Second)
				waiting := passing(gate, nil)
				require.Empty(t, waiting)

				end(t, s, k, fence)
				require.ErrorIs(t, <-waiting, shard.ErrDenied)
				<-told
				require.ErrorIs(t, gate.Pass(nil), shard.ErrDenied)
				require.ErrorIs(t, k.Gate(fence).Pass(nil), shard.ErrDenied)
			})
		})
	}
}

func TestNobodyWaitsAtAGateForEver(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, k, fence := guarded(t)
		gate := k.Gate(fence)
		s.change(func(s *script) { s.down = true })
		pass(20 * time.Second)
		began, stop := time.Now(), make(chan struct{})
		waiting, impatient := passing(gate, nil), passing(gate, stop)
		close(stop)
		require.ErrorContains(t, <-impatient, "broken off")
		require.Zero(t, time.Since(began))
		require.ErrorIs(t, <-waiting, shard.ErrDoubt)
		require.Equal(t, 90*time.Second, time.Since(began))
	})
}

// A process that stood still knows nothing when it wakes up: not one write passes before the database was asked.
func TestAHostThatStoodStillWritesNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, k, fence := guarded(t)
		gate := k.Gate(fence)
		s.change(func(s *script) { s.slowness, s.deny = time.Minute, true }) // the loop stands still in its next renewal
		pass(10 * time.Second)
		waiting := passing(gate, nil)
		require.Empty(t, waiting)
		require.ErrorIs(t, <-waiting, shard.ErrDenied)
	})
}

func TestTheGateOfAnotherTerm(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		_, k, fence := guarded(t)
		require.ErrorIs(t, k.Gate(store.Fence{Shard: fence.Shard}).Pass(nil), shard.ErrDenied)
		require.ErrorIs(t, k.Gate(store.Fence{Shard: 7, Term: fence.Term}).Pass(nil), shard.ErrDenied)
	})
}

func BenchmarkPass(b *testing.B) {
	gate := shard.OpenGate()
	for b.Loop() {
		if err := gate.Pass(nil); err != nil {
			b.Fatal(err)
		}
	}
}
