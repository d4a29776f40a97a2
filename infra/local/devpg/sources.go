package devpg

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
)

// source is one place to get Postgres from. A source that cannot serve says why.
type source struct {
	name string
	// find lists candidates, best first. want is the major version that a kept database needs, 0 if any will do.
	find func(ctx context.Context, want int) ([]binaries, error)
}

// sources in the order in which they are tried: nothing is fetched while something on the machine works.
func sources(ctx context.Context, opts Options, cache string, logger *slog.Logger) []source {
	local := func(context.Context, int) ([]binaries, error) {
		var found []binaries
		for _, dir := range thisMachine(ctx, opts.BinDir).installed() {
			found = append(found, binaries{dir: dir})
		}
		if len(found) == 0 {
			return nil, errors.New("none found")
		}
		return found, nil
	}
	if opts.BinDir != "" {
		return []source{{"PG_BIN=" + opts.BinDir, local}}
	}
	return []source{
		{"on this machine", local},
		{"download", announced(logger, "download", downloader{cache: cache}.find)},
		{"npm", announced(logger, "npm", npmPackage{cache: cache, npm: "npm"}.find)},
		{"apt-get", announced(logger, "apt-get", aptPackage{cache: cache}.find)},
	}
}

// announced tells that something is fetched, since it may take a while.
func announced(logger *slog.Logger, name string, find func(context.Context, int) ([]binaries, error)) func(context.Context, int) ([]binaries, error) {
	return func(ctx context.Context, want int) ([]binaries, error) {
		logger.InfoContext(ctx, "postgres.fetching", "source", name)
		return find(ctx, want)
	}
}

// choose returns the first candidate that runs as the account, is new enough and can read a kept database.
func choose(ctx context.Context, from []source, want int, acct account) (binaries, error) {
	var reasons []string
	for _, src := range from {
		candidates, err := src.find(ctx, want)
		if err != nil {
			reasons = append(reasons, fmt.Sprintf("%s: %v", src.name, err))
		}
		for _, candidate := range candidates {
			usable, err := probe(ctx, candidate.dir, candidate.env, acct)
			switch {
			case err != nil:
			case want != 0 && usable.major != want:
				err = fmt.Errorf("%s is version %d", usable.dir, usable.major)
			case usable.major < minMajor:
				err = fmt.Errorf("%s is version %d, too old", usable.dir, usable.major)
			default:
				return usable, nil
			}
			reasons = append(reasons, fmt.Sprintf("%s: %v", src.name, err))
		}
		if ctx.Err() != nil {
			return binaries{}, fmt.Errorf("look for postgres: %w", context.Cause(ctx))
		}
	}
	needed := fmt.Sprintf("PostgreSQL %d or newer", minMajor)
	if want != 0 {
		needed = fmt.Sprintf("PostgreSQL %d, which the kept database was made with,", want)
	}
	return binaries{}, fmt.Errorf("%s is needed and was not found (%s). %s", needed, strings.Join(reasons, "; "), installHint(runtime.GOOS, want, hasTool))
}

// installHint is the line that helps on the system at hand.
func installHint(goos string, want int, has func(tool string) bool) string {
	version := ""
	if want != 0 {
		version = strconv.Itoa(want)
	}
	switch {
	case goos == "darwin":
		if want == 0 {
			version = "17"
		}
		return "Install it: brew install postgresql@" + version
	case has("apt-get"):
		return "Install it: sudo apt-get install " + strings.TrimSuffix("postgresql-"+version, "-")
	case has("dnf"):
		return "Install it: sudo dnf install postgresql-server"
	case has("apk"):
		return "Install it: sudo apk add postgresql" + version
	case has("pacman"):
		return "Install it: sudo pacman -S postgresql"
	default:
		return "Install it and set PG_BIN to the folder that holds initdb and postgres"
	}
}

func hasTool(name string) bool {
	_, err := exec.LookPath(name)
	return err == nil
}

// isFile tells whether a program is where it is expected.
func isFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular()
}
