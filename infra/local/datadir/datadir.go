package datadir

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// InUseError says that another process works on the folder.
type InUseError struct {
	Path string
	PID  string // of the other process, empty if it did not tell
}

// Error names the process and the folder.
func (e *InUseError) Error() string {
	return fmt.Sprintf("wafleet is running on %s already (process %s): stop it, or name another folder with DATA=", e.Path, e.PID)
}

// Dir is a folder that this process holds.
type Dir struct {
	path string
	lock *os.File // nil once closed
}

// Open makes the folder where it is missing and takes it for this process. *InUseError says that another process has it.
func Open(path string) (*Dir, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("find data folder: %w", err)
	}
	// Others may pass through: where this process is root, Postgres is not.
	if err := os.MkdirAll(path, 0o755); err != nil { //nolint:gosec // what is secret in it has its own mode
		return nil, fmt.Errorf("make data folder: %w", err)
	}
	lock, err := os.OpenFile(filepath.Join(path, "lock"), os.O_CREATE|os.O_RDWR|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, fmt.Errorf("write to data folder: %w", err)
	}
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return nil, errors.Join(taken(path, lock, err), lock.Close())
	}
	d := &Dir{path: path, lock: lock}
	if err := d.writePID(); err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	return d, nil
}

// Path is the absolute path of something in the folder, or of the folder itself.
func (d *Dir) Path(names ...string) string {
	return filepath.Join(append([]string{d.path}, names...)...)
}

// Close removes the process id and gives the folder up. Calling it again does nothing.
func (d *Dir) Close() error {
	if d.lock == nil {
		return nil
	}
	err := errors.Join(remove(d.pidFile()), d.lock.Close())
	d.lock = nil
	if err != nil {
		return fmt.Errorf("give up data folder: %w", err)
	}
	return nil
}

func (d *Dir) pidFile() string { return d.Path("wafleet.pid") }

// writePID tells who holds the folder: wafleet.pid for everybody, the lock for the message of a second start, which must
// not depend on a file that anybody may have changed.
func (d *Dir) writePID() error {
	pid := strconv.Itoa(os.Getpid())
	if err := errors.Join(d.lock.Truncate(0), writeAt(d.lock, pid)); err != nil {
		return fmt.Errorf("write to data folder: %w", err)
	}
	return Replace(d.pidFile(), []byte(pid+"\n"), 0o644)
}

func taken(path string, lock io.Reader, err error) error {
	if !errors.Is(err, syscall.EWOULDBLOCK) {
		return fmt.Errorf("lock data folder %s: %w", path, err)
	}
	pid := make([]byte, 20)
	n, _ := io.ReadFull(lock, pid) // only for the message
	return &InUseError{Path: path, PID: strings.TrimSpace(string(pid[:n]))}
}

func writeAt(file io.WriterAt, text string) error {
	_, err := file.WriteAt([]byte(text), 0)
	return err //nolint:wrapcheck // wrapped by the only caller
}

func remove(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err //nolint:wrapcheck // a *PathError says it all
	}
	return nil
}
