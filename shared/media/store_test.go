package media_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"wafleet/shared/media"
	"wafleet/shared/media/mediatest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestFolder(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "media")
	folder, err := media.OpenFolder(path)
	require.NoError(t, err)
	t.Cleanup(func() {
		require.NoError(t, folder.Close())
		require.NoError(t, filepath.WalkDir(path, func(name string, entry fs.DirEntry, err error) error {
			require.NoError(t, err)
			info, err := entry.Info()
			require.NoError(t, err)
			require.Zero(t, info.Mode().Perm()&0o077, "%s is for us alone", name)
			require.Empty(t, filepath.Ext(name), "%s is an unfinished file", name)
			return nil
		}))
	})
	mediatest.Run(t, folder)
}

func TestAFolderCannotBeMade(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	_, err := media.OpenFolder(filepath.Join(file, "media"))
	require.Error(t, err)
}

func TestIDsAreOfCompanyAndBytes(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{media.ID("a", [32]byte{1}): true, media.ID("a", [32]byte{2}): true, media.ID("b", [32]byte{1}): true}
	require.Len(t, seen, 3)
	require.Equal(t, "med_4b26368aea7e", media.ID("a", [32]byte{1})[:16], "stored ids depend on it")
	for id := range seen {
		require.NoError(t, media.CheckKey(media.Key("a", id)))
	}
}

func TestDisposition(t *testing.T) {
	t.Parallel()
	require.Equal(t, "attachment", media.Disposition(""))
	require.Equal(t, `attachment; filename="price list.pdf"`, media.Disposition("price list.pdf"))
	require.Equal(t, "attachment; filename*=utf-8''%D1%86%D0%B5%D0%BD%D1%8B.pdf", media.Disposition("цены.pdf"))
	require.NotContains(t, media.Disposition("a\r\nX-Evil: 1"), "\n")
}
