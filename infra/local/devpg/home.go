package devpg

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// fallbackParent is where data goes that the server's account could not reach in the place that was asked for. It is
// reachable for everybody and survives a reboot.
const fallbackParent = "/var/tmp"

// ErrInUse says that another process runs a server on the same data.
var ErrInUse = errors.New("the database is in use")

// home is the folder of one server; doc.go lists what is in it.
type home struct {
	dir       string
	account   account
	ephemeral bool
	lock      *os.File // nil once closed
}

func (h *home) data() string         { return filepath.Join(h.dir, "data") }
func (h *home) passwordFile() string { return filepath.Join(h.dir, "password") }
func (h *home) portFile() string     { return filepath.Join(h.dir, "port") }
func (h *home) logFile() string      { return filepath.Join(h.dir, "postgres.log") }

// openKept finds or makes <dataDir>/pg, as a folder or as a link to one, and locks it.
func openKept(dataDir string, acct account) (*home, error) {
	dataDir, err := filepath.Abs(dataDir)
	if err != nil {
		return nil, fmt.Errorf("resolve data folder: %w", err)
	}
	if err := os.MkdirAll(dataDir, 0o755); err != nil { //nolint:gosec // the server's account has to pass through
		return nil, fmt.Errorf("make data folder: %w", err)
	}
	dir, err := locate(filepath.Join(dataDir, "pg"), acct)
	if err != nil {
		return nil, err
	}
	h := &home{dir: dir, account: ownerOf(filepath.Join(dir, "data"), acct)}
	if !h.account.reaches(dir) {
		return nil, fmt.Errorf("postgres runs as %s, who cannot reach %s: open its parent folders (chmod a+x) or move the data", h.account.name, dir)
	}
	if err := h.takeLock(); err != nil {
		return nil, err
	}
	return h, nil
}

// locate returns the real folder behind place, and makes it where there is nothing yet.
func locate(place string, acct account) (string, error) {
	_, err := os.Lstat(place)
	if err == nil {
		dir, err := filepath.EvalSymlinks(place)
		if errors.Is(err, fs.ErrNotExist) {
			return "", fmt.Errorf("%s points to a folder that is gone: restore it, or remove the link to start with an empty database", place)
		}
		if err != nil {
			return "", fmt.Errorf("find database: %w", err)
		}
		return dir, nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("find database: %w", err)
	}
	if acct.reaches(filepath.Dir(place)) {
		if err := os.Mkdir(place, acct.homeMode()); err != nil && !errors.Is(err, fs.ErrExist) {
			return "", fmt.Errorf("make database folder: %w", err)
		}
		return filepath.EvalSymlinks(place) //nolint:wrapcheck // a *PathError, and the folder was made just now
	}
	return locateElsewhere(fallbackParent, place, acct)
}

// locateElsewhere makes a folder with a name that nobody could have prepared, and a link to it.
func locateElsewhere(parent, place string, acct account) (string, error) {
	dir, err := os.MkdirTemp(parent, "wafleet-pg-kept-")
	if err != nil {
		return "", fmt.Errorf("make database folder: %w", err)
	}
	if err := os.Chmod(dir, acct.homeMode()); err != nil {
		return "", fmt.Errorf("open database folder: %w", err)
	}
	linkErr := os.Symlink(dir, place)
	if linkErr == nil {
		return dir, nil
	}
	if err := os.Remove(dir); err != nil {
		return "", fmt.Errorf("remove unused database folder: %w", err)
	}
	if errors.Is(linkErr, fs.ErrExist) { // another process was faster: its folder counts
		return locate(place, acct)
	}
	return "", fmt.Errorf("link to database folder: %w", linkErr)
}

// homeMode lets another account pass through the folder. It stays root's, so that the server cannot put anything in the
// way of root; only the cluster itself belongs to the account.
func (a account) homeMode() fs.FileMode {
	if a.switched {
		return 0o755
	}
	return 0o700
}

// takeLock makes this process the only one that works on the folder. The lock ends with the process.
func (h *home) takeLock() error {
	file, err := os.OpenFile(filepath.Join(h.dir, "lock"), os.O_CREATE|os.O_RDWR|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return fmt.Errorf("open lock of the database: %w", err)
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		var owner [20]byte
		n, _ := file.Read(owner[:]) // only for the message
		err = fmt.Errorf("%w: process %s runs it (%s)", ErrInUse, strings.TrimSpace(string(owner[:n])), h.dir)
		return errors.Join(err, file.Close())
	}
	if err := errors.Join(file.Truncate(0), writeString(file, strconv.Itoa(os.Getpid()))); err != nil {
		return errors.Join(fmt.Errorf("write lock of the database: %w", err), file.Close())
	}
	h.lock = file
	return nil
}

// close gives the folder up and removes it if it was not to be kept.
func (h *home) close() error {
	if h.lock == nil {
		return nil
	}
	var removed error
	if h.ephemeral {
		removed = os.RemoveAll(h.dir)
	}
	err := errors.Join(removed, h.lock.Close())
	h.lock = nil
	if err != nil {
		return fmt.Errorf("give up database folder: %w", err)
	}
	return nil
}

// major is the Postgres version that the kept cluster needs, 0 for none yet.
func (h *home) major() (int, error) {
	content, err := os.ReadFile(filepath.Join(h.data(), "PG_VERSION"))
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("read version of the database: %w", err)
	}
	major, err := strconv.Atoi(strings.TrimSpace(string(content)))
	if err != nil {
		return 0, fmt.Errorf("read version of the database: %w", err)
	}
	return major, nil
}

func writeString(file *os.File, text string) error {
	_, err := file.WriteAt([]byte(text), 0)
	return err //nolint:wrapcheck // wrapped by the only caller
}
