package pgqueue

import (
	"testing"

	"github.com/stretchr/testify/require"

	"wafleet/shared/queue"
)

// opened returns an open board with that many waiters on the queue "q".
func opened(t *testing.T, waiters int) (*board, []*waiter) {
	t.Helper()
	b := newBoard()
	b.open()
	ws := make([]*waiter, waiters)
	for i := range ws {
		w, err := b.join("q")
		require.NoError(t, err)
		ws[i] = w
	}
	return b, ws
}

// woken tells which waiters have a wake-up.
func woken(ws []*waiter) []bool {
	state := make([]bool, len(ws))
	for i, w := range ws {
		state[i] = len(w.woken) > 0
	}
	return state
}

func TestBoardWakesOneAtATime(t *testing.T) {
	t.Parallel()
	b, ws := opened(t, 3)
	b.wake("other")
	require.Equal(t, []bool{false, false, false}, woken(ws))
	b.wake("q")
	require.Equal(t, []bool{true, false, false}, woken(ws))
	b.wake("q")
	require.Equal(t, []bool{true, true, false}, woken(ws))
	b.wake("q")
	b.wake("q") // says nothing new
	require.Equal(t, []bool{true, true, true}, woken(ws))
}

func TestBoardPassesOnWhatWasNotRead(t *testing.T) {
	t.Parallel()
	b, ws := opened(t, 3)
	b.wake("q")
	b.leave(ws[0])
	require.Equal(t, []bool{true, false}, woken(ws[1:]))
	<-ws[1].woken
	b.leave(ws[1])
	require.Equal(t, []bool{false}, woken(ws[2:]), "it was read")
	b.wake("q")
	b.leave(ws[2])
	require.Empty(t, b.queues())
	b.wake("q") // nobody is there
}

func TestBoardWakesEveryQueue(t *testing.T) {
	t.Parallel()
	b, ws := opened(t, 2)
	other, err := b.join("other")
	require.NoError(t, err)
	require.ElementsMatch(t, []string{"q", "other"}, b.queues())
	b.wakeEvery()
	require.Equal(t, []bool{true, false}, woken(ws))
	require.Equal(t, []bool{true}, woken([]*waiter{other}))
}

func TestBoardClosed(t *testing.T) {
	t.Parallel()
	b := newBoard()
	_, err := b.join("q")
	require.ErrorIs(t, err, queue.ErrUnavailable)
	<-b.closed()
	b.open()
	b.open()
	select {
	case <-b.closed():
		require.Fail(t, "an open board is not closed")
	default:
	}
	b.close()
	b.close()
	<-b.closed()
}
