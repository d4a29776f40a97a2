package hostpool

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"syscall"

	"wafleet/infra/local/datadir"
	"wafleet/infra/local/devpg/child"
)

// host is the process of one host.
type host struct {
	id      string
	process *child.Process
	pidFile string
}

func (p *Pool) spawn(ctx context.Context) (*host, error) {
	id := NewID()
	// A host holds nothing that must be written down when its parent dies: all that counts is in Postgres.
	process, err := child.Start(p.config.Command(id), syscall.SIGKILL)
	if err != nil {
		return nil, fmt.Errorf("start host: %w", err)
	}
	h := &host{id: id, process: process, pidFile: filepath.Join(p.config.Dir, id+".pid")}
	if err := datadir.Replace(h.pidFile, []byte(strconv.Itoa(process.PID())+"\n"), 0o644); err != nil {
		ended, cancel := context.WithCancel(ctx)
		cancel()
		return nil, errors.Join(err, h.stop(ended))
	}
	p.mu.Lock()
	p.hosts[id] = h
	p.mu.Unlock()
	return h, nil
}

// stop asks the host to drain, and kills it when deadline is done before the host is.
func (h *host) stop(deadline context.Context) error {
	if err := errors.Join(h.process.Stop(deadline, syscall.SIGTERM, syscall.SIGKILL), h.forget()); err != nil {
		return fmt.Errorf("stop host %s: %w", h.id, err)
	}
	return nil
}

// forget removes the pid file.
func (h *host) forget() error {
	if err := os.Remove(h.pidFile); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove pid file: %w", err)
	}
	return nil
}

// NewID names one start of one process.
func NewID() string {
	random := make([]byte, 6)
	_, _ = rand.Read(random) // never fails
	return "host-" + hex.EncodeToString(random)
}
