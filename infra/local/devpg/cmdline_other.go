//go:build !linux

package devpg

import (
	"context"
	"os/exec"
	"strconv"
	"strings"
)

// commandLine returns the arguments that a process was started with, or nothing if it is gone. ps joins them with spaces;
// what is asked of them allows for the one that has spaces itself, the folder after -D.
func commandLine(ctx context.Context, pid int) []string {
	out, err := exec.CommandContext(ctx, "ps", "-ww", "-o", "command=", "-p", strconv.Itoa(pid)).Output()
	if err != nil {
		return nil
	}
	before, after, found := strings.Cut(strings.TrimSpace(string(out)), " -D ")
	if !found {
		return []string{before}
	}
	data, _, _ := strings.Cut(after, " -c ")
	return []string{before, "-D", data}
}
