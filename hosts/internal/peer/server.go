package peer

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"
)

const (
	// maxWatchers bounds who is connected. Whoever comes on top is not accepted, which tells it nothing.
	maxWatchers = 1024
	// greetTimeout bounds the greeting, on both sides.
	greetTimeout = 2 * time.Second
	// acceptPause is the wait after a connection could not be accepted.
	acceptPause = 100 * time.Millisecond
)

// Server lets other hosts notice the death of this one.
type Server struct {
	hostID   string
	address  string
	listener net.Listener
	slots    chan struct{}
	serving  sync.WaitGroup
	stopping chan struct{}

	mu     sync.Mutex
	conns  map[net.Conn]struct{}
	closed bool
}

// NewServer returns a server for the host of that id, which is to listen at host:port.
func NewServer(hostID, address string) *Server {
	return &Server{hostID: hostID, address: address, slots: make(chan struct{}, maxWatchers), conns: make(map[net.Conn]struct{}), stopping: make(chan struct{})}
}

// Start begins to listen.
func (s *Server) Start(ctx context.Context) (err error) {
	if s.listener, err = new(net.ListenConfig).Listen(ctx, "tcp", s.address); err != nil {
		return fmt.Errorf("listen for other hosts: %w", err)
	}
	s.serving.Go(s.accept)
	return nil
}

// Address is where the server listens, once it is started.
func (s *Server) Address() *net.TCPAddr {
	address, _ := s.listener.Addr().(*net.TCPAddr) // it was asked for
	return address
}

// Stop closes all connections, which the others take for the end of the process. It may be called before Start.
func (s *Server) Stop(context.Context) error {
	if s.listener == nil {
		return nil
	}
	err := s.listener.Close()
	s.mu.Lock()
	if !s.closed {
		close(s.stopping)
	}
	s.closed = true
	for conn := range s.conns {
		_ = conn.Close() // that is all there is to it
	}
	s.mu.Unlock()
	s.serving.Wait()
	if err != nil {
		return fmt.Errorf("stop listening for other hosts: %w", err)
	}
	return nil
}

func (s *Server) accept() {
	for {
		s.slots <- struct{}{}
		conn, err := s.listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil { // for want of files, say: whoever connects is greeted as soon as there are some
			<-s.slots
			select {
			case <-s.stopping:
				return
			case <-time.After(acceptPause):
				continue
			}
		}
		if !s.add(conn) {
			_ = conn.Close()
			return
		}
		s.serving.Go(func() {
			s.attend(conn)
			s.remove(conn)
			<-s.slots
		})
	}
}

// attend greets, and waits for the other side to go.
func (s *Server) attend(conn net.Conn) {
	if err := conn.SetWriteDeadline(time.Now().Add(greetTimeout)); err != nil {
		return
	}
	if _, err := fmt.Fprintln(conn, s.hostID); err != nil {
		return
	}
	_, _ = conn.Read(make([]byte, 1)) // nobody says anything
}

func (s *Server) add(conn net.Conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.conns[conn] = struct{}{}
	return true
}

func (s *Server) remove(conn net.Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, conn)
	_ = conn.Close() // it has served
}
