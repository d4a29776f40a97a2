package devpg_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"wafleet/infra/local/devpg"
)

func TestServerDiesWithItsParentAndKeepsItsRows(t *testing.T) {
	t.Parallel()
	dir := openDir(t)
	for round := range 3 {
		p := startParent(t, thisBinary(t), dir)
		require.NotZero(t, p.pid, p.output)
		if round == 0 {
			execute(t, p.url, "CREATE TABLE kept (n int)")
		}
		execute(t, p.url, "INSERT INTO kept VALUES ($1)", round)
		p.kill(t)
		if runtime.GOOS == "linux" && round == 0 {
			awaitGone(t, p.pid)
		} // in the other rounds the next start meets a server that is shutting down
	}
	pg := start(t, devpg.Options{DataDir: dir})
	require.Equal(t, "0,1,2", ask(t, pg.URL(), "SELECT string_agg(n::text, ',' ORDER BY n) FROM kept"))
}

func TestPredecessorThatGoesOnIsEnded(t *testing.T) {
	t.Parallel()
	dir := openDir(t)
	p := startParent(t, thisBinary(t), dir)
	require.NotZero(t, p.pid, p.output)
	execute(t, p.url, "CREATE TABLE kept AS SELECT 42 AS n")
	// Stopped, the server cannot obey the signal of its parent's death: it stays, as it would on another system.
	require.NoError(t, syscall.Kill(p.pid, syscall.SIGSTOP))
	p.kill(t)
	require.NoError(t, syscall.Kill(p.pid, 0))
	time.AfterFunc(300*time.Millisecond, func() { _ = syscall.Kill(p.pid, syscall.SIGCONT) })

	pg := start(t, devpg.Options{DataDir: dir})
	awaitGone(t, p.pid)
	require.Equal(t, "42", ask(t, pg.URL(), "SELECT n::text FROM kept"))
}

func TestPIDFileOfAnotherProgram(t *testing.T) {
	t.Parallel()
	dir := openDir(t)
	pg, err := devpg.Start(t.Context(), devpg.Options{DataDir: dir})
	require.NoError(t, err)
	require.NoError(t, pg.Stop(t.Context()))

	// The kernel has given the number of the former server to somebody else.
	bystander := exec.CommandContext(t.Context(), "sleep", "60")
	require.NoError(t, bystander.Start())
	t.Cleanup(func() { _ = bystander.Process.Kill(); _ = bystander.Wait() })
	data := filepath.Join(dir, "pg", "data")
	stale := fmt.Sprintf("%d\n%s\n1700000000\n5432\n\n127.0.0.1\n  1 1\nready   \n", bystander.Process.Pid, data)
	require.NoError(t, os.WriteFile(filepath.Join(data, "postmaster.pid"), []byte(stale), 0o644))

	start(t, devpg.Options{DataDir: dir})
	require.NoError(t, bystander.Process.Signal(syscall.Signal(0)), "the other program is left alone")
}

func TestAbandonedEphemeralFoldersAreRemoved(t *testing.T) {
	t.Parallel()
	p := startParent(t, thisBinary(t), "ephemeral")
	require.NotZero(t, p.pid, p.output)
	home := filepath.Dir(ask(t, p.url, "SHOW data_directory"))
	start(t, devpg.Options{Ephemeral: true})
	require.DirExists(t, home, "it is in use")
	p.kill(t)
	require.DirExists(t, home)
	start(t, devpg.Options{Ephemeral: true})
	require.NoDirExists(t, home)
}

func TestUnreachableFolderIsReplacedByALink(t *testing.T) {
	t.Parallel()
	requireRoot(t)
	dir := filepath.Join(openDir(t), "closed")
	require.NoError(t, os.Mkdir(dir, 0o700))
	opts := devpg.Options{DataDir: filepath.Join(dir, "data")}
	pg, err := devpg.Start(t.Context(), opts)
	require.NoError(t, err)
	execute(t, pg.URL(), "CREATE TABLE kept AS SELECT 42 AS n")
	require.NoError(t, pg.Stop(t.Context()))

	target, err := os.Readlink(filepath.Join(dir, "data", "pg"))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(target)) })
	require.True(t, strings.HasPrefix(target, "/var/tmp/"), target)
	info, err := os.Stat(target)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o755), info.Mode().Perm())
	info, err = os.Stat(filepath.Join(target, "data"))
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o700), info.Mode().Perm())

	again, err := devpg.Start(t.Context(), opts)
	require.NoError(t, err)
	require.Equal(t, "42", ask(t, again.URL(), "SELECT n::text FROM kept"))
	require.NoError(t, again.Stop(t.Context()))

	require.NoError(t, os.RemoveAll(target))
	_, err = devpg.Start(t.Context(), opts)
	require.ErrorContains(t, err, "points to a folder that is gone")
}

func TestOrdinaryUser(t *testing.T) {
	t.Parallel()
	requireRoot(t)
	const nobody = 65534
	dir := openDir(t)
	binary := filepath.Join(dir, "parent")
	copyFile(t, os.Args[0], binary)
	data := filepath.Join(dir, "data")
	require.NoError(t, os.Mkdir(data, 0o700))
	require.NoError(t, os.Chown(data, nobody, nobody))

	cmd := exec.CommandContext(context.WithoutCancel(t.Context()), binary)
	cmd.Dir = "/"
	cmd.Env = append(os.Environ(), "HOME="+data, "TMPDIR="+data)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	p := startParent(t, cmd, data)
	require.NotZero(t, p.pid, p.output)
	require.Equal(t, "1", ask(t, p.url, "SELECT '1'"))
	info, err := os.Stat(filepath.Join(data, "pg", "data"))
	require.NoError(t, err)
	require.EqualValues(t, nobody, info.Sys().(*syscall.Stat_t).Uid)
	execute(t, p.url, "CREATE TABLE kept AS SELECT 42 AS n")
	require.NoError(t, p.cmd.Process.Signal(syscall.SIGTERM))
	require.NoError(t, p.cmd.Wait())

	// Later root runs it: the owner of the data counts, not the user that root would choose for new data.
	pg := start(t, devpg.Options{DataDir: filepath.Dir(openTo(t, data))})
	require.Equal(t, "42", ask(t, pg.URL(), "SELECT n::text FROM kept"))
}

// openTo lets everybody pass through a folder and returns what is in it.
func openTo(t *testing.T, dir string) string {
	t.Helper()
	require.NoError(t, os.Chmod(dir, 0o755))
	return filepath.Join(dir, "pg")
}

func awaitGone(t *testing.T, pid int) {
	t.Helper()
	require.Eventually(t, func() bool {
		if errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) {
			return true
		}
		// In a container nobody may be there to reap an orphan: it has ended all the same.
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		return err == nil && strings.Contains(string(stat), ") Z ")
	}, 20*time.Second, 10*time.Millisecond)
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	in, err := os.Open(from)
	require.NoError(t, err)
	out, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY, 0o755)
	require.NoError(t, err)
	_, err = io.Copy(out, in)
	require.NoError(t, errors.Join(err, in.Close(), out.Close()))
}
