package wa

import (
	"context"
	"fmt"
	"net"
	"sync"
	"sync/atomic"

	"wafleet/shared/store"
)

// Gate stands before everything that is written to a company's socket.
type Gate interface {
	// Pass returns nil when a write may be made now. It waits while that is in doubt, not for ever and not after stop is
	// closed, and returns an error when nothing may be written any more.
	Pass(stop <-chan struct{}) error
	// OnDenied calls do, in a goroutine of its own, when nothing may be written any more. The function that it returns
	// takes that back.
	OnDenied(do func()) (cancel func() bool)
}

// Gates finds the gate that belongs to a lease.
type Gates func(fence store.Fence) Gate

// link is what a Conn has in common with the socket that whatsmeow opens for it, and that it never gets to see.
type link struct {
	gate Gate                   // nil: always open
	open atomic.Pointer[socket] // the latest
}

// linkKey is the key of a dial's link in its context, the only thing of ours that whatsmeow passes on to the transport.
type linkKey struct{}

func (l *link) context(ctx context.Context) context.Context {
	return context.WithValue(ctx, linkKey{}, l)
}

// cut ends the latest socket without a farewell.
func (l *link) cut() {
	if s := l.open.Load(); s != nil {
		_ = s.Close() // nobody is interested in how it ends
	}
}

// socket is a connection, encrypted already, whose writes pass a gate. It lies above TLS, so that a farewell of TLS, which
// carries nothing, need not wait.
type socket struct {
	net.Conn

	gate   Gate
	closed chan struct{}
	once   sync.Once
	forget func() bool
}

// newSocket takes over a connection. It is closed as soon as the gate is.
func newSocket(conn net.Conn, l *link) *socket {
	s := &socket{Conn: conn, gate: l.gate, closed: make(chan struct{})}
	s.forget = l.gate.OnDenied(func() { _ = s.close() })
	l.open.Store(s)
	return s
}

// Write writes when the gate allows it. After an error of the gate the socket is of no use any more: frames are numbered.
func (s *socket) Write(frame []byte) (int, error) {
	if err := s.gate.Pass(s.closed); err != nil {
		_ = s.Close()
		return 0, fmt.Errorf("write to WhatsApp: %w", err)
	}
	return s.Conn.Write(frame) //nolint:wrapcheck // a net.Conn's own errors are looked at by type
}

// Close closes the socket, and ends writes that wait.
func (s *socket) Close() error {
	s.forget()
	return s.close()
}

func (s *socket) close() (err error) {
	s.once.Do(func() {
		close(s.closed)
		err = s.Conn.Close()
	})
	return err //nolint:wrapcheck // as above
}
