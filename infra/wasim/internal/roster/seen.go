package roster

import (
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"sync"

	"wafleet/infra/wasim/internal/ledger"
)

// seenSize is how many message ids of a device the server recognises; the oldest are forgotten first.
const seenSize = 8_192

// seen remembers the messages that a device has sent, as hashes of chat and id.
type seen struct {
	name string

	mu   sync.Mutex // guards everything below
	set  map[uint64]struct{}
	ring []uint64
	next int
}

// See notes that the device sends a message with this id to a chat, and reports whether it did so before.
func (d *Device) See(batch *ledger.Batch, chat, id string) (before bool) {
	hash := fnv.New64a()
	_, _ = hash.Write([]byte(chat + "/" + id))
	return d.seen.add(batch, hash.Sum64())
}

func (s *seen) add(batch *ledger.Batch, hash uint64) (before bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, before = s.set[hash]; before {
		return true
	}
	batch.Put(BucketSeen, s.recordKey(s.next), binary.BigEndian.AppendUint64(nil, hash))
	s.remember(hash)
	return false
}

func (s *seen) remember(hash uint64) {
	if s.set == nil {
		s.set = make(map[uint64]struct{})
	}
	if s.next < len(s.ring) {
		delete(s.set, s.ring[s.next])
		s.ring[s.next] = hash
	} else {
		s.ring = append(s.ring, hash)
	}
	s.set[hash] = struct{}{}
	s.next = (s.next + 1) % seenSize
}

func (s *seen) clear(batch *ledger.Batch) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for slot := range s.ring {
		batch.Delete(BucketSeen, s.recordKey(slot))
	}
	s.set, s.ring, s.next = nil, nil, 0
}

func (s *seen) recordKey(slot int) string { return fmt.Sprintf("%s/%04x", s.name, slot) }
