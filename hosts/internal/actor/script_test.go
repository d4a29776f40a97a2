package actor_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"wafleet/hosts/internal/actor"
	"wafleet/shared/message"
)

// await is how long a test waits for what must happen.
const await = 10 * time.Second

// script stands in for WhatsApp behind the actor's port: a test decides what connections do and say. The
// real thing, whatsmeow against the simulator, is tested in package wa and in hosts/app.
type script struct {
	// ConnectErr is what the next dials return; nil lets them succeed.
	ConnectErr func() error
	// SendErr decides how a send ends; nil acks everything.
	SendErr func(m actor.Outgoing) error
	// OpenErr fails Open.
	OpenErr error

	mu     sync.Mutex
	opened []string // jids
	conns  chan *conn
	sent   []actor.Outgoing
	frames chan actor.Outgoing
}

func newScript() *script {
	return &script{conns: make(chan *conn, 64), frames: make(chan actor.Outgoing, 4096)}
}

func (s *script) Open(_ context.Context, _, jid string, h actor.Handlers) (actor.Conn, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.OpenErr != nil {
		return nil, s.OpenErr
	}
	s.opened = append(s.opened, jid)
	return &conn{Handlers: h, script: s}, nil
}

func (s *script) Build(c message.Content) ([]byte, error) { return []byte("wire:" + c.Text), nil }

// AwaitDial returns the connection of the next successful dial.
func (s *script) AwaitDial(t *testing.T) *conn {
	t.Helper()
	select {
	case c := <-s.conns:
		return c
	case <-time.After(await):
		require.FailNow(t, "nothing was dialled")
		return nil
	}
}

// AwaitFrames returns the next n messages that were put on the wire.
func (s *script) AwaitFrames(t *testing.T, n int) []actor.Outgoing {
	t.Helper()
	frames := make([]actor.Outgoing, 0, n)
	deadline := time.After(await)
	for len(frames) < n {
		select {
		case m := <-s.frames:
			frames = append(frames, m)
		case <-deadline:
			require.FailNow(t, "frames are missing", "have %d of %d", len(frames), n)
		}
	}
	return frames
}

func (s *script) set(change func(s *script)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(s)
}

// conn is one connection; the embedded handlers let a test speak for WhatsApp.
type conn struct {
	actor.Handlers
	script *script

	mu     sync.Mutex
	open   bool
	closed int
}

var errOffline = errors.New("offline")

func (c *conn) Connect(context.Context) error {
	c.script.mu.Lock()
	connectErr := c.script.ConnectErr
	c.script.mu.Unlock()
	if connectErr != nil {
		if err := connectErr(); err != nil {
			return err
		}
	}
	c.mu.Lock()
	c.open = true
	c.mu.Unlock()
	c.script.conns <- c
	return nil
}

func (c *conn) Close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.open = false
	c.closed++
}

func (c *conn) RequestPairingCode(_ context.Context, phone string) (string, error) {
	if phone == "70000000000" {
		return "", errors.New("refused")
	}
	return "ABCD-EFGH", nil
}

func (c *conn) Send(_ context.Context, m actor.Outgoing) error {
	c.mu.Lock()
	open := c.open
	c.mu.Unlock()
	if !open {
		return &actor.SendError{Outcome: actor.NotWritten, Reason: "connection_lost", Err: errOffline}
	}
	c.script.mu.Lock()
	sendErr := c.script.SendErr
	c.script.mu.Unlock()
	if sendErr != nil {
		if err := sendErr(m); err != nil {
			return err
		}
	}
	c.script.mu.Lock()
	c.script.sent = append(c.script.sent, m)
	c.script.mu.Unlock()
	c.script.frames <- m
	return nil
}

func (c *conn) Logout(context.Context) error { return nil }
