package devpg

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// fakeMachine answers like one where everything is in place; tests take away what they want gone.
func fakeMachine() machine {
	return machine{
		pgBin:  "/opt/mine/bin",
		bindir: func() (string, error) { return "/usr/lib/postgresql/16/bin", nil },
		lookPath: func(string) (string, error) {
			return "/usr/local/bin/postgres", nil
		},
		glob: func(pattern string) ([]string, error) {
			return map[string][]string{
				"/usr/lib/postgresql/*/bin":          {"/usr/lib/postgresql/15/bin", "/usr/lib/postgresql/16/bin", "/usr/lib/postgresql/9/bin"},
				"/opt/homebrew/opt/postgresql@*/bin": {"/opt/homebrew/opt/postgresql@17/bin"},
			}[pattern], nil
		},
		resolve: func(path string) (string, error) {
			if path == "/usr/local/bin/postgres" {
				return "/srv/pg/bin/postgres", nil
			}
			return path, nil
		},
	}
}

func TestInstalledOrder(t *testing.T) {
	t.Parallel()
	notFound := func(string) (string, error) { return "", exec.ErrNotFound }
	tests := map[string]struct {
		change func(*machine)
		want   []string
	}{
		"a choice":               {func(*machine) {}, []string{"/opt/mine/bin"}},
		"a choice that is wrong": {func(m *machine) { m.resolve = notFound }, []string{"/opt/mine/bin"}},
		"everything": {func(m *machine) { m.pgBin = "" }, []string{
			"/usr/lib/postgresql/16/bin", "/usr/lib/postgresql/15/bin", "/usr/lib/postgresql/9/bin",
			"/opt/homebrew/opt/postgresql@17/bin", "/srv/pg/bin",
		}},
		"no choice and no pg_config": {func(m *machine) {
			m.pgBin = ""
			m.bindir = func() (string, error) { return "", exec.ErrNotFound }
		}, []string{
			"/usr/lib/postgresql/16/bin", "/usr/lib/postgresql/15/bin", "/usr/lib/postgresql/9/bin",
			"/opt/homebrew/opt/postgresql@17/bin", "/srv/pg/bin",
		}},
		"only a link on PATH": {func(m *machine) {
			m.pgBin = ""
			m.bindir = func() (string, error) { return "", exec.ErrNotFound }
			m.glob = func(string) ([]string, error) { return nil, nil }
		}, []string{"/srv/pg/bin"}},
		"nothing": {func(m *machine) {
			m.pgBin = ""
			m.bindir = func() (string, error) { return "", exec.ErrNotFound }
			m.glob = func(string) ([]string, error) { return nil, nil }
			m.lookPath = notFound
		}, nil},
		"folders that do not exist": {func(m *machine) { m.pgBin, m.resolve = "", notFound }, nil},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := fakeMachine()
			test.change(&m)
			require.Equal(t, test.want, m.installed())
		})
	}
}

func TestParseMajor(t *testing.T) {
	t.Parallel()
	for out, want := range map[string]int{
		"postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)\n": 15,
		"postgres (PostgreSQL) 18.4\n":                           18,
		"postgres (PostgreSQL) 19beta1\n":                        19,
	} {
		major, err := parseMajor(out)
		require.NoError(t, err)
		require.Equal(t, want, major)
	}
	for _, out := range []string{"", "initdb (PostgreSQL) 15", "postgres (PostgreSQL) devel"} {
		_, err := parseMajor(out)
		require.Error(t, err)
	}
}

func TestChoose(t *testing.T) {
	t.Parallel()
	acct := account{name: "me"}
	old, fifteen, eighteen := fakeBinaries(t, "14.2"), fakeBinaries(t, "15.1"), fakeBinaries(t, "18.4")
	broken := t.TempDir()
	var asked []string
	offer := func(name string, dirs ...string) source {
		return source{name, func(context.Context, int) ([]binaries, error) {
			asked = append(asked, name)
			var found []binaries
			for _, dir := range dirs {
				found = append(found, binaries{dir: dir})
			}
			return found, nil
		}}
	}
	refuse := source{"refusing", func(context.Context, int) ([]binaries, error) { return nil, errors.New("no network") }}

	tests := map[string]struct {
		sources []source
		want    int
		dir     string
		asked   []string
		errs    []string
	}{
		"the first that works":          {[]source{offer("a", fifteen), offer("b", eighteen)}, 0, fifteen, []string{"a"}, nil},
		"within a source in its order":  {[]source{offer("a", broken, old, eighteen, fifteen)}, 0, eighteen, []string{"a"}, nil},
		"on to the next source":         {[]source{offer("a"), refuse, offer("b", eighteen)}, 0, eighteen, []string{"a", "b"}, nil},
		"the version that data needs":   {[]source{offer("a", eighteen), offer("b", fifteen)}, 15, fifteen, []string{"a", "b"}, nil},
		"not older than it has to be":   {[]source{offer("a", old)}, 0, "", []string{"a"}, []string{"PostgreSQL 15 or newer", "too old", "Install it"}},
		"nobody has the version":        {[]source{offer("a", eighteen)}, 16, "", []string{"a"}, []string{"PostgreSQL 16", "is version 18"}},
		"every reason is told":          {[]source{offer("a", broken), refuse}, 0, "", []string{"a"}, []string{"a: ", "no initdb", "refusing: no network"}},
		"a kept one older than allowed": {[]source{offer("a", old)}, 14, "", []string{"a"}, []string{"too old"}},
	}
	for name, test := range tests { //nolint:paralleltest // the cases share what was asked
		t.Run(name, func(t *testing.T) {
			asked = nil
			bin, err := choose(t.Context(), test.sources, test.want, acct)
			require.Equal(t, test.asked, asked)
			if test.errs == nil {
				require.NoError(t, err)
				require.Equal(t, test.dir, bin.dir)
				return
			}
			for _, part := range test.errs {
				require.ErrorContains(t, err, part)
			}
			require.NotContains(t, err.Error(), "\n")
		})
	}
}

func TestChooseStopsWhenTheCallerDoes(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	first := source{"a", func(context.Context, int) ([]binaries, error) { cancel(); return nil, errors.New("cut off") }}
	second := source{"b", func(context.Context, int) ([]binaries, error) { panic("asked after the end") }}
	_, err := choose(ctx, []source{first, second}, 0, account{})
	require.ErrorIs(t, err, context.Canceled)
}

func TestSourcesInOrder(t *testing.T) {
	t.Parallel()
	var names []string
	for _, src := range sources(t.Context(), Options{}, t.TempDir(), nil) {
		names = append(names, src.name)
	}
	require.Equal(t, []string{"on this machine", "download", "npm", "apt-get"}, names)
}

func TestInstallHint(t *testing.T) {
	t.Parallel()
	tests := []struct {
		goos  string
		want  int
		tools []string
		hint  string
	}{
		{"darwin", 0, nil, "Install it: brew install postgresql@17"},
		{"darwin", 15, nil, "Install it: brew install postgresql@15"},
		{"linux", 0, []string{"apt-get"}, "Install it: sudo apt-get install postgresql"},
		{"linux", 16, []string{"apt-get"}, "Install it: sudo apt-get install postgresql-16"},
		{"linux", 0, []string{"dnf"}, "Install it: sudo dnf install postgresql-server"},
		{"linux", 16, []string{"apk"}, "Install it: sudo apk add postgresql16"},
		{"linux", 0, []string{"pacman"}, "Install it: sudo pacman -S postgresql"},
		{"linux", 0, nil, "Install it and set PG_BIN to the folder that holds initdb and postgres"},
	}
	for _, test := range tests {
		require.Equal(t, test.hint, installHint(test.goos, test.want, func(tool string) bool { return slices.Contains(test.tools, tool) }))
	}
}

func TestProgramsGetNoForeignEnvironment(t *testing.T) {
	t.Parallel()
	bin := binaries{env: []string{"LD_LIBRARY_PATH=/x"}}
	require.Equal(t, []string{"LC_ALL=C", "TZ=UTC", "LD_LIBRARY_PATH=/x"}, bin.environment())
}

// fakeBinaries makes a folder with programs that only know their version.
func fakeBinaries(t *testing.T, version string) string {
	t.Helper()
	dir := t.TempDir()
	script := "#!/bin/sh\necho 'postgres (PostgreSQL) " + version + "'\n"
	for _, name := range []string{"initdb", "postgres"} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(script), 0o755))
	}
	return dir
}
