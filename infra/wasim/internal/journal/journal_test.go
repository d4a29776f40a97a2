package journal_test

import (
	"strconv"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"wafleet/infra/wasim/internal/journal"
)

func add(j *journal.Journal, n int) {
	for i := range n {
		j.Add(&journal.Row{Tag: "message", ID: strconv.Itoa(i + 1)})
	}
}

func TestReadInPages(t *testing.T) {
	t.Parallel()
	j := journal.New(5000)
	require.Empty(t, j.Read(0, 0))
	add(j, 2500)
	var all []journal.Row
	for after := uint64(0); ; {
		page := j.Read(after, 0)
		if len(page) == 0 {
			break
		}
		require.LessOrEqual(t, len(page), journal.MaxRead)
		all = append(all, page...)
		after = page[len(page)-1].N
	}
	require.Len(t, all, 2500)
	for i, row := range all {
		require.Equal(t, uint64(i+1), row.N)
		require.Equal(t, strconv.Itoa(i+1), row.ID)
		require.NotZero(t, row.T)
	}
	require.Len(t, j.Read(10, 3), 3)
	require.Equal(t, uint64(11), j.Read(10, 3)[0].N)
	require.Empty(t, j.Read(2500, 0))
	require.Empty(t, j.Read(1<<60, 0))
	require.Len(t, j.Read(0, 1<<30), journal.MaxRead)
}

func TestOldRowsLeaveTheRing(t *testing.T) {
	t.Parallel()
	j := journal.New(10)
	add(j, 25)
	rows := j.Read(0, 0)
	require.Len(t, rows, 10)
	require.Equal(t, uint64(16), rows[0].N)
	require.Equal(t, uint64(25), j.Last())
}

func TestManyWriters(t *testing.T) {
	t.Parallel()
	j := journal.New(0)
	var writers sync.WaitGroup
	for range 8 {
		writers.Go(func() { add(j, 1000) })
	}
	var seen uint64
	for seen < 8000 {
		for _, row := range j.Read(seen, 0) {
			if row.N != seen+1 {
				t.Fatalf("row %d after %d", row.N, seen)
			}
			seen = row.N
		}
	}
	writers.Wait()
	require.Equal(t, uint64(8000), j.Last())
}
