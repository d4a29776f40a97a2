package devpg

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const (
	// predecessorGrace is how long a server of a process that is gone gets for each way of ending.
	predecessorGrace = 20 * time.Second
	// predecessorPoll is how often it is looked at: it is nobody's child any more, so nothing announces its end.
	predecessorPoll = 20 * time.Millisecond
)

// endPredecessor makes sure that no server of an earlier process works on the data folder, which the caller has locked.
// Such a server has either been told to shut down by the death of its parent and is about to, or (where the system has no
// such signal) it goes on for ever. A pid file whose number belongs to another program by now is removed, because
// Postgres would take that program for a server.
func endPredecessor(ctx context.Context, data string) error {
	path := filepath.Join(data, "postmaster.pid")
	pid, err := readPID(path)
	if err != nil || pid == 0 || !isAlive(pid) {
		return err // a file of a process that is gone is something that Postgres deals with
	}
	if !isPostmaster(ctx, pid, data) {
		if !isAlive(pid) { // it ended between the two looks
			return nil
		}
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("remove stale pid file: %w", err)
		}
		return nil
	}
	for _, sig := range []syscall.Signal{syscall.SIGINT, syscall.SIGQUIT, syscall.SIGKILL} {
		if err := syscall.Kill(pid, sig); err != nil && !errors.Is(err, syscall.ESRCH) {
			return fmt.Errorf("end the server of an earlier process (%d): %w", pid, err)
		}
		gone, err := awaitEnd(ctx, pid, data)
		if gone || err != nil {
			return err
		}
	}
	return fmt.Errorf("the server of an earlier process (%d) does not end", pid)
}

// awaitEnd reports whether the process ended within the grace time.
func awaitEnd(ctx context.Context, pid int, data string) (bool, error) {
	deadline := time.After(predecessorGrace)
	for isAlive(pid) && isPostmaster(ctx, pid, data) {
		select {
		case <-ctx.Done():
			return false, fmt.Errorf("wait for the server of an earlier process (%d): %w", pid, context.Cause(ctx))
		case <-deadline:
			return false, nil
		case <-time.After(predecessorPoll):
		}
	}
	return true, nil
}

// readPID returns the number in the first line of a pid file, 0 if there is no file.
func readPID(path string) (int, error) {
	content, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("read pid file: %w", err)
	}
	line, _, _ := bytes.Cut(content, []byte("\n"))
	pid, _ := strconv.Atoi(string(bytes.TrimSpace(line))) // 0 if a crash has cut it off: Postgres says what it thinks of that
	return max(pid, 0), nil
}

func isAlive(pid int) bool {
	return !errors.Is(syscall.Kill(pid, 0), syscall.ESRCH)
}

// isPostmaster tells whether the process is a server that was started here for that very folder.
func isPostmaster(ctx context.Context, pid int, data string) bool {
	args := commandLine(ctx, pid)
	if len(args) == 0 || !strings.HasPrefix(filepath.Base(args[0]), "postgres") {
		return false
	}
	for i, arg := range args[:len(args)-1] {
		if arg == "-D" && args[i+1] == data {
			return true
		}
	}
	return false
}
