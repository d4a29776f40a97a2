package wasim_test

import (
	"context"
	"net"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"wafleet/infra/wasim"
)

func TestOptionsAreChecked(t *testing.T) {
	t.Parallel()
	for name, options := range map[string]wasim.Options{
		"listen without port":  {Listen: "localhost"},
		"control without port": {Control: "localhost"},
		"control for everyone": {Control: "0.0.0.0:0"},
		"control by name":      {Control: "example.com:80"},
		"control on all":       {Control: ":0"},
	} {
		_, err := wasim.New(options)
		require.ErrorIs(t, err, wasim.ErrOptions, name)
	}
	_, err := wasim.New(wasim.Options{Control: ":0", ControlPublic: true})
	require.NoError(t, err)
	for _, loopback := range []string{"127.0.0.1:0", "[::1]:0", "localhost:0"} {
		_, err := wasim.New(wasim.Options{Control: loopback})
		require.NoError(t, err)
	}
	_, err = wasim.New(wasim.Options{DataDir: "/dev/null/x"})
	require.Error(t, err)
}

func TestLifeOfAServer(t *testing.T) {
	t.Parallel()
	never, err := wasim.New(wasim.Options{})
	require.NoError(t, err)
	require.Empty(t, never.Endpoint())
	require.Empty(t, never.ControlURL())
	require.NoError(t, never.Stop(t.Context()), "stop before start")
	require.NoError(t, never.Stop(t.Context()), "and again")
	require.Error(t, never.Start(t.Context()), "it does not start any more")

	server, err := wasim.New(wasim.Options{})
	require.NoError(t, err)
	require.NoError(t, server.Start(t.Context()))
	require.Error(t, server.Start(t.Context()), "a server starts once")
	require.NoError(t, server.Stop(t.Context()))
	require.NoError(t, server.Stop(t.Context()))
}

func TestStartFailsWhole(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // A test.
	require.NoError(t, err)
	t.Cleanup(func() { _ = taken.Close() })
	for _, options := range []wasim.Options{
		{Listen: taken.Addr().String()},
		{Control: taken.Addr().String()},
	} {
		options.DataDir = t.TempDir()
		server, err := wasim.New(options)
		require.NoError(t, err)
		require.Error(t, server.Start(t.Context()))
		require.NoError(t, server.Stop(t.Context()))
		again, err := wasim.New(wasim.Options{DataDir: options.DataDir}) // The folder is free again.
		require.NoError(t, err)
		require.NoError(t, again.Start(t.Context()))
		require.NoError(t, again.Stop(t.Context()))
	}
}

func TestFolderInUse(t *testing.T) {
	t.Parallel()
	b := start(t, wasim.Options{})
	second, err := wasim.New(wasim.Options{DataDir: b.dir})
	require.NoError(t, err)
	require.ErrorContains(t, second.Start(t.Context()), "state")
	require.NoError(t, second.Stop(t.Context()))
	require.FileExists(t, filepath.Join(b.dir, "state.db"))
}

func TestStopEndsWhatWaits(t *testing.T) {
	t.Parallel()
	b := start(t, wasim.Options{})
	b.phone(t, anna, "Anna")
	company := b.pair(t, anna)
	var calls sync.WaitGroup
	for range 4 {
		calls.Go(func() {
			for range 50 {
				_, _ = b.SendText(context.Background(), anna, anna, "x") // Fails once the server is stopped.
			}
		})
	}
	b.stop(t)
	calls.Wait()
	require.Eventually(t, func() bool { return !company.IsConnected() }, patience, 1)
}

func TestAwaitMessageEnds(t *testing.T) {
	t.Parallel()
	b := start(t, wasim.Options{})
	_, err := b.AwaitMessage(t.Context(), anna, nil)
	require.ErrorIs(t, err, wasim.ErrNotFound)
	b.phone(t, anna, "Anna")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = b.AwaitMessage(ctx, anna, func(wasim.Message) bool { return true })
	require.ErrorIs(t, err, context.Canceled)
}

func TestPhonesWithoutCompanionsTalk(t *testing.T) {
	t.Parallel()
	b := start(t, wasim.Options{})
	b.phone(t, anna, "Anna")
	b.phone(t, boris, "Boris")
	var writers sync.WaitGroup
	for _, pair := range [][2]string{{anna, boris}, {boris, anna}} { // At the same time, each taking keys of the other.
		writers.Go(func() {
			for range 50 {
				if _, err := b.SendText(context.Background(), pair[0], pair[1], "x"); err != nil {
					t.Error(err)
				}
			}
		})
	}
	writers.Wait()
	for _, number := range []string{anna, boris} {
		_, err := b.AwaitMessage(t.Context(), number, func(wasim.Message) bool {
			rows, err := b.Messages(number)
			return err == nil && len(rows) == 50
		})
		require.NoError(t, err)
	}
	require.Zero(t, b.Stats().Undecryptable)
}
