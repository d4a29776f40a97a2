package ledger_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"wafleet/infra/wasim/internal/ledger"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const things ledger.Bucket = "things"

func open(t *testing.T, path string) *ledger.Ledger {
	t.Helper()
	l, err := ledger.Open(path, things)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, l.Close()) })
	return l
}

func contents(t *testing.T, l *ledger.Ledger) map[string]string {
	t.Helper()
	found := map[string]string{}
	require.NoError(t, l.Load(things, func(key string, value []byte) error {
		found[key] = string(value)
		return nil
	}))
	return found
}

func put(pairs ...string) ledger.Batch {
	var batch ledger.Batch
	for i := 0; i < len(pairs); i += 2 {
		batch.Put(things, pairs[i], []byte(pairs[i+1]))
	}
	return batch
}

func TestWhatIsWrittenIsThere(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "state")
	l := open(t, path)
	require.NoError(t, l.Commit(put("a", "1", "b", "2", "c", "")))
	var batch ledger.Batch
	batch.Delete(things, "a")
	batch.Delete(things, "never there")
	batch.Put(things, "b", []byte("3"))
	require.NoError(t, l.Commit(batch))
	require.NoError(t, l.Close())
	require.Equal(t, map[string]string{"b": "3", "c": ""}, contents(t, open(t, path)))
}

func TestOrderIsThatOfAppending(t *testing.T) {
	t.Parallel()
	l := open(t, filepath.Join(t.TempDir(), "state"))
	var last ledger.Pending
	for i := range 1000 {
		last = l.Append(put("counter", strconv.Itoa(i)))
	}
	require.NoError(t, last.Wait())
	require.Equal(t, "999", contents(t, l)["counter"])
}

// TestCopyOfTheFileIsWhole copies the file while it is written to, which is what a killed process leaves behind: all that
// was waited for must be in it, and batches only as a whole.
func TestCopyOfTheFileIsWhole(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	l := open(t, filepath.Join(dir, "state"))
	var writers sync.WaitGroup
	for w := range 8 {
		writers.Go(func() {
			for i := range 50 {
				name := fmt.Sprintf("%d.%d", w, i)
				if err := l.Commit(put(name+".x", name, name+".y", name)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	require.NoError(t, l.Commit(put("waited", "for")))
	writers.Wait()
	image, err := os.ReadFile(filepath.Join(dir, "state"))
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "copy"), image, 0o600))
	found := contents(t, open(t, filepath.Join(dir, "copy")))
	require.Equal(t, "for", found["waited"])
	require.Len(t, found, 8*50*2+1)
}

func TestWithoutAFile(t *testing.T) {
	t.Parallel()
	for _, l := range []*ledger.Ledger{open(t, ""), {}} {
		require.NoError(t, l.Commit(put("a", "1")))
		require.Empty(t, contents(t, l))
		require.NoError(t, l.Close())
	}
}

func TestClosed(t *testing.T) {
	t.Parallel()
	l := open(t, filepath.Join(t.TempDir(), "state"))
	pending := l.Append(put("last", "1"))
	require.NoError(t, l.Close())
	require.NoError(t, pending.Wait(), "what was appended is written")
	require.NoError(t, l.Close())
	require.ErrorIs(t, l.Commit(put("a", "1")), ledger.ErrClosed)
	require.NoError(t, l.Commit(ledger.Batch{}), "nothing to do is never an error")
}

func TestFileInUse(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "state")
	open(t, path)
	_, err := ledger.Open(path, things)
	require.Error(t, err)
}

func TestNoFile(t *testing.T) {
	t.Parallel()
	_, err := ledger.Open(filepath.Join(t.TempDir(), "missing", "state"), things)
	require.Error(t, err)
	path := filepath.Join(t.TempDir(), "state")
	require.NoError(t, os.WriteFile(path, make([]byte, 1<<16), 0o600))
	_, err = ledger.Open(path, things)
	require.Error(t, err)
}

// TestFailedWrite writes to a bucket that does not exist: nothing more is taken afterwards.
func TestFailedWrite(t *testing.T) {
	t.Parallel()
	l := open(t, filepath.Join(t.TempDir(), "state"))
	var batch ledger.Batch
	batch.Put(things, "", []byte("keys must not be empty"))
	require.Error(t, l.Commit(batch))
	require.Error(t, l.Commit(put("a", "1")))
	require.Empty(t, contents(t, l))
}
