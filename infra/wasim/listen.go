package wasim

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"

	"wafleet/infra/wasim/internal/control"
	"wafleet/infra/wasim/internal/fault"
	"wafleet/infra/wasim/internal/media"
	"wafleet/infra/wasim/internal/wire"
)

const dirMode = 0o700

func makeFolder(dir string) error {
	if dir == "" {
		return nil
	}
	if err := os.MkdirAll(dir, dirMode); err != nil {
		return fmt.Errorf("make data folder: %w", err)
	}
	return nil
}

// listen opens the ports and serves them.
func (s *Server) listen(ctx context.Context) error {
	var config net.ListenConfig
	var err error
	if s.listener, err = config.Listen(ctx, "tcp", s.options.Listen); err != nil {
		return fmt.Errorf("listen for clients: %w", err)
	}
	if s.options.Control != "" {
		if s.controlAt, err = config.Listen(ctx, "tcp", s.options.Control); err != nil {
			return fmt.Errorf("listen for control: %w", err)
		}
		s.serveHTTP(s.controlAt, s.ControlHandler())
	}
	s.serveHTTP(tls.NewListener(smallBuffers{s.listener}, &tls.Config{
		Certificates: []tls.Certificate{s.credentials.TLS},
		NextProtos:   []string{"http/1.1"}, // A websocket cannot begin in HTTP/2.
		MinVersion:   tls.VersionTLS12,
	}), s.clientHandler())
	return nil
}

// sendBuffer is how many bytes the kernel takes for a client that does not read them. The default is megabytes, which ten
// thousand slow clients would fill.
const sendBuffer = 128 << 10

// smallBuffers is a listener whose connections have a small send buffer.
type smallBuffers struct{ net.Listener }

func (l smallBuffers) Accept() (net.Conn, error) {
	accepted, err := l.Listener.Accept()
	if err != nil {
		return nil, err //nolint:wrapcheck // The HTTP server tells errors of it apart.
	}
	if plain, ok := accepted.(*net.TCPConn); ok {
		_ = plain.SetWriteBuffer(sendBuffer)
	}
	return accepted, nil
}

func (s *Server) serveHTTP(listener net.Listener, handler http.Handler) {
	server := &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: s.options.HandshakeTimeout,
		IdleTimeout:       s.options.IdleTimeout,
		ErrorLog:          slog.NewLogLogger(s.log.Handler(), slog.LevelDebug), // Mostly failed TLS handshakes.
		TLSNextProto:      map[string]func(*http.Server, *tls.Conn, http.Handler){},
	}
	s.servers = append(s.servers, server)
	s.tasks.start(func() {
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			s.log.ErrorContext(s.ctx, "listener failed", "error", err)
		}
	})
}

// closeListeners ends the HTTP side; the websockets are no longer part of it.
func (s *Server) closeListeners() error {
	var errs []error
	for _, server := range s.servers {
		errs = append(errs, server.Close())
	}
	for _, listener := range []net.Listener{s.listener, s.controlAt} {
		if listener == nil {
			continue
		}
		if err := listener.Close(); !errors.Is(err, net.ErrClosed) {
			errs = append(errs, err)
		}
	}
	s.servers = nil
	return errors.Join(errs...)
}

// clientHandler serves the websockets and the media servers.
func (s *Server) clientHandler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /ws/chat", s.upgrade)
	files := &media.Handler{
		Store: s.media,
		Owner: s.uploadOwner,
		Refuse: func(account string) bool {
			_, refused := s.faults.Hit(fault.Media401, fault.Target{Phone: account})
			return refused
		},
	}
	files.Register(mux)
	return mux
}

// upgrade takes the socket over and returns, so that the memory of the HTTP request is free again while the
// connection lives.
func (s *Server) upgrade(w http.ResponseWriter, r *http.Request) {
	socket, err := wire.Upgrade(w, r, s.options.WriteTimeout)
	if err != nil {
		return
	}
	if !s.tasks.start(func() { s.serve(socket) }) {
		socket.Close()
	}
}

// ControlHandler serves the control API, for those who want it on a port of their own.
func (s *Server) ControlHandler() http.Handler { return control.NewHandler(s, s.log) }
