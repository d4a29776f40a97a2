package mailbox

import (
	"fmt"
	"sync"

	"wafleet/infra/wasim/internal/ledger"
	"wafleet/infra/wasim/internal/stanza"
)

// Bucket is where boxes keep their stanzas in the ledger.
const Bucket ledger.Bucket = "mail"

// Capacity is how many stanzas a box holds. A full box loses its oldest stanza with each new one.
const Capacity = 50_000

// kept is how many acknowledged messages a box remembers for [Box.Redeliver].
const kept = 3

// Key identifies a stanza to those who acknowledge it.
type Key struct {
	// Class is the tag: message, receipt or notification.
	Class string
	ID    string
	// Type is the type of receipts and notifications. Messages are acknowledged without it.
	Type string
	// From is the sender's address as it stands in the stanza.
	From string
}

// Item is a stanza in a box.
type Item struct {
	Key   Key
	Frame []byte // encoded, without the mark of offline delivery
	seq   uint64
	ready bool
}

// Outlet is told that a box has something to send. Wake must neither block nor call the box.
type Outlet interface{ Wake() }

// Box is the mailbox of one device. Create it with [New].
type Box struct {
	name string // "79001234567:1", the prefix of its keys in the ledger

	mu       sync.Mutex // guards everything below
	items    []*Item
	lastSeq  uint64
	recent   []*Item
	outlet   Outlet
	cursor   int // items before it have been sent to the outlet
	active   bool
	backlog  backlog
	overflow uint64
}

// New makes an empty box. The name tells boxes apart.
func New(name string) *Box { return &Box{name: name} }

// Put appends a stanza and records it in the batch. It stays invisible until it is released.
func (b *Box) Put(batch *ledger.Batch, key Key, node stanza.Node) (*Item, error) {
	frame, err := stanza.Encode(node)
	if err != nil {
		return nil, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.items) >= Capacity {
		b.removeAt(batch, 0)
		b.overflow++
	}
	b.lastSeq++
	item := &Item{Key: key, Frame: frame, seq: b.lastSeq}
	b.items = append(b.items, item)
	batch.Put(Bucket, b.recordKey(item), encodeItem(item))
	return item, nil
}

// Release makes a stanza visible and wakes whoever sends it.
func (b *Box) Release(item *Item) {
	b.mu.Lock()
	item.ready = true
	outlet := b.outlet
	b.mu.Unlock()
	if outlet != nil {
		outlet.Wake()
	}
}

// Ack removes the stanza that a device acknowledges. An acknowledgement that leaves out type or sender removes the
// oldest stanza of that class and id.
func (b *Box) Ack(batch *ledger.Batch, key Key) (Key, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	loose := -1
	for i, item := range b.items {
		if item.Key == key {
			return b.acked(batch, i), true
		}
		if loose < 0 && item.Key.Class == key.Class && item.Key.ID == key.ID {
			loose = i
		}
	}
	if loose < 0 {
		return Key{}, false
	}
	return b.acked(batch, loose), true
}

func (b *Box) acked(batch *ledger.Batch, i int) Key {
	item := b.items[i]
	if item.Key.Class == "message" {
		if len(b.recent) == kept {
			b.recent = append(b.recent[:0], b.recent[1:]...)
		}
		b.recent = append(b.recent, item)
	}
	b.removeAt(batch, i)
	return item.Key
}

// Front returns up to limit visible stanzas from the head of the box, which stay there.
func (b *Box) Front(limit int) []*Item {
	b.mu.Lock()
	defer b.mu.Unlock()
	n := 0
	for n < len(b.items) && n < limit && b.items[n].ready {
		n++
	}
	return append([]*Item(nil), b.items[:n]...)
}

// Remove takes a stanza out.
func (b *Box) Remove(batch *ledger.Batch, item *Item) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for i := range b.items {
		if b.items[i] == item {
			b.removeAt(batch, i)
			return
		}
	}
}

// Clear empties the box of a device that is no more.
func (b *Box) Clear(batch *ledger.Batch) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, item := range b.items {
		batch.Delete(Bucket, b.recordKey(item))
	}
	b.items, b.recent, b.cursor = nil, nil, 0
}

// Len is the number of stanzas in the box.
func (b *Box) Len() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.items)
}

// Overflow is how many stanzas were lost to a full box.
func (b *Box) Overflow() uint64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.overflow
}

func (b *Box) removeAt(batch *ledger.Batch, i int) {
	batch.Delete(Bucket, b.recordKey(b.items[i]))
	if i == 0 {
		b.items[0] = nil
		b.items = b.items[1:]
	} else {
		b.items = append(b.items[:i], b.items[i+1:]...)
	}
	if i < b.cursor {
		b.cursor--
	}
}

func (b *Box) recordKey(item *Item) string { return fmt.Sprintf("%s/%016x", b.name, item.seq) }
