package actor_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"wafleet/shared/message"
	"wafleet/shared/session"
	"wafleet/shared/store/db"
)

// A lease that was lost and won again at once: the new sessions begin when the old ones have ended, because two
// sockets with the same keys lose messages.
func TestAShardThatComesBackAtOnce(t *testing.T) {
	t.Parallel()
	b := setup(t, quick)
	b.Obliging = true
	h := b.hold(t)
	b.want(t, session.DesiredRunning)
	b.awaitState(t, session.Connected)
	inHand := b.accept(t, "79001111111", "in hand")
	h.await(t)

	closed := make(chan error, 1)
	wait := b.fleet.CloseShard(shardNo)
	go func() {
		wait()
		closed <- nil
	}()
	b.fence = b.lease(t, shardNo)
	require.NoError(t, b.fleet.OpenShard(t.Context(), b.fence))
	next := b.accept(t, "79002222222", "next")
	unfinished(t, closed, "the old session let go of its message")
	h.end()
	require.NoError(t, <-closed)
	b.awaitStatus(t, next, message.Sent)
	row := b.awaitStatus(t, inHand, message.Sent) // fenced before it could be noted, so sent again under its id
	require.Equal(t, 1, row.Resends)
	b.awaitState(t, session.Connected)
	require.Equal(t, 1, b.Sockets())
	require.Empty(t, b.Broken())
	require.Equal(t, map[string]int{"connected": 1}, b.seen(t))
}

// The same again and again, without waiting for anything.
func TestAShardThatFlaps(t *testing.T) {
	t.Parallel()
	b := setup(t, quick)
	b.Obliging = true
	b.want(t, session.DesiredRunning)
	var closing sync.WaitGroup
	for range 8 {
		closing.Go(b.fleet.CloseShard(shardNo))
		require.NoError(t, b.fleet.OpenShard(t.Context(), b.lease(t, shardNo)))
		b.fleet.Kick(company)
	}
	closing.Wait()
	b.awaitStatus(t, b.accept(t, "79001111111", "hi"), message.Sent)
	require.Equal(t, 1, b.Sockets())
	require.Empty(t, b.Broken())
	b.fleet.CloseShard(shardNo)()
	require.Zero(t, b.Sockets())
	b.fleet.CloseShard(shardNo)() // nothing to close
	b.fleet.CloseShard(99)()
	require.Empty(t, b.seen(t), "a gauge of no session is zero")
}

func TestCompaniesOfOtherShardsAreLeftAlone(t *testing.T) {
	t.Parallel()
	b := setup(t, quick)
	b.Obliging = true
	b.create(t, "foreign", shardNo+1)
	b.declare(t, "foreign", session.DesiredRunning)
	b.queueFor(t, "foreign", b.newID(), "79001111111", "hi", func(p *db.AcceptMessageParams) { p.Shard = shardNo + 1 })
	for _, id := range []string{"foreign", "nobody", ""} {
		b.fleet.Reconcile(t.Context(), id)
		b.fleet.Kick(id)
	}
	b.want(t, session.DesiredRunning)
	b.awaitStatus(t, b.accept(t, "79001111111", "hi"), message.Sent) // polls have passed by now
	require.Zero(t, b.Dials("foreign"))
	require.Equal(t, string(session.Created), b.sessionOf(t, "foreign").State)
	require.Equal(t, map[string]int{"connected": 1}, b.seen(t))
}

func TestACompanyThatIsNewerThanTheLease(t *testing.T) {
	t.Parallel()
	for name, nudge := range map[string]bool{"by nudge": true, "by poll": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := quick
			if nudge {
				cfg.PollInterval = time.Hour
			}
			b := setup(t, cfg)
			b.Obliging = true
			b.create(t, "late", shardNo)
			require.Empty(t, b.seen(t), "a company that nobody asked to run has no actor")
			b.declare(t, "late", session.DesiredRunning)
			if nudge {
				b.fleet.Reconcile(t.Context(), "late")
			}
			require.Eventually(t, func() bool { return b.sessionOf(t, "late").State == string(session.Connected) }, await, time.Millisecond)
			require.EqualValues(t, 1, b.sessionOf(t, "late").ObservedGeneration)
		})
	}
}

// A company that was deleted and created again under its name gets a session again, on the same host and with
// another key. However the old session learns of its end, it ends.
func TestADeletedCompanyMayReturn(t *testing.T) {
	t.Parallel()
	for name, tell := range map[string]func(t *testing.T, b *bundle){
		"by its socket": func(_ *testing.T, b *bundle) { b.latestOf(company).Signal(lost()) },
		"by a nudge":    func(t *testing.T, b *bundle) { t.Helper(); b.fleet.Reconcile(t.Context(), company) },
		"without a key": func(_ *testing.T, b *bundle) {
			b.keys.vault.Forget(company)
			b.latestOf(company).Signal(lost())
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t, quick)
			b.Obliging = true
			b.want(t, session.DesiredRunning)
			b.awaitState(t, session.Connected)
			exec(t, b, `DELETE FROM companies WHERE company_id = $1`, company)
			tell(t, b)
			require.Eventually(t, func() bool { return b.Sockets() == 0 }, await, time.Millisecond, "its session ends")

			b.vault.Forget(company)
			b.create(t, company, shardNo)
			b.declare(t, company, session.DesiredRunning)
			b.fleet.Reconcile(t.Context(), company)
			b.awaitState(t, session.Connected)
			b.awaitStatus(t, b.accept(t, "79001111111", "hi again"), message.Sent)
			require.Empty(t, b.Broken())
			require.Equal(t, map[string]int{"connected": 1}, b.seen(t))
		})
	}
}

func (s *script) latestOf(companyID string) *conn {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.latest[companyID]
}

// Many companies come and go together. The gauge counts each of them once.
func TestManyCompanies(t *testing.T) {
	t.Parallel()
	const companies, shards = 50, 4
	b := setup(t, quick)
	b.Obliging = true
	ids := make([]string, companies)
	for i := range ids {
		ids[i] = fmt.Sprintf("company-%02d", i)
		b.create(t, ids[i], i%shards)
		b.declare(t, ids[i], session.DesiredRunning)
	}
	var opening sync.WaitGroup
	for n := range shards {
		if n == shardNo {
			continue // open already; its companies are newer than that
		}
		fence := b.lease(t, n)
		opening.Go(func() { _ = b.fleet.OpenShard(t.Context(), fence) })
	}
	var kicking sync.WaitGroup
	for _, id := range ids {
		kicking.Go(func() { b.fleet.Kick(id); b.fleet.Reconcile(t.Context(), id) })
	}
	opening.Wait()
	kicking.Wait()
	require.Eventually(t, func() bool { return b.stored(t)["connected"] == companies }, await, 5*time.Millisecond)
	require.Equal(t, map[string]int{"connected": companies}, b.seen(t))
	require.Equal(t, companies, b.Sockets())

	b.declare(t, ids[0], session.DesiredStopped)
	b.fleet.Reconcile(t.Context(), ids[0])
	require.Eventually(t, func() bool { return b.stored(t)["stopped"] == 1 }, await, time.Millisecond)
	require.Equal(t, map[string]int{"connected": companies - 1, "stopped": 1}, b.seen(t))

	var closing sync.WaitGroup
	for n := range shards {
		closing.Go(func() { b.fleet.CloseShard(n)() })
	}
	closing.Wait()
	require.Zero(t, b.Sockets())
	require.Empty(t, b.seen(t))
	require.Empty(t, b.Broken())
	require.Equal(t, map[string]int{"connected": companies - 1, "stopped": 1, "created": 1}, b.stored(t), "whoever is next goes on from here")
}

// A fleet that was never started, or has nothing, stops.
func TestAnIdleFleetStops(t *testing.T) {
	t.Parallel()
	b := setup(t, quick)
	require.NoError(t, b.fleet.Stop(t.Context()))
	b.fleet.Reconcile(t.Context(), company)
	b.fleet.Kick(company)
	require.Zero(t, b.Dials(company))
	require.Empty(t, b.seen(t))
}
