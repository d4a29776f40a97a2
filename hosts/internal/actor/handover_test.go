package actor_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"wafleet/shared/session"
)

// reopen gives the shard to its next owner, as a take-over does.
func (b *bundle) reopen(t *testing.T) {
	t.Helper()
	b.fleet.CloseShard(shardNo)()
	b.fence = b.lease(t, shardNo)
	require.NoError(t, b.fleet.OpenShard(t.Context(), b.fence))
}

// arrival waits for the sessions of the shard, and tells when that is over.
func (b *bundle) arrival(ctx context.Context) <-chan struct{} {
	done := make(chan struct{})
	go func() {
		defer close(done)
		b.fleet.AwaitArrival(ctx, shardNo)
	}()
	return done
}

func over(t *testing.T, done <-chan struct{}) {
	t.Helper()
	select {
	case <-done:
	case <-time.After(await):
		require.FailNow(t, "it is still waiting")
	}
}

func TestAShardArrivesWithItsLastSession(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(t *testing.T, b *bundle, c *conn){
		"that logs in": func(_ *testing.T, _ *bundle, c *conn) { c.Signal(connected()) },
		"that is refused": func(_ *testing.T, _ *bundle, c *conn) {
			c.Signal(lost())
		},
		"that is let go": func(_ *testing.T, b *bundle, _ *conn) { b.fleet.CloseShard(shardNo)() },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t, quick)
			b.online(t)
			b.reopen(t)
			done := b.arrival(t.Context())
			c := b.AwaitDial(t)
			select {
			case <-done:
				require.Fail(t, "nobody has heard from WhatsApp yet")
			case <-time.After(50 * time.Millisecond):
			}
			end(t, b, c)
			over(t, done)
		})
	}
}

func TestADialThatFailsIsAnArrival(t *testing.T) {
	t.Parallel()
	b := setup(t, quick)
	b.online(t)
	b.fleet.CloseShard(shardNo)()
	b.OnDial = func(string) error { return errors.New("no network") }
	b.fence = b.lease(t, shardNo)
	require.NoError(t, b.fleet.OpenShard(t.Context(), b.fence))
	over(t, b.arrival(t.Context()))
}

func TestNobodyWaitsForAnArrivalForEver(t *testing.T) {
	t.Parallel()
	b := setup(t, quick)
	over(t, b.arrival(t.Context())) // nobody is to be online
	b.online(t)
	b.reopen(t)
	ctx, cancel := context.WithCancel(t.Context())
	done := b.arrival(ctx)
	cancel()
	over(t, done)
	b.fleet.AwaitArrival(t.Context(), shardNo+1) // not ours
}

func TestAShardWithSomebodyPairing(t *testing.T) {
	t.Parallel()
	b := setup(t, quick)
	require.False(t, b.fleet.Pairing(shardNo))
	b.want(t, session.DesiredRunning)
	b.awaitState(t, session.Pairing)
	require.Eventually(t, func() bool { return b.fleet.Pairing(shardNo) }, await, time.Millisecond)
	require.False(t, b.fleet.Pairing(shardNo+1))
	b.AwaitDial(t).Signal(connected()) // whoever it was scanned at the last moment
	require.Eventually(t, func() bool { return !b.fleet.Pairing(shardNo) }, await, time.Millisecond)
}

func TestShardsWithDueMessages(t *testing.T) {
	t.Parallel()
	b := setup(t, quick)
	const other = shardNo + 1
	require.NoError(t, b.fleet.OpenShard(t.Context(), b.lease(t, other)))
	b.create(t, "elsewhere", other)
	b.Obliging = true
	for _, id := range []string{company, "elsewhere"} {
		b.declare(t, id, session.DesiredRunning)
		b.fleet.Reconcile(t.Context(), id)
		require.Eventually(t, func() bool { return b.sessionOf(t, id).State == string(session.Connected) }, await, 2*time.Millisecond)
	}
	due := func() []int {
		t.Helper()
		shards, err := b.fleet.Due(t.Context(), []int{shardNo, other})
		require.NoError(t, err)
		return shards
	}
	require.Empty(t, due())
	b.OnSend = nil
	h := b.hold(t)
	for i := range 3 {
		b.queue(t, b.newID(), fmt.Sprintf("7900000000%d", i), "waits")
	}
	b.fleet.Kick(company)
	h.await(t)
	require.Equal(t, []int{shardNo}, due())
	h.end()
	require.Eventually(t, func() bool { return len(due()) == 0 }, await, 2*time.Millisecond)

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := b.fleet.Due(ctx, []int{shardNo})
	require.ErrorIs(t, err, context.Canceled)
}
