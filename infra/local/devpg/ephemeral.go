package devpg

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// ephemeralPrefix starts the names of the folders that a later Start may remove, once nobody holds their lock.
const ephemeralPrefix = "wafleet-pg-tmp-"

// openEphemeral makes a locked folder for a server whose data nobody wants afterwards. It gets the name that makes it
// eligible for removal only after it is locked, so that another process never takes a new folder for an abandoned one.
func openEphemeral(ctx context.Context, acct account) (*home, error) {
	parent := os.TempDir()
	if !acct.reaches(parent) {
		parent = fallbackParent
	}
	parent, err := filepath.EvalSymlinks(parent)
	if err != nil {
		return nil, fmt.Errorf("find temporary folder: %w", err)
	}
	removeAbandoned(ctx, parent, acct)

	dir, err := os.MkdirTemp(parent, "wafleet-pg-new-")
	if err != nil {
		return nil, fmt.Errorf("make database folder: %w", err)
	}
	h := &home{dir: dir, account: acct, ephemeral: true}
	if err := errors.Join(os.Chmod(dir, acct.homeMode()), h.takeLock()); err != nil {
		return nil, errors.Join(fmt.Errorf("prepare database folder: %w", err), os.RemoveAll(dir))
	}
	h.dir = filepath.Join(parent, strings.Replace(filepath.Base(dir), "wafleet-pg-new-", ephemeralPrefix, 1))
	if err := os.Rename(dir, h.dir); err != nil {
		return nil, errors.Join(fmt.Errorf("prepare database folder: %w", err), h.lock.Close(), os.RemoveAll(dir))
	}
	return h, nil
}

// removeAbandoned removes the folders of processes that could not do it themselves. It is a courtesy: what does not work
// (another user's folder, say) is left for somebody else.
func removeAbandoned(ctx context.Context, parent string, acct account) {
	dirs, _ := filepath.Glob(filepath.Join(parent, ephemeralPrefix+"*")) // fails on malformed patterns only
	for _, dir := range dirs {
		if !isOwnFolder(dir) {
			continue
		}
		h := &home{dir: dir, account: acct, ephemeral: true}
		if h.takeLock() != nil {
			continue
		}
		if endPredecessor(ctx, h.data()) != nil {
			_ = h.lock.Close()
			continue
		}
		_ = h.close()
	}
}

// isOwnFolder keeps root from working in a folder that somebody else prepared in a place where everybody may.
func isOwnFolder(path string) bool {
	info, err := os.Lstat(path)
	if err != nil || !info.IsDir() {
		return false
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	return ok && int(stat.Uid) == os.Geteuid()
}
