package wa

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.mau.fi/whatsmeow"

	"wafleet/shared/rpc"
)

func TestReadReceipts(t *testing.T) {
	t.Parallel()
	l, anna := paired(t), newPhone(t)
	id, err := whatsapp.SendText(t.Context(), anna, l.number, "hello")
	require.NoError(t, err)
	l.got(t, 1)
	require.NoError(t, l.MarkRead(t.Context(), rpc.ReadMark{Chat: anna, Sender: anna, WAMessageID: id}))
	require.Eventually(t, func() bool {
		receipts, err := whatsapp.Receipts(anna)
		require.NoError(t, err)
		for _, r := range receipts {
			if r.Type == "read" && slices.Contains(r.IDs, id) {
				return true
			}
		}
		return false
	}, await, 5*time.Millisecond)

	l = newLine(t) // never connected
	require.ErrorIs(t, l.MarkRead(t.Context(), rpc.ReadMark{Chat: anna, Sender: anna, WAMessageID: id}), whatsmeow.ErrNotLoggedIn)
	require.ErrorIs(t, l.ShowTyping(t.Context(), rpc.Typing{Chat: anna}), whatsmeow.ErrNotLoggedIn)
}

// What is shown while somebody writes goes out as WhatsApp's apps do it: available first, and unavailable after.
func TestTypingIsShown(t *testing.T) {
	t.Parallel()
	l, anna := paired(t), newPhone(t)
	device := l.number + ":1"
	seen := func() (tags []string) {
		for after := uint64(0); ; {
			rows := whatsapp.Journal(after, 1000)
			if len(rows) == 0 {
				return tags
			}
			for _, row := range rows {
				if row.Device == device && row.Direction == "in" && (row.Tag == "presence" || row.Tag == "chatstate") {
					tags = append(tags, row.Tag)
				}
			}
			after = rows[len(rows)-1].N
		}
	}
	before := len(seen())
	for _, state := range []rpc.TypingState{rpc.Composing, rpc.Recording, rpc.Paused} {
		require.NoError(t, l.ShowTyping(t.Context(), rpc.Typing{Chat: anna, State: state}))
	}
	require.Eventually(t, func() bool { return len(seen()) >= before+3 }, await, 10*time.Millisecond)
	var chatstates int
	for _, tag := range seen()[before:] {
		if tag == "chatstate" {
			chatstates++
		}
	}
	require.Equal(t, 3, chatstates)
}
