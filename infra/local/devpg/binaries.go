package devpg

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// minMajor is the oldest Postgres that the migrations are tested with.
const minMajor = 15

// binaries is a usable set of Postgres programs.
type binaries struct {
	dir   string   // holds initdb and postgres
	env   []string // what the programs need beyond the usual, to find their libraries
	major int
}

func (b binaries) program(name string) string { return filepath.Join(b.dir, name) }

// environment is all that the programs get: Postgres must not pick up this process' PG* variables, nor its secrets.
func (b binaries) environment() []string { return append([]string{"LC_ALL=C", "TZ=UTC"}, b.env...) }

// machine is what the search for installed binaries asks, so that tests can answer.
type machine struct {
	pgBin    string // the operator's choice, if any
	bindir   func() (string, error)
	lookPath func(name string) (string, error)
	glob     func(pattern string) ([]string, error)
	resolve  func(path string) (string, error)
}

func thisMachine(ctx context.Context, pgBin string) machine {
	return machine{
		pgBin: pgBin,
		bindir: func() (string, error) {
			out, err := exec.CommandContext(ctx, "pg_config", "--bindir").Output()
			return strings.TrimSpace(string(out)), err
		},
		lookPath: exec.LookPath,
		glob:     filepath.Glob,
		resolve:  filepath.EvalSymlinks,
	}
}

// installed lists the folders that may hold Postgres programs, the preferred first, each once; only the operator's choice, if there is one. Links are resolved,
// because Postgres finds its other files relative to the real place of its program.
func (m machine) installed() []string {
	var dirs []string
	add := func(dir string) {
		if resolved, err := m.resolve(dir); err == nil && dir != "" && !slices.Contains(dirs, resolved) {
			dirs = append(dirs, resolved)
		}
	}
	if m.pgBin != "" { // an operator's choice is not put right behind their back
		if add(m.pgBin); len(dirs) == 0 {
			dirs = append(dirs, m.pgBin)
		}
		return dirs
	}
	if dir, err := m.bindir(); err == nil {
		add(dir)
	}
	for _, pattern := range []string{
		"/usr/lib/postgresql/*/bin",
		"/usr/pgsql-*/bin",
		"/opt/homebrew/opt/postgresql@*/bin",
		"/usr/local/opt/postgresql@*/bin",
	} {
		found, _ := m.glob(pattern) // fails on malformed patterns only
		slices.SortFunc(found, func(a, b string) int { return cmp.Compare(numberIn(b), numberIn(a)) })
		for _, dir := range found {
			add(dir)
		}
	}
	if program, err := m.lookPath("postgres"); err == nil {
		if resolved, err := m.resolve(program); err == nil { // the program is the link, not its folder
			add(filepath.Dir(resolved))
		}
	}
	return dirs
}

var digits = regexp.MustCompile(`[0-9]+`)

// numberIn is the first number in a path, 0 if there is none.
func numberIn(path string) int {
	n, _ := strconv.Atoi(digits.FindString(path)) // no digits: 0
	return n
}

// probe tries whether a folder's programs run as the account and which version they are.
func probe(ctx context.Context, dir string, env []string, acct account) (binaries, error) {
	found := binaries{dir: dir, env: env}
	if _, err := os.Stat(found.program("initdb")); err != nil {
		return found, fmt.Errorf("%s has no initdb", dir)
	}
	out, err := found.version(ctx, acct)
	// A process that was forked while the program was written holds it open until it becomes another one, in no time.
	for try := 0; errors.Is(err, syscall.ETXTBSY) && try < busyTries; try++ {
		select {
		case <-ctx.Done():
		case <-time.After(busyPause):
		}
		out, err = found.version(ctx, acct)
	}
	if err != nil {
		return found, fmt.Errorf("%s does not run as %s: %w", found.program("postgres"), acct.name, err)
	}
	if found.major, err = parseMajor(string(out)); err != nil {
		return found, fmt.Errorf("%s: %w", found.program("postgres"), err)
	}
	return found, nil
}

// busyTries and busyPause are the patience with a program that somebody seems to be writing.
const (
	busyTries = 20
	busyPause = 10 * time.Millisecond
)

// version asks the program for its version.
func (b binaries) version(ctx context.Context, acct account) ([]byte, error) {
	cmd := exec.CommandContext(ctx, b.program("postgres"), "--version")
	cmd.SysProcAttr = acct.attributes()
	cmd.Dir = "/"
	cmd.Env = b.environment()
	return cmd.Output() //nolint:wrapcheck // the caller says what for
}

var versionLine = regexp.MustCompile(`^postgres \(PostgreSQL\) ([0-9]+)`)

// parseMajor reads the major version from "postgres (PostgreSQL) 18.4 (Debian …)".
func parseMajor(out string) (int, error) {
	match := versionLine.FindStringSubmatch(out)
	if match == nil {
		return 0, fmt.Errorf("not a version of Postgres: %.60q", out)
	}
	return strconv.Atoi(match[1]) //nolint:wrapcheck // out of range only, which says it all
}
