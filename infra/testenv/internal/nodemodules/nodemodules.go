// Package nodemodules installs the npm packages that a folder's package-lock.json pins, for tests that talk to software
// written for Node.
package nodemodules

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// stampName is the file in node_modules that says which lock file it was made from.
const stampName = ".wafleet-lock"

// Installer runs npm.
type Installer struct {
	Npm string // the client, a path or a name to look up
}

// Install makes node_modules in the folder what package-lock.json says, with `npm ci`. It does nothing if that has been
// done for the same lock file.
func (i Installer) Install(ctx context.Context, dir string) error {
	lock, err := os.ReadFile(filepath.Join(dir, "package-lock.json"))
	if err != nil {
		return fmt.Errorf("install npm packages: %w", err)
	}
	sum := sha256.Sum256(lock)
	want := hex.EncodeToString(sum[:])
	stamp := filepath.Join(dir, "node_modules", stampName)
	have, err := os.ReadFile(stamp)
	if err == nil && string(have) == want {
		return nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("install npm packages: %w", err)
	}
	cmd := exec.CommandContext(ctx, i.Npm, "ci", "--no-audit", "--no-fund")
	cmd.Dir = dir
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if err := cmd.Run(); err != nil {
		if errors.Is(err, exec.ErrNotFound) {
			return errors.New("no npm on this machine, install Node.js 20 or newer")
		}
		return fmt.Errorf("install npm packages: %w: %s", err, firstLine(stderr.String()))
	}
	if err := os.WriteFile(stamp, []byte(want), 0o600); err != nil {
		return fmt.Errorf("install npm packages: %w", err)
	}
	return nil
}

// firstLine is the first thing that npm complained about; warnings come before errors and are left out.
func firstLine(stderr string) string {
	for line := range strings.Lines(stderr) {
		if !strings.HasPrefix(line, "npm warn") && strings.TrimSpace(line) != "" {
			return strings.TrimSpace(line)
		}
	}
	return "no reason given"
}
