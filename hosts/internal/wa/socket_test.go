package wa

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.mau.fi/whatsmeow/store"

	"wafleet/hosts/internal/actor"
	"wafleet/infra/wasim"
	"wafleet/shared/message"
	fleet "wafleet/shared/store"
)

var errShut = errors.New("shut")

// valve is a gate that a test opens and closes.
type valve struct {
	denied context.Context //nolint:containedctx // to hook on
	deny   context.CancelFunc

	mu      sync.Mutex
	opened  chan struct{} // closed while it is open
	waiting int
	passed  int
}

func newValve() *valve {
	v := &valve{opened: make(chan struct{})}
	v.denied, v.deny = context.WithCancel(context.Background())
	close(v.opened)
	return v
}

func (v *valve) Pass(stop <-chan struct{}) error {
	v.mu.Lock()
	opened := v.opened
	v.waiting++
	v.mu.Unlock()
	defer func() {
		v.mu.Lock()
		defer v.mu.Unlock()
		v.waiting--
		v.passed++
	}()
	if v.denied.Err() != nil {
		return errShut
	}
	select {
	case <-opened:
		return nil
	case <-v.denied.Done():
		return errShut
	case <-stop:
		return errors.New("stopped")
	}
}

func (v *valve) OnDenied(do func()) func() bool { return context.AfterFunc(v.denied, do) }

// shut makes everybody wait until the function that it returns is called.
func (v *valve) shut() (open func()) {
	v.mu.Lock()
	defer v.mu.Unlock()
	opened := make(chan struct{})
	v.opened = opened
	return func() { close(opened) }
}

// awaitWaiting returns when somebody waits at the gate.
func (v *valve) awaitWaiting(t *testing.T) {
	t.Helper()
	require.Eventually(t, func() bool {
		v.mu.Lock()
		defer v.mu.Unlock()
		return v.waiting > 0
	}, await, time.Millisecond)
}

// gated is a line that has logged in behind a gate.
func gated(t *testing.T) (*line, *valve) {
	t.Helper()
	l, v := paired(t), newValve()
	l.hang()
	l.gates = func(fence fleet.Fence) Gate {
		require.Equal(t, l.database.Fence, fence)
		return v
	}
	l.open(t)
	l.reconnect(t)
	return l, v
}

// texting sends a text in the background.
func (l *line) texting(t *testing.T, id, to, text string) <-chan error {
	t.Helper()
	wire, err := shared.Build(message.Content{Kind: message.Text, Text: text}, nil)
	require.NoError(t, err)
	sent := make(chan error, 1)
	go func() {
		sent <- l.Send(context.WithoutCancel(t.Context()), actor.Outgoing{ID: id, Phone: to, Wire: wire})
	}()
	return sent
}

// sockets counts how often a number's companions have opened one.
func sockets(number string) (n int) {
	for _, row := range whatsapp.Journal(0, 0) {
		if row.Tag == "open" && len(row.Device) > len(number) && row.Device[:len(number)] == number {
			n++
		}
	}
	return n
}

// While the lease is in doubt nothing leaves the host, the socket stays, and what waited goes out afterwards.
func TestWritesWaitWhileTheLeaseIsInDoubt(t *testing.T) {
	t.Parallel()
	l, v := gated(t)
	anna := newPhone(t)
	require.NoError(t, l.text(t, "3EB0AB01", anna, "before"))
	opened := sockets(l.number)
	open := v.shut()
	sent := l.texting(t, "3EB0AB02", anna, "in doubt")
	v.awaitWaiting(t)
	_, err := whatsapp.SendText(t.Context(), anna, l.number, "and you?")
	require.NoError(t, err)
	require.Empty(t, sent)
	open()
	l.got(t, 1) // what came meanwhile
	require.NoError(t, <-sent)
	arrived(t, anna, "3EB0AB02")
	require.Equal(t, opened, sockets(l.number))
}

// A lease that is gone takes the socket with it, at once and with whatever waits at the gate.
func TestADeniedLeaseClosesTheSocket(t *testing.T) {
	t.Parallel()
	l, v := gated(t)
	anna := newPhone(t)
	require.NoError(t, l.text(t, "3EB0AC01", anna, "before"))
	v.shut()
	sent := l.texting(t, "3EB0AC02", anna, "never")
	v.awaitWaiting(t)
	v.deny()
	require.Error(t, <-sent)
	l.await(t, then(actor.Retry))
	for _, m := range whatsappMessages(t, anna) {
		require.NotEqual(t, "3EB0AC02", m.ID)
	}
	l.Close()
	require.ErrorIs(t, l.Connect(l.life), errShut, "and there will be no other")
}

func whatsappMessages(t *testing.T, phone string) []wasim.Message {
	t.Helper()
	all, err := whatsapp.Messages(phone)
	require.NoError(t, err)
	return all
}

func TestADialWaitsWhileTheLeaseIsInDoubt(t *testing.T) {
	t.Parallel()
	l, v := gated(t)
	l.hang()
	open := v.shut()
	dialled := make(chan error, 1)
	l.life, l.hangUp = context.WithCancel(context.WithoutCancel(t.Context()))
	go func() { dialled <- l.Connect(l.life) }()
	v.awaitWaiting(t)
	opened := sockets(l.number)
	require.Empty(t, dialled)
	l.hangUp() // and gives up when it is not wanted any more
	require.ErrorIs(t, <-dialled, context.Canceled)
	require.Equal(t, opened, sockets(l.number))
	open()
	l.Close()
	l.connect(t)
}

// Whoever closes a socket does not wait for what waits at its gate.
func TestCloseInDoubt(t *testing.T) {
	t.Parallel()
	l, v := gated(t)
	defer v.shut()()
	sent := l.texting(t, "3EB0AD01", newNumber(), "never")
	v.awaitWaiting(t)
	start := time.Now()
	l.Close()
	require.Error(t, <-sent)
	require.Less(t, time.Since(start), farewell+handlerGrace)
}

// A server that does not say goodbye does not hold up whoever hands the company over.
func TestAFarewellThatIsNotAnswered(t *testing.T) {
	t.Parallel()
	near, far := net.Pipe()
	go func() { _, _ = io.Copy(io.Discard, far) }()
	v := newValve()
	l := &link{gate: v}
	s := newSocket(near, l)
	n, err := s.Write([]byte("frame"))
	require.NoError(t, err)
	require.Equal(t, 5, n)
	l.cut()
	_, err = s.Write([]byte("frame"))
	require.Error(t, err)
	require.NoError(t, s.Close(), "again")
	(&link{}).cut() // nothing is there
	require.NoError(t, far.Close())

	c := newConn(&store.Device{}, &ways{}, v, actor.Handlers{}, slog.New(slog.DiscardHandler))
	c.Close()
}
