package peer

import (
	"bufio"
	"context"
	"errors"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"syscall"
	"time"
)

const (
	dialTimeout = time.Second
	// secondLook is the pause before a host that seems to be gone is looked at once more.
	secondLook = 10 * time.Millisecond
	// calmRetry is about the pause after an attempt that said nothing.
	calmRetry = time.Second
	// maxGreeting is more than an id is long.
	maxGreeting = 256
)

// Watcher watches other hosts.
type Watcher struct {
	died   func(hostID string)
	logger *slog.Logger

	mu      sync.Mutex
	life    context.Context //nolint:containedctx // of all watches; nil before Start and after Stop
	end     context.CancelFunc
	watches map[string]*watch // by host
	running sync.WaitGroup
}

// watch is the connection to one host.
type watch struct {
	address string
	cancel  context.CancelFunc
}

// NewWatcher returns a watcher that calls died, from goroutines of its own, with the id of every host whose process has
// ended.
func NewWatcher(died func(hostID string), logger *slog.Logger) *Watcher {
	return &Watcher{died: died, logger: logger, watches: make(map[string]*watch)}
}

// Start lets Watch do something.
func (w *Watcher) Start(ctx context.Context) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.life, w.end = context.WithCancel(context.WithoutCancel(ctx))
	return nil
}

// Stop lets go of all hosts.
func (w *Watcher) Stop(context.Context) error {
	w.mu.Lock()
	if w.end != nil {
		w.end()
	}
	w.life = nil
	w.mu.Unlock()
	w.running.Wait()
	return nil
}

// Watch says which hosts to watch from now on, by id, and at which address. It never blocks.
func (w *Watcher) Watch(hosts map[string]string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.life == nil {
		return
	}
	for id, known := range w.watches {
		if hosts[id] != known.address {
			known.cancel()
			delete(w.watches, id)
		}
	}
	for id, address := range hosts {
		if address == "" || w.watches[id] != nil {
			continue
		}
		ctx, cancel := context.WithCancel(w.life)
		this := &watch{address: address, cancel: cancel}
		w.watches[id] = this
		w.running.Go(func() {
			defer cancel()
			if w.follow(ctx, id, address) {
				w.logger.InfoContext(ctx, "another host is gone", "gone_host_id", id)
				w.died(id)
			}
			w.forget(id, this)
		})
	}
}

// forget takes a watch that has ended off the list, so that another one can begin.
func (w *Watcher) forget(id string, this *watch) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.watches[id] == this {
		delete(w.watches, id)
	}
}

// follow returns true when the host's process has ended, false with the context.
func (w *Watcher) follow(ctx context.Context, id, address string) bool {
	for signs := 0; signs < 2; {
		pause := secondLook
		switch attend(ctx, id, address) {
		case left:
			signs = 1
		case absent:
			signs++
		case unknown:
			signs, pause = 0, calmRetry/2+rand.N(calmRetry) //nolint:gosec // jitter
		}
		select {
		case <-ctx.Done():
			return false
		case <-time.After(pause):
		}
	}
	return true
}

// sign is what an attempt to be connected with a host says about its process.
type sign int

const (
	unknown sign = iota // nothing
	left                // it was there, and closed the connection
	absent              // nobody is there, or somebody else
)

// attend connects, and returns when the connection ends.
func attend(ctx context.Context, id, address string) sign {
	dialer := net.Dialer{Timeout: dialTimeout, KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: 5 * time.Second, Interval: time.Second, Count: 5}}
	conn, err := dialer.DialContext(ctx, "tcp", address)
	if err != nil {
		return signOf(err)
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer func() {
		stop()
		_ = conn.Close() // nothing was said on it
	}()
	if err := conn.SetReadDeadline(time.Now().Add(greetTimeout)); err != nil {
		return unknown
	}
	reader := bufio.NewReaderSize(io.LimitReader(conn, maxGreeting), maxGreeting)
	greeting, err := reader.ReadString('\n')
	if err != nil {
		return signOf(err)
	}
	if strings.TrimSpace(greeting) != id {
		return absent
	}
	if err := conn.SetReadDeadline(time.Time{}); err != nil {
		return unknown
	}
	if _, err = reader.ReadByte(); signOf(err) == absent {
		return left
	}
	return unknown
}

// signOf is what an error says: only what comes from the other side's kernel counts.
func signOf(err error) sign {
	if errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, syscall.ECONNRESET) {
		return absent
	}
	return unknown
}
