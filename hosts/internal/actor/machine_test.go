package actor_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"wafleet/hosts/internal/actor"
	"wafleet/shared/session"
	"wafleet/shared/webhook"
)

// signals is package wa's table as an actor sees it. Pairing is not among them: see chaos.pair.
func signals() []actor.Signal {
	all := append(stale(),
		actor.Signal{State: session.Reconnecting, Reason: "connect_failure_418", Event: webhook.SessionDisconnected, Then: actor.Retry},
		actor.Signal{Then: actor.Suspect},
		actor.Signal{Reason: "phone_without_multidevice", Then: actor.Hint},
		outdated("2.3000.1"), // without a successor
		loggedOut(),
		actor.Signal{}) // whatever asks for nothing
	for _, halt := range halts {
		all = append(all, halt)
	}
	return all
}

// chaos drives one company at random: its user, its phone, WhatsApp and the network, in any order.
type chaos struct {
	*bundle
	t      *testing.T
	id     string
	random *rand.Rand

	mu       sync.Mutex
	burst    int            // dials since anything that allows for new ones
	worst    int            // longest burst
	failing  int            // dials still to fail
	attempts map[string]int // of messages
	acked    map[string]bool
	wires    map[string]string
	broken   []string
}

// TestSessionsUnderChaos is the property test of the state machine. Whatever signals, dial results and wishes come
// in whatever order: an actor opens one socket at a time, does not hammer, sends nothing again that was
// acked, and what it believes is what Postgres says. Then the weather clears up, and everything arrives.
func TestSessionsUnderChaos(t *testing.T) {
	t.Parallel()
	const companies, steps = 6, 40
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	cfg := quick
	cfg.LoginTimeout, cfg.QRFirstTTL, cfg.QRNextTTL = 30*time.Millisecond, 40*time.Millisecond, 20*time.Millisecond
	cfg.ReconnectDelay = time.Millisecond
	b := setup(t, cfg)
	all := make(map[string]*chaos)
	for i := range companies {
		c := &chaos{
			bundle: b, t: t, id: fmt.Sprintf("company-%d", i), random: rand.New(rand.NewPCG(seed, uint64(i))),
			attempts: make(map[string]int), acked: make(map[string]bool), wires: make(map[string]string),
		}
		all[c.id] = c
		b.create(t, c.id, shardNo)
	}
	// While one session is online, failures are the others' own.
	b.create(t, "anchor", shardNo)
	b.set(func(s *script) { s.Obliging = true })
	require.Eventually(t, func() bool {
		switch session.State(b.sessionOf(t, "anchor").State) {
		case session.Connected:
			return true
		case session.Created, session.Failed: // its code may run out before it is scanned
			b.declare(t, "anchor", session.DesiredRunning)
			b.fleet.Reconcile(t.Context(), "anchor")
		default:
		}
		return false
	}, await, 10*time.Millisecond)
	b.agree(t, map[string]int{"connected": 1})
	b.set(func(s *script) {
		s.Obliging, s.version = false, "2.3000.1"
		s.OnRestore = func(companyID string) { all[companyID].allow() }
		s.OnDial = func(companyID string) error { return all[companyID].dialled() }
		s.OnSend = func(companyID string, m actor.Outgoing) error { return all[companyID].sending(m) }
	})
	var running sync.WaitGroup
	for _, c := range all {
		running.Go(func() {
			for range steps {
				c.step()
			}
		})
	}
	running.Wait()
	b.agree(t, nil)

	b.set(func(s *script) { s.Obliging, s.OnDial, s.OnSend = true, nil, nil })
	for _, c := range all {
		c.ask(session.DesiredStopped)
	}
	b.agree(t, map[string]int{"stopped": companies, "connected": 1})
	require.Equal(t, 1, b.Sockets())
	for _, c := range all {
		c.ask(session.DesiredRunning)
	}
	require.Eventually(t, func() bool {
		for _, c := range all {
			if c.sessionOf(t, c.id).State == string(session.Failed) {
				c.ask(session.DesiredRunning) // its code ran out before it was scanned
			}
		}
		return b.unsettled(t) == 0 && b.stored(t)["connected"] == companies+1
	}, await, 5*time.Millisecond, "every message has an end")
	b.agree(t, map[string]int{"connected": companies + 1})
	require.NoError(t, b.fleet.Stop(t.Context()))
	require.Empty(t, b.seen(t))
	require.Zero(t, b.Sockets())
	require.Empty(t, b.Broken())
	for _, c := range all {
		require.Empty(t, c.broken)
		// What allows for a new burst is heard a little later than it is said, so that two may run into each other.
		require.LessOrEqual(t, c.worst, 2*(cfg.MaxReconnects+1), "dials in a row that led to nothing")
	}
}

// agree waits until what the actors believe is what Postgres says, and what is wanted if that is given. Companies
// that never did anything have no actor.
func (b *bundle) agree(t *testing.T, want map[string]int) {
	t.Helper()
	var stored, seen map[string]int
	defer func() {
		if t.Failed() {
			t.Logf("stored %v, seen %v, wanted %v; logged %v", stored, seen, want, b.log.lines)
		}
	}()
	require.Eventually(t, func() bool {
		stored, seen = b.stored(t), b.seen(t)
		delete(stored, string(session.Created))
		delete(seen, string(session.Created))
		return maps.Equal(stored, seen) && (want == nil || maps.Equal(want, seen))
	}, await, time.Millisecond, "what the actors believe is not what Postgres says")
}

// step does one thing.
func (c *chaos) step() {
	switch n := c.random.IntN(20); {
	case n < 9:
		table := signals()
		c.say(table[c.random.IntN(len(table))])
	case n < 11:
		c.pair()
	case n < 13:
		c.say(connected())
		c.say(actor.Signal{Then: actor.Settle})
	case n < 15:
		c.ask(session.DesiredRunning)
	case n == 15:
		c.ask(session.DesiredStopped)
	case n == 16:
		c.ask(session.DesiredLoggedOut)
	case n == 17:
		c.mu.Lock()
		c.failing = c.random.IntN(6)
		c.mu.Unlock()
	default:
		c.accept()
	}
	select { // let some of it happen, or none
	case <-time.After(time.Duration(c.random.IntN(8)) * time.Millisecond):
	case <-c.t.Context().Done():
	}
	if row := c.sessionOf(c.t, c.id); !slices.Contains(session.States(), session.State(row.State)) {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.broken = append(c.broken, "state "+row.State)
	}
}

// say is a word of the latest socket, dead or alive.
func (c *chaos) say(s actor.Signal) {
	conn := c.latestOf(c.id)
	if conn == nil {
		return
	}
	if s.Then == actor.Drain {
		conn.mu.Lock()
		jid, open := conn.jid, conn.open
		conn.mu.Unlock()
		if jid == "" || !open {
			return // nobody logs in without a device, or on no socket
		}
		s.JID, s.LID = jid, ""
		c.allow()
	}
	conn.Signal(s)
}

// pair links the device, if there is a socket on which that can be.
func (c *chaos) pair() {
	conn := c.latestOf(c.id)
	if conn == nil || !conn.isOpen() || c.sessionOf(c.t, c.id).JID != nil {
		return
	}
	if err := conn.Bind(context.WithoutCancel(c.t.Context()), jidOf(c.id), ""); err != nil {
		return
	}
	conn.mu.Lock()
	conn.jid = jidOf(c.id)
	conn.mu.Unlock()
	c.allow()
	conn.Signal(actor.Signal{JID: jidOf(c.id)})
	conn.Signal(actor.Signal{Then: actor.Redial})
}

func (c *chaos) ask(desired session.Desired) {
	c.allow()
	c.declare(c.t, c.id, desired)
	c.fleet.Reconcile(c.t.Context(), c.id)
}

func (c *chaos) accept() {
	c.mu.Lock()
	c.attempts[""]++
	id := fmt.Sprintf("3EB0%s%04d", c.id[len(c.id)-1:], c.attempts[""])
	c.mu.Unlock()
	c.queueFor(c.t, c.id, id, fmt.Sprintf("7900111111%d", c.random.IntN(3)), "text of "+id)
	c.fleet.Kick(c.id)
}

// allow begins a new burst: somebody asked, or a socket has worked.
func (c *chaos) allow() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.burst = 0
}

func (c *chaos) dialled() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.burst++
	c.worst = max(c.worst, c.burst)
	if c.failing > 0 {
		c.failing--
		return errors.New("no route")
	}
	return nil
}

// sending lets the first two attempts of a message end in any way. It knows what was acked.
func (c *chaos) sending(m actor.Outgoing) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.acked[m.ID] {
		c.broken = append(c.broken, "sent after its ack: "+m.ID)
	}
	if wire, before := c.wires[m.ID]; before && wire != string(m.Wire) {
		c.broken = append(c.broken, "other content under the id "+m.ID)
	}
	c.wires[m.ID] = string(m.Wire)
	if c.attempts[m.ID]++; c.attempts[m.ID] <= 2 {
		switch rand.N(8) {
		case 0:
			return &actor.SendError{Outcome: actor.NotWritten, Reason: "query_timeout", Err: errOffline}
		case 1, 2:
			return unknown("no_ack")
		case 3:
			return &actor.SendError{Outcome: actor.Refused, Reason: "server_refused_479", Err: errOffline}
		}
	}
	c.acked[m.ID] = true
	return nil
}

// unsettled counts the messages that have not come to an end.
func (b *bundle) unsettled(t *testing.T) (n int) {
	t.Helper()
	err := b.store.Pool().QueryRow(t.Context(), `SELECT count(*) FROM messages WHERE status NOT IN ('sent', 'failed')`).Scan(&n)
	require.NoError(t, err)
	return n
}
