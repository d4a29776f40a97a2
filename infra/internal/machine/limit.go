package machine

import (
	"fmt"
	"syscall"
)

// RaiseOpenFiles lets this process, and those that it starts, open as many files as they may, and returns an error if
// that is less than needed.
func RaiseOpenFiles(needed uint64) error {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return fmt.Errorf("read the limit of open files: %w", err)
	}
	if limit.Max < needed {
		return fmt.Errorf("at most %d files may be open, and %d are needed: raise the hard limit (ulimit -Hn %d)", limit.Max, needed, needed)
	}
	// Go has raised its own limit already. Setting it is what hands it on to children.
	limit.Cur = limit.Max
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return fmt.Errorf("raise the limit of open files to %d: %w", limit.Max, err)
	}
	return nil
}
