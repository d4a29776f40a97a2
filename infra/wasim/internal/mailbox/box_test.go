package mailbox_test

import (
	"path/filepath"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"wafleet/infra/wasim/internal/ledger"
	"wafleet/infra/wasim/internal/mailbox"
	"wafleet/infra/wasim/internal/stanza"
)

// outlet counts how often it was woken.
type outlet struct{ woken int }

func (o *outlet) Wake() { o.woken++ }

func key(id string) mailbox.Key {
	return mailbox.Key{Class: "message", ID: id, From: "79001234567@s.whatsapp.net"}
}

func put(t *testing.T, b *mailbox.Box, ids ...string) []*mailbox.Item {
	t.Helper()
	var items []*mailbox.Item
	for _, id := range ids {
		var batch ledger.Batch
		item, err := b.Put(&batch, key(id), stanza.New("message", stanza.Attrs{"id": id}))
		require.NoError(t, err)
		items = append(items, item)
	}
	return items
}

func deliver(t *testing.T, b *mailbox.Box, ids ...string) {
	t.Helper()
	for _, item := range put(t, b, ids...) {
		b.Release(item)
	}
}

// next describes what an outlet is given: the ids, "offline" ones in brackets, and the notices by their names.
func next(t *testing.T, b *mailbox.Box, o mailbox.Outlet) []string {
	t.Helper()
	var all []string
	for {
		deliveries, err := b.Next(o, 3)
		require.NoError(t, err)
		if len(deliveries) == 0 {
			return all
		}
		for _, d := range deliveries {
			node, err := stanza.Decode(d.Frame)
			require.NoError(t, err)
			switch {
			case node.Tag == "ib":
				child := node.GetChildren()[0]
				all = append(all, child.Tag+" "+stanza.Str(child, "count"))
			case d.Offline:
				require.Equal(t, "0", stanza.Str(*node, "offline"))
				all = append(all, "("+stanza.Str(*node, "id")+")")
			default:
				require.Empty(t, stanza.Str(*node, "offline"))
				all = append(all, stanza.Str(*node, "id"))
			}
		}
	}
}

func ack(b *mailbox.Box, id string) bool {
	var batch ledger.Batch
	_, ok := b.Ack(&batch, key(id))
	return ok
}

func TestLiveDelivery(t *testing.T) {
	t.Parallel()
	b, o := mailbox.New("79:1"), &outlet{}
	require.Nil(t, b.Attach(o))
	require.Empty(t, next(t, b, o), "not before it is active")
	b.Activate(o)
	require.Equal(t, []string{"offline_preview 0", "offline 0"}, next(t, b, o))
	woken := o.woken
	items := put(t, b, "a")
	require.Empty(t, next(t, b, o), "not before it is released")
	b.Release(items[0])
	require.Greater(t, o.woken, woken)
	require.Equal(t, []string{"a"}, next(t, b, o))
	require.Empty(t, next(t, b, o), "once")
	require.True(t, ack(b, "a"))
	require.False(t, ack(b, "a"))
	require.Zero(t, b.Len())
}

func TestBacklog(t *testing.T) {
	t.Parallel()
	b, o := mailbox.New("79:1"), &outlet{}
	deliver(t, b, "a", "b", "c", "d", "e")
	require.True(t, ack(b, "b"), "a device may acknowledge in any order")
	b.Attach(o)
	b.Activate(o)
	deliver(t, b, "new")
	require.Equal(t, []string{"offline_preview 4", "(a)", "(c)", "(d)", "(e)", "offline 4", "new"}, next(t, b, o))
	b.Activate(o)
	require.Empty(t, next(t, b, o), "again is nothing new")

	second := &outlet{}
	require.Same(t, o, b.Attach(second))
	require.Empty(t, next(t, b, o), "the first has lost its turn")
	b.Detach(o)
	require.Same(t, second, b.Attached())
	b.Activate(second)
	require.Equal(t, []string{"offline_preview 5", "(a)", "(c)", "(d)", "(e)", "(new)", "offline 5"}, next(t, b, second))
	b.Detach(second)
	require.Nil(t, b.Attached())
}

func TestBacklogThatIsAcknowledgedMeanwhile(t *testing.T) {
	t.Parallel()
	b, o := mailbox.New("79:1"), &outlet{}
	deliver(t, b, "a", "b", "c", "d")
	b.Attach(o)
	b.Activate(o)
	deliveries, err := b.Next(o, 3)
	require.NoError(t, err)
	require.Len(t, deliveries, 3, "the notice, a and b")
	require.True(t, ack(b, "a"))
	require.True(t, ack(b, "b"))
	require.Equal(t, []string{"(c)", "(d)", "offline 4"}, next(t, b, o))
}

func TestPause(t *testing.T) {
	t.Parallel()
	b, o := mailbox.New("79:1"), &outlet{}
	b.Attach(o)
	b.Activate(o)
	next(t, b, o)
	b.Pause(o)
	deliver(t, b, "a")
	require.Empty(t, next(t, b, o))
	b.Activate(o)
	require.Equal(t, []string{"offline_preview 1", "(a)", "offline 1"}, next(t, b, o))
}

func TestOrderHoldsWhileOneIsWritten(t *testing.T) {
	t.Parallel()
	b, o := mailbox.New("79:1"), &outlet{}
	b.Attach(o)
	b.Activate(o)
	next(t, b, o)
	items := put(t, b, "a", "b")
	b.Release(items[1])
	require.Empty(t, next(t, b, o), "b waits for a")
	b.Release(items[0])
	require.Equal(t, []string{"a", "b"}, next(t, b, o))
}

func TestAcksThatSayLess(t *testing.T) {
	t.Parallel()
	b := mailbox.New("79:1")
	for _, kind := range []string{"read", "played"} {
		var batch ledger.Batch
		item, err := b.Put(&batch, mailbox.Key{Class: "receipt", ID: "x", Type: kind, From: "1@lid"}, stanza.New("receipt", nil))
		require.NoError(t, err)
		b.Release(item)
	}
	var batch ledger.Batch
	removed, ok := b.Ack(&batch, mailbox.Key{Class: "receipt", ID: "x", Type: "played", From: "1@lid"})
	require.True(t, ok)
	require.Equal(t, "played", removed.Type)
	removed, ok = b.Ack(&batch, mailbox.Key{Class: "receipt", ID: "x"})
	require.True(t, ok)
	require.Equal(t, "read", removed.Type)
	_, ok = b.Ack(&batch, mailbox.Key{Class: "message", ID: "x"})
	require.False(t, ok)
}

func TestRedeliver(t *testing.T) {
	t.Parallel()
	b, o := mailbox.New("79:1"), &outlet{}
	b.Attach(o)
	b.Activate(o)
	next(t, b, o)
	deliver(t, b, "a", "b", "c", "d", "e", "f")
	next(t, b, o)
	for _, id := range []string{"a", "b", "c", "d"} {
		require.True(t, ack(b, id))
	}
	b.Redeliver()
	require.Equal(t, []string{"b", "c", "d", "e", "f"}, next(t, b, o), "the last three that were acknowledged, and the rest")
	require.True(t, ack(b, "c"))
}

func TestFrontAndRemove(t *testing.T) {
	t.Parallel()
	b := mailbox.New("79:0")
	deliver(t, b, "a", "b", "c")
	put(t, b, "unreleased")
	front := b.Front(2)
	require.Len(t, front, 2)
	var batch ledger.Batch
	b.Remove(&batch, front[1])
	b.Remove(&batch, front[1])
	require.Len(t, b.Front(10), 2, "a and c")
	b.Clear(&batch)
	require.Empty(t, b.Front(10))
}

func TestFullBoxLosesTheOldest(t *testing.T) {
	t.Parallel()
	b := mailbox.New("79:1")
	for i := range mailbox.Capacity + 2 {
		deliver(t, b, strconv.Itoa(i))
	}
	require.Equal(t, mailbox.Capacity, b.Len())
	require.Equal(t, uint64(2), b.Overflow())
	require.Equal(t, "2", b.Front(1)[0].Key.ID)
}

func TestRestore(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "state")
	l, err := ledger.Open(path, mailbox.Bucket)
	require.NoError(t, err)
	b := mailbox.New("79:1")
	var batch ledger.Batch
	for i := range 20 { // Enough for a second digit in the keys.
		_, err := b.Put(&batch, key(strconv.Itoa(i)), stanza.New("message", stanza.Attrs{"id": strconv.Itoa(i)}))
		require.NoError(t, err)
	}
	_, ok := b.Ack(&batch, key("3"))
	require.True(t, ok)
	require.NoError(t, l.Commit(batch))
	require.NoError(t, l.Close())

	l, err = ledger.Open(path, mailbox.Bucket)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, l.Close()) })
	again := mailbox.New("79:1")
	find := func(name string) *mailbox.Box {
		if name == "79:1" {
			return again
		}
		return nil
	}
	require.NoError(t, l.Load(mailbox.Bucket, func(key string, value []byte) error { return mailbox.Restore(key, value, find) }))
	want, got := b.Front(0), again.Front(100)
	require.Empty(t, want)
	require.Len(t, got, 19, "and what is restored is visible")
	require.Equal(t, key("19"), got[18].Key)
	deliver(t, again, "20")
	require.Equal(t, "20", again.Front(100)[19].Key.ID)
}

func TestRestoreDamaged(t *testing.T) {
	t.Parallel()
	b := mailbox.New("79:1")
	find := func(string) *mailbox.Box { return b }
	for _, damaged := range []string{"", "79:1", "79:1/xyz", "79:1/0001"} {
		require.Error(t, mailbox.Restore(damaged, []byte{200}, find), damaged)
	}
	require.NoError(t, mailbox.Restore("gone:1/0001", []byte{200}, func(string) *mailbox.Box { return nil }))
}
