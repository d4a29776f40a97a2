package nodemodules_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"wafleet/infra/testenv/internal/nodemodules"
)

// fakeNpm is a client that notes how it was called and makes node_modules anew, as `npm ci` does.
func fakeNpm(t *testing.T, script string) (installer nodemodules.Installer, calls func() int) {
	t.Helper()
	dir := t.TempDir()
	log := filepath.Join(dir, "log")
	npm := filepath.Join(dir, "npm")
	content := "#!/bin/sh\necho \"$*\" >>" + log + "\n" + script + "\n"
	require.NoError(t, os.WriteFile(npm, []byte(content), 0o755))
	return nodemodules.Installer{Npm: npm}, func() int {
		content, err := os.ReadFile(log)
		require.NoError(t, err)
		require.True(t, strings.HasPrefix(string(content), "ci "), string(content))
		return strings.Count(string(content), "\n")
	}
}

func TestInstallOnlyWhenTheLockFileChanged(t *testing.T) {
	t.Parallel()
	npm, calls := fakeNpm(t, "rm -rf node_modules; mkdir node_modules")
	dir := t.TempDir()
	lock := filepath.Join(dir, "package-lock.json")
	require.NoError(t, os.WriteFile(lock, []byte("{}"), 0o600))

	require.NoError(t, npm.Install(t.Context(), dir))
	require.NoError(t, npm.Install(t.Context(), dir))
	require.Equal(t, 1, calls())
	require.NoError(t, os.WriteFile(lock, []byte(`{"packages":{}}`), 0o600))
	require.NoError(t, npm.Install(t.Context(), dir))
	require.Equal(t, 2, calls())
	require.NoError(t, os.RemoveAll(filepath.Join(dir, "node_modules")))
	require.NoError(t, npm.Install(t.Context(), dir))
	require.Equal(t, 3, calls())
}

func TestInstallAgainAfterAFailure(t *testing.T) {
	t.Parallel()
	npm, calls := fakeNpm(t, `mkdir -p node_modules
test -e fixed || { echo "npm warn old" >&2; echo "npm error code E404" >&2; exit 1; }`)
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "package-lock.json"), []byte("{}"), 0o600))
	require.ErrorContains(t, npm.Install(t.Context(), dir), "npm error code E404")
	require.NoError(t, os.WriteFile(filepath.Join(dir, "fixed"), nil, 0o600))
	require.NoError(t, npm.Install(t.Context(), dir))
	require.Equal(t, 2, calls())
}

func TestInstallWithoutWhatItNeeds(t *testing.T) {
	t.Parallel()
	npm, _ := fakeNpm(t, "exit 0")
	require.ErrorIs(t, npm.Install(t.Context(), t.TempDir()), os.ErrNotExist)

	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "package-lock.json"), []byte("{}"), 0o600))
	err := nodemodules.Installer{Npm: "no-such-npm"}.Install(t.Context(), dir)
	require.ErrorContains(t, err, "no npm on this machine")
}
