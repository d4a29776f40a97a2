package mailbox

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

var errRecord = errors.New("damaged mail record")

// Restore puts a record of the ledger back into its box, which it finds by name; records of devices that are gone are
// ignored. Records must come in the order of their keys.
func Restore(key string, value []byte, find func(name string) *Box) error {
	name, hex, ok := strings.Cut(key, "/")
	seq, err := strconv.ParseUint(hex, 16, 64)
	if !ok || err != nil {
		return fmt.Errorf("%w: key %q", errRecord, key)
	}
	box := find(name)
	if box == nil {
		return nil
	}
	item := &Item{seq: seq, ready: true}
	for _, field := range []*string{&item.Key.Class, &item.Key.ID, &item.Key.Type, &item.Key.From} {
		size, n := binary.Uvarint(value)
		if n <= 0 || size > uint64(len(value)-n) { //nolint:gosec // Uvarint does not read beyond the value.
			return fmt.Errorf("%w: %s", errRecord, key)
		}
		*field = string(value[n : n+int(size)]) //nolint:gosec // Checked above.
		value = value[n+int(size):]             //nolint:gosec // Checked above.
	}
	item.Frame = append([]byte(nil), value...)
	box.mu.Lock()
	defer box.mu.Unlock()
	box.items = append(box.items, item)
	box.lastSeq = seq
	return nil
}

// encodeItem writes the parts of the key, each after its length, and the frame.
func encodeItem(item *Item) []byte {
	value := make([]byte, 0, len(item.Frame)+64)
	for _, field := range []string{item.Key.Class, item.Key.ID, item.Key.Type, item.Key.From} {
		value = append(binary.AppendUvarint(value, uint64(len(field))), field...)
	}
	return append(value, item.Frame...)
}
