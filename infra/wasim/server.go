package wasim

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"wafleet/infra/wasim/internal/control"
	"wafleet/infra/wasim/internal/credential"
	"wafleet/infra/wasim/internal/fault"
	"wafleet/infra/wasim/internal/journal"
	"wafleet/infra/wasim/internal/ledger"
	"wafleet/infra/wasim/internal/media"
	"wafleet/infra/wasim/internal/noise"
	"wafleet/infra/wasim/internal/roster"
)

// Server is a simulated WhatsApp network. Create it with [New]; its methods may be called from any goroutine, those about
// phones between Start and Stop.
type Server struct {
	options     Options
	log         *slog.Logger
	credentials *credential.Credentials
	noiseRoot   [32]byte
	identity    *noise.Identity

	roster   roster.Roster
	media    *media.Store
	faults   fault.Set
	journal  *journal.Journal
	stats    statistics
	receipts receiptLog

	// ledger is opened by Start; before, and without a folder, it keeps nothing.
	ledger *ledger.Ledger

	conns    sync.Map // id -> *conn
	lastConn atomic.Uint64
	lastID   atomic.Uint64
	refs     sync.Map // ref of a QR -> *conn
	offers   sync.Map // number -> *offer

	tasks *tasks
	ctx   context.Context //nolint:containedctx // The life of the server; ended by Stop.
	end   context.CancelCauseFunc

	mu        sync.Mutex // guards the fields below
	started   bool
	stopped   bool
	listener  net.Listener
	controlAt net.Listener
	servers   []*http.Server
}

// errStopped is the cause with which the context of the server ends.
var errStopped = errors.New("simulator is stopped")

var _ control.Network = (*Server)(nil)

// New prepares a server. Its keys are read from the data folder, or made; so what clients must trust is known before
// it listens.
func New(options Options) (*Server, error) {
	options = options.withDefaults()
	if err := options.validate(); err != nil {
		return nil, err
	}
	if err := makeFolder(options.DataDir); err != nil {
		return nil, err
	}
	credentials, err := credential.Load(options.DataDir)
	if err != nil {
		return nil, fmt.Errorf("load credentials: %w", err)
	}
	noiseRoot, err := credentials.NoisePublic()
	if err != nil {
		return nil, fmt.Errorf("load credentials: %w", err)
	}
	identity, err := noise.NewIdentity(credentials.NoiseRoot, time.Now())
	if err != nil {
		return nil, fmt.Errorf("make noise identity: %w", err)
	}
	mediaDir := options.DataDir
	if mediaDir != "" {
		mediaDir = filepath.Join(mediaDir, "media")
	}
	files, err := media.NewStore(mediaDir)
	if err != nil {
		return nil, fmt.Errorf("open media store: %w", err)
	}
	s := &Server{
		options: options, log: options.Logger, credentials: credentials, noiseRoot: noiseRoot, identity: identity,
		media: files, journal: journal.New(options.JournalSize), ledger: &ledger.Ledger{}, tasks: newTasks(),
	}
	s.ctx, s.end = context.WithCancelCause(context.Background())
	return s, nil
}

// Start takes up what the data folder kept and listens. It returns once connections are accepted, or with an error and
// nothing left running. The context only bounds the start.
func (s *Server) Start(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.started || s.stopped {
		return fmt.Errorf("%w: a server starts once", ErrConflict)
	}
	if err := s.open(); err != nil {
		return err
	}
	if err := s.listen(ctx); err != nil {
		return errors.Join(err, s.closeListeners(), s.ledger.Close())
	}
	s.started = true
	for _, account := range s.roster.Accounts() {
		s.switchOn(account)
	}
	s.log.InfoContext(ctx, "simulator listens", "endpoint", s.listener.Addr().String())
	return nil
}

// open reads the ledger of the data folder.
func (s *Server) open() error {
	if s.options.DataDir == "" {
		return nil
	}
	opened, err := ledger.Open(filepath.Join(s.options.DataDir, "state.db"), roster.Buckets()...)
	if err != nil {
		return fmt.Errorf("open state: %w", err)
	}
	if err := s.roster.Restore(opened); err != nil {
		return errors.Join(fmt.Errorf("read state: %w", err), opened.Close())
	}
	s.ledger = opened
	return nil
}

// Stop closes every connection and the listeners, waits until nothing runs any more and closes the data folder. It may
// be called again, and before Start. The context bounds the wait; what it leaves running ends by itself.
func (s *Server) Stop(ctx context.Context) error {
	s.mu.Lock()
	if !s.stopped {
		s.stopped = true
		s.end(errStopped)
		s.tasks.close()
	}
	err := s.closeListeners()
	s.mu.Unlock()
	s.eachConn(func(c *conn) { c.close("server stopped") })
	select {
	case <-s.tasks.done:
		return errors.Join(err, s.ledger.Close())
	case <-ctx.Done():
		return errors.Join(err, fmt.Errorf("wait for connections: %w", context.Cause(ctx)))
	}
}

// Endpoint is the address of the WhatsApp side, host:port, once the server has started.
func (s *Server) Endpoint() string { return s.address(func() net.Listener { return s.listener }) }

// ControlURL is the address of the control API, without a slash at the end; empty if it has no port.
func (s *Server) ControlURL() string {
	if at := s.address(func() net.Listener { return s.controlAt }); at != "" {
		return "http://" + at
	}
	return ""
}

func (s *Server) address(of func() net.Listener) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if listener := of(); listener != nil {
		return listener.Addr().String()
	}
	return ""
}

// RootCA is the certificate that clients of the WhatsApp side must trust, in PEM.
func (s *Server) RootCA() []byte { return s.credentials.CA }

// NoiseRoot is the public key that clients must trust instead of WhatsApp's: whatsmeow.WACertPubKey is to be set to it.
func (s *Server) NoiseRoot() [32]byte { return s.noiseRoot }

// Root is what [Server.Endpoint], [Server.RootCA] and [Server.NoiseRoot] say, in one.
func (s *Server) Root() control.Root {
	return control.Root{
		NoiseRoot: hex.EncodeToString(s.noiseRoot[:]), CAPEM: string(s.credentials.CA), Endpoint: s.Endpoint(),
	}
}

// Journal returns up to limit rows after number n, oldest first; at most 1,000, which a limit of 0 stands for.
func (s *Server) Journal(n uint64, limit int) []JournalRow { return s.journal.Read(n, limit) }

// Stats counts what has happened since the start.
func (s *Server) Stats() Stats { return s.stats.read(&s.roster) }

func (s *Server) eachConn(visit func(*conn)) {
	s.conns.Range(func(_, c any) bool {
		visit(c.(*conn)) //nolint:forcetypeassert // Nothing else is stored.
		return true
	})
}
