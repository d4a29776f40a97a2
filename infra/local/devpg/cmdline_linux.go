package devpg

import (
	"context"
	"fmt"
	"os"
	"strings"
)

// commandLine returns the arguments that a process was started with, or nothing if it is gone.
func commandLine(_ context.Context, pid int) []string {
	content, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	if err != nil {
		return nil
	}
	return strings.Split(strings.TrimSuffix(string(content), "\x00"), "\x00")
}
