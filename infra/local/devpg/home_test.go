package devpg

import (
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestOneOfManyGetsTheFolder(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	homes, errs := make([]*home, 8), make([]error, 8)
	var wg sync.WaitGroup
	for i := range homes {
		wg.Go(func() { homes[i], errs[i] = openKept(dir, account{}) })
	}
	wg.Wait()
	var winners int
	for i, h := range homes {
		if errs[i] != nil {
			require.ErrorIs(t, errs[i], ErrInUse)
			continue
		}
		winners++
		require.NoError(t, h.close())
		require.NoError(t, h.close(), "closing twice is no failure")
	}
	require.Equal(t, 1, winners)

	h, err := openKept(dir, account{})
	require.NoError(t, err, "a folder that was given up can be had again")
	require.NoError(t, h.close())
}

func TestLockIsNotFollowedElsewhere(t *testing.T) {
	t.Parallel()
	dir, precious := t.TempDir(), filepath.Join(t.TempDir(), "precious")
	require.NoError(t, os.WriteFile(precious, []byte("content"), 0o600))
	require.NoError(t, os.Mkdir(filepath.Join(dir, "pg"), 0o700))
	require.NoError(t, os.Symlink(precious, filepath.Join(dir, "pg", "lock")))
	_, err := openKept(dir, account{})
	require.ErrorContains(t, err, "open lock")
	content, err := os.ReadFile(precious)
	require.NoError(t, err)
	require.Equal(t, "content", string(content))
}

func TestLocateElsewhereYieldsToAFasterProcess(t *testing.T) {
	t.Parallel()
	place := filepath.Join(t.TempDir(), "pg")
	theirs := t.TempDir()
	require.NoError(t, os.Symlink(theirs, place))
	parent := t.TempDir()
	dir, err := locateElsewhere(parent, place, account{})
	require.NoError(t, err)
	want, err := filepath.EvalSymlinks(theirs)
	require.NoError(t, err)
	require.Equal(t, want, dir)
	left, err := os.ReadDir(parent)
	require.NoError(t, err)
	require.Empty(t, left, "the folder that lost is removed")
}

func TestMajor(t *testing.T) {
	t.Parallel()
	h := &home{dir: t.TempDir()}
	major, err := h.major()
	require.NoError(t, err)
	require.Zero(t, major)
	require.NoError(t, os.Mkdir(h.data(), 0o700))
	write := func(content string) {
		require.NoError(t, os.WriteFile(filepath.Join(h.data(), "PG_VERSION"), []byte(content), 0o600))
	}
	write("17\n")
	major, err = h.major()
	require.NoError(t, err)
	require.Equal(t, 17, major)
	write("garbage")
	_, err = h.major()
	require.ErrorContains(t, err, "read version of the database")
}

func TestOwnFolder(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	require.True(t, isOwnFolder(dir))
	link := filepath.Join(t.TempDir(), "link")
	require.NoError(t, os.Symlink(dir, link))
	require.False(t, isOwnFolder(link))
	require.False(t, isOwnFolder(filepath.Join(dir, "missing")))
}

func TestReadPID(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "postmaster.pid")
	pid, err := readPID(path)
	require.NoError(t, err)
	require.Zero(t, pid)
	for content, want := range map[string]int{"123\n/data\n": 123, "": 0, "x\n": 0, "-1\n": 0, "7": 7} {
		require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
		pid, err := readPID(path)
		require.NoError(t, err)
		require.Equal(t, want, pid, content)
	}
}

func TestLastComplaint(t *testing.T) {
	t.Parallel()
	log := "2026 LOG:  starting\n2026 FATAL:  could not create lock file\n2026 LOG:  database system is shut down"
	require.Equal(t, "FATAL:  could not create lock file", lastComplaint(log))
	require.Equal(t, "plain words", lastComplaint("first\nplain words"))
	require.Empty(t, lastComplaint(""))
	require.True(t, (&earlyEnd{log: "LOG: could not bind: Address already in use"}).passes())
	require.False(t, (&earlyEnd{log: log}).passes())
}

func TestLogIsSetAside(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "postgres.log")
	require.NoError(t, os.WriteFile(path, make([]byte, logLimit+1), 0o600))
	file, err := openLog(path)
	require.NoError(t, err)
	_, err = file.WriteString("new")
	require.NoError(t, errors.Join(err, file.Close()))
	content, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, "new", string(content))
	require.FileExists(t, path+".old")
}
