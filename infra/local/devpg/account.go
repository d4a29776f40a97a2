package devpg

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
)

// account is the user that the server runs as.
type account struct {
	name     string
	uid, gid uint32
	switched bool // it is another user than the one of this process
}

// chooseAccount returns the user of this process or, for root, the first of postgres and nobody that exists.
func chooseAccount(euid int, lookup func(name string) (*user.User, error)) (account, error) {
	if euid != 0 {
		return account{name: "the current user", uid: uint32(euid), gid: uint32(os.Getegid())}, nil //nolint:gosec // ids are not negative
	}
	for _, name := range []string{"postgres", "nobody"} {
		found, err := lookup(name)
		if err != nil {
			continue
		}
		uid, uidErr := strconv.ParseUint(found.Uid, 10, 32)
		gid, gidErr := strconv.ParseUint(found.Gid, 10, 32)
		if uidErr != nil || gidErr != nil || uid == 0 {
			continue
		}
		return account{name: name, uid: uint32(uid), gid: uint32(gid), switched: true}, nil
	}
	return account{}, errors.New("postgres does not run as root, and there is neither a user postgres nor nobody: create one")
}

// ownerOf returns the account that a kept cluster belongs to, which root has to use for it whichever users have been
// created or removed since.
func ownerOf(path string, fallback account) account {
	info, err := os.Stat(path)
	if err != nil || !fallback.switched {
		return fallback
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok || stat.Uid == 0 || stat.Uid == fallback.uid {
		return fallback
	}
	return account{name: "user " + strconv.FormatUint(uint64(stat.Uid), 10), uid: stat.Uid, gid: stat.Gid, switched: true}
}

// attributes makes a command run as the account.
func (a account) attributes() *syscall.SysProcAttr {
	if !a.switched {
		return &syscall.SysProcAttr{}
	}
	return &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: a.uid, Gid: a.gid}}
}

// own gives a file or folder to the account.
func (a account) own(path string) error {
	if !a.switched {
		return nil
	}
	if err := os.Chown(path, int(a.uid), int(a.gid)); err != nil {
		return fmt.Errorf("give %s to %s: %w", path, a.name, err)
	}
	return nil
}

// reaches tells whether the account may pass through the folder and all folders above it. It goes by the permission bits;
// what access lists add to them is not seen.
func (a account) reaches(dir string) bool {
	if !a.switched {
		return true
	}
	dir, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return false
	}
	for ; ; dir = filepath.Dir(dir) {
		info, err := os.Stat(dir)
		if err != nil || !a.passes(info) {
			return false
		}
		if dir == filepath.Dir(dir) {
			return true
		}
	}
}

func (a account) passes(dir fs.FileInfo) bool {
	const searchOwner, searchGroup, searchOther = 0o100, 0o010, 0o001
	stat, ok := dir.Sys().(*syscall.Stat_t)
	switch {
	case !ok:
		return false
	case stat.Uid == a.uid:
		return dir.Mode()&searchOwner != 0
	case stat.Gid == a.gid:
		return dir.Mode()&searchGroup != 0
	default:
		return dir.Mode()&searchOther != 0
	}
}
