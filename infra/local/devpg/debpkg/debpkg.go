package debpkg

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"

	"wafleet/infra/local/devpg/cachedir"
)

// ErrNoApt says that this machine does not have Debian's package tools.
var ErrNoApt = errors.New("no apt-get on this machine")

// Unpack returns a folder that holds the files of a package, and of the dependencies that are not installed, with paths
// as below "/". It keeps the folder below cache and unpacks only once. Where apt knows no such package and this process
// is root, the package lists are updated first.
func Unpack(ctx context.Context, cache, name string) (string, error) {
	for _, tool := range []string{"apt-get", "dpkg"} {
		if _, err := exec.LookPath(tool); err != nil {
			return "", ErrNoApt
		}
	}
	dir := filepath.Join(cache, "deb", name)
	err := cachedir.Fill(ctx, dir, func(ctx context.Context, temporary string) error {
		return unpack(ctx, temporary, name)
	})
	if err != nil {
		return "", fmt.Errorf("unpack package %s: %w", name, err)
	}
	return dir, nil
}

// Environment holds what a program in an unpacked folder needs to find its libraries.
func Environment(root string) []string {
	var dirs []string
	for _, pattern := range []string{"usr/lib", "usr/lib/*-linux-*", "lib", "lib/*-linux-*"} {
		found, _ := filepath.Glob(filepath.Join(root, pattern)) // fails on malformed patterns only
		dirs = append(dirs, found...)
	}
	return []string{"LD_LIBRARY_PATH=" + strings.Join(dirs, ":")}
}

// unpack tries with the package lists that are there, which may be missing, or so old that their packages are gone from
// the archive, and a second time with new ones if this process may update them.
func unpack(ctx context.Context, dir, name string) error {
	err := downloadAndExtract(ctx, dir, name)
	if err == nil || os.Geteuid() != 0 {
		return err
	}
	if _, err := run(ctx, dir, "apt-get", "update"); err != nil {
		return err
	}
	return downloadAndExtract(ctx, dir, name)
}

func downloadAndExtract(ctx context.Context, dir, name string) error {
	missing, err := missingPackages(ctx, name)
	if err != nil {
		return err
	}
	downloads, err := os.MkdirTemp(dir, "deb")
	if err != nil {
		return fmt.Errorf("make download folder: %w", err)
	}
	if _, err := run(ctx, downloads, "apt-get", append([]string{"download"}, missing...)...); err != nil {
		return err
	}
	files, err := filepath.Glob(filepath.Join(downloads, "*.deb"))
	if err != nil {
		return fmt.Errorf("list packages: %w", err)
	}
	for _, file := range files {
		if _, err := run(ctx, dir, "dpkg", "-x", file, dir); err != nil {
			return err
		}
	}
	if err := os.RemoveAll(downloads); err != nil {
		return fmt.Errorf("remove download folder: %w", err)
	}
	return nil
}

// missingPackages asks apt what it would install. --reinstall makes it name the package itself even if that is installed.
func missingPackages(ctx context.Context, name string) ([]string, error) {
	out, err := run(ctx, "", "apt-get", "install", "--simulate", "--no-install-recommends", "--reinstall", name)
	if err != nil {
		return nil, err
	}
	names := parseSimulation(out)
	if len(names) == 0 {
		return nil, fmt.Errorf("apt-get would install nothing for %s", name)
	}
	return names, nil
}

var installLine = regexp.MustCompile(`(?m)^Inst (\S+) `)

// parseSimulation reads package names from the lines "Inst name (version …)" of apt-get --simulate. The C library is left
// out: a program works with the one that is installed, and another one than the loader's would crash it.
func parseSimulation(out []byte) []string {
	var names []string
	for _, match := range installLine.FindAllSubmatch(out, -1) {
		if name := string(match[1]); name != "libc6" && name != "libc-bin" {
			names = append(names, name)
		}
	}
	return names
}

func run(ctx context.Context, dir, name string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	cmd.Env = append(cmd.Environ(), "LC_ALL=C")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w: %s", name, args[0], err, lastLine(stderr.String()))
	}
	return out, nil
}

func lastLine(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return lines[len(lines)-1]
}
