package api //nolint:testpackage // a part that nobody outside can reach

import (
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTurnstile(t *testing.T) {
	t.Parallel()
	ts := newTurnstile(3, 2)
	enter := func(company string) func() {
		leave, ok := ts.enter(company)
		require.True(t, ok, company)
		return leave
	}
	first, second := enter("a"), enter("a")
	_, ok := ts.enter("a")
	require.False(t, ok, "a company has its share")
	third := enter("b")
	_, ok = ts.enter("c")
	require.False(t, ok, "all places are taken")
	first()
	fourth := enter("c")
	for _, leave := range []func(){second, third, fourth} {
		leave()
	}
	require.Zero(t, ts.inside)
	require.Empty(t, ts.of, "nothing is kept of who has left")
}

func TestTurnstileOfMany(t *testing.T) {
	t.Parallel()
	ts := newTurnstile(4, 4)
	var mu sync.Mutex
	inside, most, entered := 0, 0, 0
	var wg sync.WaitGroup
	for range 64 {
		wg.Go(func() {
			leave, ok := ts.enter("a")
			if !ok {
				return
			}
			mu.Lock()
			inside++
			entered++
			most = max(most, inside)
			inside--
			mu.Unlock()
			leave()
		})
	}
	wg.Wait()
	require.Positive(t, entered)
	require.LessOrEqual(t, most, 4)
	require.Zero(t, ts.inside)
}

func TestPage(t *testing.T) {
	t.Parallel()
	self := func(s string) string { return s }
	rows, next := page([]string{"a", "b"}, 3, self)
	require.Equal(t, []string{"a", "b"}, rows)
	require.Nil(t, next)
	rows, next = page([]string{"a", "b", "c"}, 3, self)
	require.Equal(t, []string{"a", "b"}, rows)
	require.Equal(t, "b", *next)
	size, err := pageSize(nil, 5)
	require.NoError(t, err)
	require.Equal(t, defaultPage+1, size)
	for limit, want := range map[int]int{1: 2, 5: 6, 0: 0, -1: 0, 6: 0} {
		size, err := pageSize(&limit, 5)
		require.Equal(t, want, size)
		require.Equal(t, want == 0, err != nil)
	}
}
