package main

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestCommandIsPassedThrough(t *testing.T) {
	t.Parallel()
	cmd := testenv(t, nil, "--", "sh", "-c", "cat; echo problem >&2; exit 7")
	cmd.Stdin = strings.NewReader("from outside")
	code, stdout, stderr := result(t, cmd)
	require.Equal(t, 7, code)
	require.Equal(t, "from outside", stdout)
	require.Equal(t, "problem\n", stderr)
}

func TestCommandKilledBySignal(t *testing.T) {
	t.Parallel()
	code, _, _ := result(t, testenv(t, nil, "--", "sh", "-c", "kill -9 $$"))
	require.Equal(t, 137, code)
}

func TestUsage(t *testing.T) {
	t.Parallel()
	for name, args := range map[string][]string{
		"no command":   {"-redis"},
		"unknown flag": {"-nonsense", "--", "true"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			code, _, stderr := result(t, testenv(t, nil, args...))
			require.Equal(t, 2, code)
			require.Contains(t, stderr, "testenv: ")
		})
	}
	code, _, stderr := result(t, testenv(t, nil, "-h"))
	require.Zero(t, code)
	require.Contains(t, stderr, "TEST_DATABASE_URL")

	code, _, stderr = result(t, testenv(t, nil, "--", "/nonexistent/command"))
	require.Equal(t, 1, code)
	require.Contains(t, stderr, "/nonexistent/command")
}

func TestGivenServersAreUsed(t *testing.T) {
	t.Parallel()
	given := []string{"TEST_DATABASE_URL=postgres://given", "TEST_REDIS_URL=redis://given", "TEST_SQS_URL=http://given", "TEST_DYNAMODB_URL=http://dynamo"}
	code, stdout, stderr := result(t, testenv(t, given, "-postgres", "-redis", "-sqs", "-dynamodb", "--",
		"sh", "-c", "echo $TEST_DATABASE_URL $TEST_REDIS_URL $TEST_SQS_URL $TEST_DYNAMODB_URL"))
	require.Zero(t, code)
	require.Equal(t, "postgres://given redis://given http://given http://dynamo\n", stdout)
	require.Empty(t, stderr)
}

func TestServersAreStartedAndStopped(t *testing.T) {
	t.Parallel()
	code, stdout, stderr := result(t, testenv(t, nil, "-postgres", "--", "sh", "-c", "echo $TEST_DATABASE_URL"))
	require.Zero(t, code, stderr)
	require.True(t, strings.HasPrefix(stdout, "postgres://"), stdout)
	requireClosed(t, strings.TrimSpace(stdout))
}

func TestWhatCannotBeHad(t *testing.T) {
	t.Parallel()
	empty := "PATH=" + t.TempDir()
	lock := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(lock, "package-lock.json"), []byte("{}"), 0o600))
	args := []string{"-redis", "-sqs", "-npm", lock, "--", "/bin/sh", "-c", "echo ran"}

	code, stdout, stderr := result(t, testenv(t, []string{empty}, args...))
	require.Zero(t, code)
	require.Equal(t, "ran\n", stdout)
	lines := strings.Split(strings.TrimSpace(stderr), "\n")
	require.Len(t, lines, 3, "one line each: %s", stderr)
	require.Contains(t, lines[0], "testenv: skipping tests that need Redis: no redis-server on this machine, install it with: ")
	require.Contains(t, lines[1], "testenv: skipping tests that need SQS: no java on this machine, install it with: ")
	require.Contains(t, lines[2], "testenv: skipping tests that need "+lock+": no npm on this machine")

	code, stdout, stderr = result(t, testenv(t, []string{empty, "REQUIRE_ALL=1"}, args...))
	require.Equal(t, 1, code)
	require.Empty(t, stdout)
	require.Contains(t, stderr, "tests that need Redis: no redis-server")
	require.Contains(t, stderr, "tests that need SQS: no java")
}

func TestSignalsAreForwarded(t *testing.T) {
	t.Parallel()
	for name, sig := range map[string]syscall.Signal{"INT": syscall.SIGINT, "TERM": syscall.SIGTERM} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			script := "trap 'echo caught; exit 5' " + name + "; echo $TEST_DATABASE_URL; while :; do sleep 0.05; done"
			cmd := testenv(t, nil, "-postgres", "--", "sh", "-c", script)
			out := startAndRead(t, cmd)
			databaseURL := readLine(t, out)
			require.NoError(t, cmd.Process.Signal(sig))
			rest, err := io.ReadAll(out)
			require.NoError(t, err)
			require.Equal(t, "caught\n", string(rest))
			require.Error(t, cmd.Wait())
			require.Equal(t, 5, cmd.ProcessState.ExitCode())
			requireClosed(t, databaseURL)
		})
	}
}

func TestNothingIsLeftAfterKill(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Skip("only Linux can signal a program when its parent dies")
	}
	// What a killed process cannot remove is put where this test can. Postgres, which is not root, has to reach it.
	temporary, err := os.MkdirTemp("", "testenv-test-") //nolint:usetesting // t.TempDir is closed to others
	require.NoError(t, err)
	require.NoError(t, os.Chmod(temporary, 0o755))
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(temporary)) })
	cmd := testenv(t, []string{"TMPDIR=" + temporary}, "-postgres", "-redis", "-sqs", "--",
		"sh", "-c", "echo $TEST_DATABASE_URL; echo $TEST_REDIS_URL; echo $TEST_SQS_URL; exec sleep 60")
	out := startAndRead(t, cmd)
	var urls []string
	for range 3 {
		if line := readLine(t, out); line != "" { // not everything can be had everywhere
			urls = append(urls, line)
		}
	}
	require.NotEmpty(t, urls)
	require.NoError(t, cmd.Process.Kill())
	_, err = io.ReadAll(out) // ends when the command, which holds it open, has ended
	require.NoError(t, err)
	require.Error(t, cmd.Wait())
	for _, server := range urls {
		require.Eventually(t, func() bool { return isClosed(t.Context(), server) }, 20*time.Second, 20*time.Millisecond, server)
	}
}

func TestSignalDuringStart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "package-lock.json"), []byte("{}"), 0o600))
	bin := t.TempDir()
	started := filepath.Join(dir, "started")
	require.NoError(t, os.WriteFile(filepath.Join(bin, "npm"), []byte("#!/bin/sh\ntouch "+started+"\nexec sleep 60\n"), 0o755))
	cmd := testenv(t, []string{"PATH=" + bin + ":" + os.Getenv("PATH")}, "-npm", dir, "--", "echo", "ran")
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	require.NoError(t, cmd.Start())
	require.Eventually(t, func() bool { _, err := os.Stat(started); return err == nil }, 20*time.Second, 10*time.Millisecond)
	require.NoError(t, cmd.Process.Signal(syscall.SIGTERM))
	require.Error(t, cmd.Wait())
	require.Equal(t, 1, cmd.ProcessState.ExitCode())
	require.Empty(t, stdout.String())
	require.Contains(t, stderr.String(), "ended by terminated")
}
