package cachedir

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// lockPoll is how often a process asks whether another one has finished filling the same folder.
const lockPoll = 100 * time.Millisecond

// Root is the folder for everything that is cached, which need not exist yet. root's is one that other users can read,
// because programs that refuse to run as root are started as somebody else.
func Root() (string, error) {
	if os.Geteuid() == 0 {
		return "/var/cache/wafleet", nil
	}
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("find cache folder: %w", err)
	}
	return filepath.Join(dir, "wafleet"), nil
}

// Fill makes the folder dir with the help of build, unless it is there already. build works in a temporary folder beside
// it, which becomes dir when build succeeds and is removed otherwise: dir is complete or absent, also after a crash.
// Processes that want the same folder at the same time wait for each other.
func Fill(ctx context.Context, dir string, build func(ctx context.Context, temporary string) error) error {
	if exists(dir) {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil { //nolint:gosec // other users run what is in here, see Root
		return fmt.Errorf("make cache folder: %w", err)
	}
	unlock, err := lock(ctx, dir+".lock")
	if err != nil {
		return err
	}
	defer unlock()
	if exists(dir) {
		return nil
	}
	temporary := dir + ".partial"
	if err := os.RemoveAll(temporary); err != nil {
		return fmt.Errorf("remove unfinished cache folder: %w", err)
	}
	if err := os.Mkdir(temporary, 0o755); err != nil { //nolint:gosec // other users run what is in here, see Root
		return fmt.Errorf("make cache folder: %w", err)
	}
	if err := build(ctx, temporary); err != nil {
		return errors.Join(err, os.RemoveAll(temporary))
	}
	if err := os.Rename(temporary, dir); err != nil {
		return fmt.Errorf("put cache folder in place: %w", err)
	}
	return nil
}

// lock takes a file lock, which ends with its process. It polls, because the blocking form cannot be cancelled.
func lock(ctx context.Context, path string) (unlock func(), err error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open cache lock: %w", err)
	}
	for {
		err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return func() { _ = file.Close() }, nil
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, errors.Join(fmt.Errorf("lock %s: %w", path, err), file.Close())
		}
		select {
		case <-ctx.Done():
			return nil, errors.Join(fmt.Errorf("wait for the process that fills %s: %w", path, context.Cause(ctx)), file.Close())
		case <-time.After(lockPoll):
		}
	}
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
