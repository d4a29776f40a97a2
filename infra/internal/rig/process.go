package rig

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"wafleet/infra/local/devpg/child"
)

const (
	// readyWithin is how long a process may take until it answers.
	readyWithin = 30 * time.Second
	readyPoll   = 10 * time.Millisecond
	// logTail is how much of a log is shown when its process has failed.
	logTail = 2000
)

// Process is a part of the system.
type Process struct {
	name    string
	log     string // file
	process *child.Process
	// Started is when it was started.
	Started time.Time
}

// start runs a program of which nothing but the given environment is known, with its output in a log file.
func (r *Rig) start(name string, environ []string, program string, args ...string) (*Process, error) {
	path := filepath.Join(r.dir, name+".log")
	log, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	defer func() { _ = log.Close() }()    // the process has its own handle
	cmd := exec.Command(program, args...) //nolint:noctx // our own programs, which the rig ends
	cmd.Env = append(inherited(r.options.Environ), environ...)
	cmd.Stdout, cmd.Stderr = log, log
	started := time.Now()
	process, err := child.Start(cmd, syscall.SIGKILL)
	if err != nil {
		return nil, err
	}
	return &Process{name: name, log: path, process: process, Started: started}, nil
}

// Signal sends a signal to the process.
func (p *Process) Signal(sig syscall.Signal) error {
	return p.process.Signal(sig)
}

// Done is closed when the process has ended.
func (p *Process) Done() <-chan struct{} { return p.process.Done() }

// PID is the process id.
func (p *Process) PID() int { return p.process.PID() }

// await asks until the process is ready. The error shows the end of its log.
func (p *Process) await(ctx context.Context, ready func(ctx context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, readyWithin)
	defer cancel()
	for {
		err := ready(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-p.process.Done():
			return fmt.Errorf("%s ended: %w\n%s", p.name, errors.Join(p.process.Err(), err), p.tail())
		case <-ctx.Done():
			return fmt.Errorf("%s is not ready: %w\n%s", p.name, err, p.tail())
		case <-time.After(readyPoll):
		}
	}
}

// stop ends the process with a SIGTERM, which lets it finish what is in hand.
func (p *Process) stop(ctx context.Context) error {
	if err := p.process.Stop(ctx, syscall.SIGTERM, syscall.SIGKILL); err != nil {
		return fmt.Errorf("stop %s: %w", p.name, err)
	}
	if err := p.process.Err(); err != nil {
		return fmt.Errorf("%s ended: %w\n%s", p.name, err, p.tail())
	}
	return nil
}

func (p *Process) tail() string {
	content, _ := os.ReadFile(p.log)
	return strings.TrimSpace(string(content[max(0, len(content)-logTail):]))
}

// inherited are the variables that processes get from this one: what programs need, and the knobs of Go's runtime, so
// that they can be measured.
func inherited(environ []string) []string {
	var kept []string
	for _, variable := range environ {
		switch name, _, _ := strings.Cut(variable, "="); name {
		case "PATH", "HOME", "TMPDIR", "GOGC", "GOMEMLIMIT", "GODEBUG", "GOMAXPROCS":
			kept = append(kept, variable)
		}
	}
	return kept
}

// freeAddress returns a loopback address whose port is free now.
func freeAddress(ctx context.Context) (string, error) {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("find a free port: %w", err)
	}
	address := listener.Addr().String()
	if err := listener.Close(); err != nil {
		return "", fmt.Errorf("find a free port: %w", err)
	}
	return address, nil
}
