package devpg

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// A program that is still open for writing somewhere is a matter of milliseconds.
func TestAProgramThatIsBusyIsTriedAgain(t *testing.T) {
	t.Parallel()
	dir := fakeBinaries(t, "16.1")
	open, err := os.OpenFile(filepath.Join(dir, "postgres"), os.O_RDWR, 0)
	require.NoError(t, err)
	closing := time.AfterFunc(50*time.Millisecond, func() { _ = open.Close() })
	defer closing.Stop()
	found, err := probe(t.Context(), dir, nil, account{name: "me"})
	require.NoError(t, err)
	require.Equal(t, 16, found.major)
}
