package hostpool

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"time"
)

// goneTimeout bounds the report of a dead host; the leases expire by themselves anyway.
const goneTimeout = 5 * time.Second

// Config says what to run.
type Config struct {
	// Size is the number of hosts.
	Size int
	// Dir is the folder of the pid files. What is in it already is of processes that are gone.
	Dir string
	// Command makes the command of a host that is not started yet. Its outputs must be files or nil.
	Command func(hostID string) *exec.Cmd
	// Gone is told that the process of a host has ended without having been asked to.
	Gone func(ctx context.Context, hostID string) error
	// Backoff makes the pauses before a restart; nil is a good one.
	Backoff *Backoff
	Logger  *slog.Logger
}

// Pool is a number of running hosts.
type Pool struct {
	config  Config
	keepers sync.WaitGroup
	stop    context.CancelFunc // set by Start

	mu    sync.Mutex // guards hosts
	hosts map[string]*host
}

// New returns a pool that is not started yet.
func New(config Config) *Pool {
	config.Backoff = cmp.Or(config.Backoff, &Backoff{})
	return &Pool{config: config, stop: func() {}, hosts: make(map[string]*host)}
}

// Start starts all hosts and returns when their processes run; it does not wait for what they do. The context bounds
// the start only; Stop has to be called to end the hosts.
func (p *Pool) Start(ctx context.Context) error {
	if err := p.emptyDir(); err != nil {
		return err
	}
	run, stop := context.WithCancel(context.WithoutCancel(ctx))
	p.stop = stop
	for range p.config.Size {
		h, err := p.spawn(ctx)
		if err != nil {
			return errors.Join(err, p.Stop(ctx))
		}
		p.keepers.Go(func() { p.keep(run, h) })
	}
	return nil
}

// Stop asks all hosts to drain and waits until they have ended. When ctx ends before that they are killed, and the
// error says so. Calling it again, or before Start, does nothing.
func (p *Pool) Stop(ctx context.Context) error {
	p.stop()
	p.keepers.Wait() // nobody starts a host any more
	p.mu.Lock()
	defer p.mu.Unlock()
	errs := make(chan error, len(p.hosts))
	for id, h := range p.hosts {
		go func() { errs <- h.stop(ctx) }()
		delete(p.hosts, id)
	}
	var all error
	for range cap(errs) {
		all = errors.Join(all, <-errs)
	}
	return all
}

// keep runs one host after the other until the pool stops, and leaves the last one to Stop.
func (p *Pool) keep(run context.Context, h *host) {
	for {
		select {
		case <-run.Done():
			return
		case <-h.process.Done():
		}
		p.bury(run, h)
		var ok bool
		if h, ok = p.replace(run); !ok {
			return
		}
	}
}

// bury forgets a host that has died and tells the log and the owner of the pool.
func (p *Pool) bury(run context.Context, h *host) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(run), goneTimeout)
	defer cancel()
	p.mu.Lock()
	delete(p.hosts, h.id)
	p.mu.Unlock()
	p.config.Logger.WarnContext(ctx, "host.died", "host_id", h.id, "pid", h.process.PID(), "error", h.process.Err())
	if err := errors.Join(h.forget(), p.config.Gone(ctx, h.id)); err != nil {
		p.config.Logger.WarnContext(ctx, "host.leases_left_to_expire", "host_id", h.id, "error", err)
	}
}

// replace starts a new host after a pause, and again until one starts. It is false when the pool stops meanwhile.
func (p *Pool) replace(run context.Context) (*host, bool) {
	for {
		select {
		case <-run.Done():
			return nil, false
		case <-time.After(p.config.Backoff.next()):
		}
		h, err := p.spawn(run)
		if err == nil {
			p.config.Logger.InfoContext(run, "host.restarted", "host_id", h.id, "pid", h.process.PID())
			return h, true
		}
		p.config.Logger.ErrorContext(run, "host.not_started", "error", err)
	}
}

func (p *Pool) emptyDir() error {
	if err := os.MkdirAll(p.config.Dir, 0o755); err != nil { //nolint:gosec // process ids are no secret
		return fmt.Errorf("make folder of hosts: %w", err)
	}
	stale, _ := filepath.Glob(filepath.Join(p.config.Dir, "*.pid")) // fails on malformed patterns only
	for _, path := range stale {
		if err := os.Remove(path); err != nil {
			return fmt.Errorf("remove pid file of a host that is gone: %w", err)
		}
	}
	return nil
}
