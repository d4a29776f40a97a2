package debpkg

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestParseSimulation(t *testing.T) {
	t.Parallel()
	out := `Reading package lists...
NOTE: This is only a simulation!
Inst libjemalloc2 (5.3.0-1 Debian:12.15/oldstable [amd64])
Inst libpq5 [15.18-0] (15.20-0 Debian-Security:12 [amd64]) []
Inst libc6 [2.36-9] (2.36-10 Debian:12 [amd64])
Inst redis-server (5:7.0.15-1 Debian-Security:12 [amd64])
Conf redis-server (5:7.0.15-1 Debian-Security:12 [amd64])
`
	require.Equal(t, []string{"libjemalloc2", "libpq5", "redis-server"}, parseSimulation([]byte(out)))
	require.Empty(t, parseSimulation([]byte("0 upgraded, 0 newly installed\n")))
}

func TestUnpack(t *testing.T) { //nolint:paralleltest // sets PATH
	requireTool(t, "dpkg-deb")
	archive := buildPackage(t)
	log := filepath.Join(t.TempDir(), "log")
	fakeApt(t, `echo "$1" >>`+log+`
case "$1" in
install) echo "Inst tiny (1.0 Debian [all])" ;;
download) cp `+archive+` ./tiny_1.0_all.deb ;;
esac`)

	cache := t.TempDir()
	for range 2 {
		dir, err := Unpack(t.Context(), cache, "tiny")
		require.NoError(t, err)
		require.FileExists(t, filepath.Join(dir, "usr", "bin", "tiny"))
		entries, err := os.ReadDir(dir)
		require.NoError(t, err)
		require.Len(t, entries, 1, "the archives are not kept")
	}
	calls, err := os.ReadFile(log)
	require.NoError(t, err)
	require.Equal(t, "install\ndownload\n", string(calls), "once is enough")
}

func TestUnpackWithOldLists(t *testing.T) { //nolint:paralleltest // sets PATH
	requireTool(t, "dpkg-deb")
	if os.Geteuid() != 0 {
		t.Skip("only root may update the package lists")
	}
	archive := buildPackage(t)
	updated := filepath.Join(t.TempDir(), "updated")
	fakeApt(t, `case "$1" in
update) touch `+updated+` ;;
install) echo "Inst tiny (1.0 Debian [all])" ;;
download) test -e `+updated+` || { echo "404 Not Found" >&2; exit 100; }; cp `+archive+` ./tiny_1.0_all.deb ;;
esac`)
	dir, err := Unpack(t.Context(), t.TempDir(), "tiny")
	require.NoError(t, err)
	require.FileExists(t, filepath.Join(dir, "usr", "bin", "tiny"))
}

func TestUnpackUnknownPackage(t *testing.T) { //nolint:paralleltest // sets PATH
	requireTool(t, "dpkg")
	fakeApt(t, `case "$1" in install) echo "noise" >&2; echo "E: Unable to locate package tiny" >&2; exit 100 ;; esac`)
	cache := t.TempDir()
	_, err := Unpack(t.Context(), cache, "tiny")
	require.ErrorContains(t, err, "unpack package tiny: apt-get install: exit status 100: E: Unable to locate package tiny")
	require.NoDirExists(t, filepath.Join(cache, "deb", "tiny"))
}

func TestUnpackWithoutApt(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	_, err := Unpack(t.Context(), t.TempDir(), "tiny")
	require.ErrorIs(t, err, ErrNoApt)
}

func TestEnvironment(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	require.NoError(t, os.MkdirAll(filepath.Join(root, "usr/lib/x86_64-linux-gnu"), 0o700))
	require.NoError(t, os.MkdirAll(filepath.Join(root, "lib/aarch64-linux-gnu"), 0o700))
	want := "LD_LIBRARY_PATH=" + root + "/usr/lib:" + root + "/usr/lib/x86_64-linux-gnu:" + root + "/lib:" + root + "/lib/aarch64-linux-gnu"
	require.Equal(t, []string{want}, Environment(root))
}

// buildPackage makes a real package with one program in it.
func buildPackage(t *testing.T) string {
	t.Helper()
	tree := t.TempDir()
	require.NoError(t, os.Chmod(tree, 0o755))
	for path, content := range map[string]string{
		"DEBIAN/control": "Package: tiny\nVersion: 1.0\nArchitecture: all\nMaintainer: none\nDescription: tiny\n",
		"usr/bin/tiny":   "#!/bin/sh\n",
	} {
		require.NoError(t, os.MkdirAll(filepath.Dir(filepath.Join(tree, path)), 0o755))
		require.NoError(t, os.WriteFile(filepath.Join(tree, path), []byte(content), 0o755))
	}
	archive := filepath.Join(t.TempDir(), "tiny.deb")
	out, err := exec.CommandContext(t.Context(), "dpkg-deb", "--build", tree, archive).CombinedOutput()
	require.NoError(t, err, "%s", out)
	return archive
}

// fakeApt puts a script in the place of apt-get.
func fakeApt(t *testing.T, script string) {
	t.Helper()
	bin := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(bin, "apt-get"), []byte("#!/bin/sh\n"+script+"\n"), 0o755))
	t.Setenv("PATH", bin+":"+os.Getenv("PATH"))
}

func requireTool(t *testing.T, name string) {
	t.Helper()
	if _, err := exec.LookPath(name); err != nil {
		t.Skipf("no %s: this is not a Debian system", name)
	}
}
