package service

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
	readyTimeout = time.Minute
	readyPoll    = 20 * time.Millisecond
	logName      = "log"
)

// launch starts a program in a temporary folder of its own and waits until it answers. prepare gets the folder and a free
// port and returns the command and the check that succeeds once the server answers.
func launch(ctx context.Context, prepare func(dir string, port int) (*exec.Cmd, func(context.Context) error, error)) (*Server, error) {
	dir, err := os.MkdirTemp("", "wafleet-testenv-")
	if err != nil {
		return nil, fmt.Errorf("make folder: %w", err)
	}
	process, err := launchIn(ctx, dir, prepare)
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	return &Server{
		done: process.Done(),
		err:  func() error { return errors.Join(process.Err(), lastLine(dir)) },
		stop: func(ctx context.Context) error {
			return errors.Join(process.Stop(ctx, syscall.SIGTERM, syscall.SIGKILL), os.RemoveAll(dir))
		},
	}, nil
}

func launchIn(ctx context.Context, dir string, prepare func(string, int) (*exec.Cmd, func(context.Context) error, error)) (*child.Process, error) {
	port, err := freePort(ctx)
	if err != nil {
		return nil, err
	}
	cmd, ready, err := prepare(dir, port)
	if err != nil {
		return nil, err
	}
	log, err := os.Create(filepath.Join(dir, logName))
	if err != nil {
		return nil, fmt.Errorf("make log: %w", err)
	}
	defer func() { _ = log.Close() }() // the server has its own handle
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, log, log
	process, err := child.Start(cmd, syscall.SIGKILL) // it has nothing to save
	if err != nil {
		return nil, err
	}
	if err := awaitReady(ctx, process, ready); err != nil {
		return nil, errors.Join(err, lastLine(dir), process.Stop(context.WithoutCancel(ctx), syscall.SIGKILL, syscall.SIGKILL))
	}
	return process, nil
}

func awaitReady(ctx context.Context, process *child.Process, ready func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	for {
		err := ready(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-process.Done():
			return fmt.Errorf("the server ended at once: %w", process.Err())
		case <-ctx.Done():
			return fmt.Errorf("wait for the server: %w", errors.Join(context.Cause(ctx), err))
		case <-time.After(readyPoll):
		}
	}
}

// freePort asks the system for a port that nobody listens on. Somebody may take it before the server does, which then
// fails to start; the next test run gets another one.
func freePort(ctx context.Context) (int, error) {
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp4", "127.0.0.1:0")
	if err != nil {
		return 0, fmt.Errorf("find a free port: %w", err)
	}
	port := listener.Addr().(*net.TCPAddr).Port
	if err := listener.Close(); err != nil {
		return 0, fmt.Errorf("find a free port: %w", err)
	}
	return port, nil
}

// lastLine is what the server said last, as an error, or nil if it was silent.
func lastLine(dir string) error {
	content, err := os.ReadFile(filepath.Join(dir, logName))
	if err != nil {
		return nil //nolint:nilerr // only adds to another error
	}
	lines := strings.Split(strings.TrimSpace(string(content)), "\n")
	if last := lines[len(lines)-1]; last != "" {
		return errors.New(last)
	}
	return nil
}
