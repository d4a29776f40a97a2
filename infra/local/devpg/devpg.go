package devpg

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"os/user"
	"strconv"
	"sync"
	"syscall"
	"time"

	"wafleet/infra/local/devpg/cachedir"
	"wafleet/infra/local/devpg/child"
)

// startTimeout bounds a start when the caller's context does not, the fetching of binaries and the recovery after a
// crash included.
const startTimeout = 5 * time.Minute

// Options say what to run.
type Options struct {
	// DataDir is the folder below which the database is kept, in "pg". Required unless Ephemeral.
	DataDir string
	// Ephemeral runs a server without durability in a temporary folder, which Stop removes.
	Ephemeral bool
	// BinDir is the folder with initdb and postgres to use, and no other; the variable PG_BIN in mains.
	BinDir string
	// Logger gets what takes long or deserves to be known. Nil is silent.
	Logger *slog.Logger
}

// Server is a running Postgres.
type Server struct {
	home    *home
	process *child.Process
	url     string

	mu      sync.Mutex // guards what follows
	stopped bool
	stopErr error
}

// Start returns when the server accepts connections. Binaries are fetched if the machine has none; the error says in one
// line what is missing. ErrInUse means that another process runs a server on the same data. The context bounds the start
// only; Stop has to be called to end the server.
func Start(ctx context.Context, opts Options) (*Server, error) {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	if opts.DataDir == "" && !opts.Ephemeral {
		return nil, errors.New("start postgres: no data folder given")
	}
	h, err := openHome(ctx, opts)
	if err != nil {
		return nil, fmt.Errorf("start postgres: %w", err)
	}
	s, err := start(ctx, h, opts)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("start postgres: %w", err), h.close())
	}
	return s, nil
}

func openHome(ctx context.Context, opts Options) (*home, error) {
	acct, err := chooseAccount(os.Geteuid(), user.Lookup)
	if err != nil {
		return nil, err
	}
	if opts.Ephemeral {
		return openEphemeral(ctx, acct)
	}
	return openKept(opts.DataDir, acct)
}

func start(ctx context.Context, h *home, opts Options) (*Server, error) {
	cache, err := cachedir.Root()
	if err != nil {
		return nil, err
	}
	want, err := h.major()
	if err != nil {
		return nil, err
	}
	bin, err := choose(ctx, sources(ctx, opts, cache, opts.Logger), want, h.account)
	if err != nil {
		return nil, err
	}
	if err := endPredecessor(ctx, h.data()); err != nil {
		return nil, err
	}
	password, err := prepareCluster(ctx, h, bin)
	if err != nil {
		return nil, err
	}
	process, port, err := launch(ctx, h, bin, password)
	if err != nil {
		return nil, err
	}
	opts.Logger.DebugContext(ctx, "postgres.started", "version", bin.major, "binaries", bin.dir, "data", h.dir, "port", port)
	return &Server{home: h, process: process, url: connectionURL(password, port, superuser)}, nil
}

// URL is the connection URL of the superuser for the database "wafleet", password included.
func (s *Server) URL() string { return s.url }

// PID is the process id of the server.
func (s *Server) PID() int { return s.process.PID() }

// Done is closed when the server has ended, by Stop or by itself.
func (s *Server) Done() <-chan struct{} { return s.process.Done() }

// Err is nil while the server runs and after Stop; otherwise it says how the server ended by itself.
func (s *Server) Err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case <-s.process.Done():
	default:
		return nil
	}
	if s.stopped {
		return nil
	}
	return fmt.Errorf("postgres has ended (see %s): %w", s.home.logFile(), orExited(s.process.Err()))
}

// Stop shuts the server down: open transactions are rolled back, and it returns when all is written and, for an ephemeral
// server, removed. When ctx ends before that, the server is ended without waiting; kept data is recovered at the next
// start. Calling it again returns the first result.
func (s *Server) Stop(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopped {
		return s.stopErr
	}
	s.stopped = true
	if err := errors.Join(s.process.Stop(ctx, syscall.SIGINT, syscall.SIGQUIT), s.home.close()); err != nil {
		s.stopErr = fmt.Errorf("stop postgres: %w", err)
	}
	return s.stopErr
}

func connectionURL(password string, port int, database string) string {
	u := url.URL{
		Scheme:   "postgres",
		User:     url.UserPassword(superuser, password),
		Host:     "127.0.0.1:" + strconv.Itoa(port),
		Path:     database,
		RawQuery: "sslmode=disable",
	}
	return u.String()
}

// orExited gives an end without an error a name.
func orExited(err error) error {
	if err == nil {
		return errors.New("exit status 0")
	}
	return err
}
