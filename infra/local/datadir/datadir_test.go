package datadir_test

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"wafleet/infra/local/datadir"
)

// holdVariable makes this test binary hold a folder until its standard input ends.
const holdVariable = "DATADIR_TEST_HOLD"

func TestMain(m *testing.M) {
	if path := os.Getenv(holdVariable); path != "" {
		hold(path)
	}
	os.Exit(m.Run())
}

func hold(path string) {
	if _, err := datadir.Open(path); err != nil {
		os.Exit(1)
	}
	_, _ = os.Stdout.WriteString("held\n")
	_, _ = os.Stdin.Read(make([]byte, 1))
	os.Exit(0)
}

func open(t *testing.T, path string) *datadir.Dir {
	t.Helper()
	dir, err := datadir.Open(path)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, dir.Close()) })
	return dir
}

func TestOpenMakesTheFolderAndTellsTheProcess(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "a", "b")
	dir := open(t, path)

	pid, err := os.ReadFile(dir.Path("wafleet.pid"))
	require.NoError(t, err)
	require.Equal(t, strconv.Itoa(os.Getpid())+"\n", string(pid))

	require.NoError(t, dir.Close())
	require.NoFileExists(t, filepath.Join(path, "wafleet.pid"))
	require.NoError(t, dir.Close(), "closing twice")
}

func TestOneProcessAtATime(t *testing.T) {
	t.Parallel()
	path := t.TempDir()
	first := open(t, path)

	_, err := datadir.Open(path)
	var inUse *datadir.InUseError
	require.ErrorAs(t, err, &inUse)
	require.Equal(t, strconv.Itoa(os.Getpid()), inUse.PID)
	require.Contains(t, err.Error(), path)
	require.FileExists(t, first.Path("wafleet.pid"), "the second start must not touch it")

	require.NoError(t, first.Close())
	open(t, path)
}

func TestAKilledProcessLeavesTheFolderFree(t *testing.T) {
	t.Parallel()
	path := t.TempDir()
	holder := exec.CommandContext(t.Context(), os.Args[0])
	holder.Env = append(os.Environ(), holdVariable+"="+path)
	stdin, err := holder.StdinPipe()
	require.NoError(t, err)
	defer func() { _ = stdin.Close() }()
	stdout, err := holder.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, holder.Start())
	_, err = stdout.Read(make([]byte, 5))
	require.NoError(t, err)

	_, err = datadir.Open(path)
	require.ErrorContains(t, err, strconv.Itoa(holder.Process.Pid))

	require.NoError(t, holder.Process.Kill())
	require.Error(t, holder.Wait())
	dir := open(t, path)
	pid, err := os.ReadFile(dir.Path("wafleet.pid"))
	require.NoError(t, err)
	require.Equal(t, strconv.Itoa(os.Getpid()), strings.TrimSpace(string(pid)))
}

func TestAFolderThatCannotBeUsed(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	for _, path := range []string{file, filepath.Join(file, "below"), "/proc/wafleet"} {
		_, err := datadir.Open(path)
		require.Error(t, err)
		require.NotContains(t, err.Error(), "\n", "one line")
	}
}

func TestSecretIsMadeOnceAndReadableByItsOwnerOnly(t *testing.T) {
	t.Parallel()
	path := t.TempDir()
	dir := open(t, path)
	first, err := dir.Secret("master.key", 32)
	require.NoError(t, err)
	require.Len(t, first, 32)
	info, err := os.Stat(dir.Path("master.key"))
	require.NoError(t, err)
	require.Equal(t, fs.FileMode(0o600), info.Mode())

	require.NoError(t, dir.Close())
	again, err := open(t, path).Secret("master.key", 32)
	require.NoError(t, err)
	require.Equal(t, first, again)

	other, err := dir.Secret("other.key", 32)
	require.NoError(t, err)
	require.NotEqual(t, first, other)
}

func TestADamagedSecretIsNotReplaced(t *testing.T) {
	t.Parallel()
	for name, content := range map[string]string{"short": "abcd\n", "not hex": strings.Repeat("z", 64), "empty": ""} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := open(t, t.TempDir())
			require.NoError(t, os.WriteFile(dir.Path("master.key"), []byte(content), 0o600))
			_, err := dir.Secret("master.key", 32)
			require.ErrorContains(t, err, "damaged")
			kept, err := os.ReadFile(dir.Path("master.key"))
			require.NoError(t, err)
			require.Equal(t, content, string(kept))
		})
	}
}

func TestReplaceNeverShowsHalfAFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "dev.env")
	long, short := strings.Repeat("a", 1<<16), strings.Repeat("b", 1<<10)
	require.NoError(t, datadir.Replace(path, []byte(long), 0o600))

	var writer sync.WaitGroup
	writer.Go(func() {
		for i := range 100 {
			content := long
			if i%2 == 0 {
				content = short
			}
			if err := datadir.Replace(path, []byte(content), 0o600); err != nil {
				t.Error(err)
			}
		}
	})
	for range 100 {
		content, err := os.ReadFile(path)
		require.NoError(t, err)
		require.Contains(t, []string{long, short}, string(content))
	}
	writer.Wait()
	left, err := os.ReadDir(filepath.Dir(path))
	require.NoError(t, err)
	require.Len(t, left, 1, "no temporary file stays")
}

func TestReplaceKeepsTheOldFileWhenItCannotWrite(t *testing.T) {
	t.Parallel()
	err := datadir.Replace(filepath.Join(t.TempDir(), "missing", "dev.env"), nil, 0o600)
	require.ErrorIs(t, err, fs.ErrNotExist)
}
