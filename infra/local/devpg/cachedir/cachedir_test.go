package cachedir_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"wafleet/infra/local/devpg/cachedir"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestFillBuildsOnce(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "a", "b")
	var built atomic.Int32
	var wg sync.WaitGroup
	errs := make([]error, 5)
	for i := range errs {
		wg.Go(func() {
			errs[i] = cachedir.Fill(t.Context(), dir, func(_ context.Context, temporary string) error {
				built.Add(1)
				return writeFile(temporary)
			})
		})
	}
	wg.Wait()
	require.NoError(t, errors.Join(errs...))
	require.EqualValues(t, 1, built.Load())
	require.FileExists(t, filepath.Join(dir, "file"))
}

func TestFillLeavesNothingHalfDone(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "b")
	broken := errors.New("broken download")
	err := cachedir.Fill(t.Context(), dir, func(_ context.Context, temporary string) error {
		return errors.Join(writeFile(temporary), broken)
	})
	require.ErrorIs(t, err, broken)
	require.NoDirExists(t, dir)
	require.NoDirExists(t, dir+".partial")

	require.NoError(t, os.Mkdir(dir+".partial", 0o700)) // what a crash leaves
	require.NoError(t, writeFile(dir+".partial"))
	err = cachedir.Fill(t.Context(), dir, func(_ context.Context, temporary string) error {
		entries, err := os.ReadDir(temporary)
		require.Empty(t, entries)
		return err
	})
	require.NoError(t, err)
	require.NoFileExists(t, filepath.Join(dir, "file"))
}

func TestFillStopsWaiting(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "b")
	building, release := make(chan struct{}), make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		_ = cachedir.Fill(t.Context(), dir, func(context.Context, string) error {
			close(building)
			<-release
			return nil
		})
	})
	<-building
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	err := cachedir.Fill(ctx, dir, func(context.Context, string) error { panic("two at the same time") })
	require.ErrorIs(t, err, context.Canceled)
	close(release)
	wg.Wait()
	require.DirExists(t, dir)
}

func TestFillInAFolderThatCannotBe(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	require.NoError(t, writeFile(dir))
	err := cachedir.Fill(t.Context(), filepath.Join(dir, "file", "x"), func(context.Context, string) error { return nil })
	require.ErrorContains(t, err, "make cache folder")
}

func TestRoot(t *testing.T) {
	t.Parallel()
	root, err := cachedir.Root()
	require.NoError(t, err)
	require.Equal(t, "wafleet", filepath.Base(root))
	require.True(t, filepath.IsAbs(root))
}

func writeFile(dir string) error {
	return os.WriteFile(filepath.Join(dir, "file"), []byte("x"), 0o600)
}
