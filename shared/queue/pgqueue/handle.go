package pgqueue

import (
	"fmt"
	"strconv"
	"strings"

	"wafleet/shared/queue"
)

// handle names one delivery: receives counts a message's deliveries, so the pair never comes twice.
type handle struct {
	id       int64
	receives int
}

// String is what callers hold.
func (h handle) String() string {
	return strconv.FormatInt(h.id, 10) + "-" + strconv.Itoa(h.receives)
}

// parseHandle reads what String wrote. Anything else never was a handle, which is reported as one that has expired.
func parseHandle(s string) (handle, error) {
	left, right, _ := strings.Cut(s, "-")
	id, err := strconv.ParseInt(left, 10, 64)
	if err != nil {
		return handle{}, fmt.Errorf("malformed handle: %w", queue.ErrReceiptExpired)
	}
	receives, err := strconv.ParseInt(right, 10, 32)
	if err != nil {
		return handle{}, fmt.Errorf("malformed handle: %w", queue.ErrReceiptExpired)
	}
	return handle{id, int(receives)}, nil
}

// handles is a batch of them as the statements take it, with the way back to the indexes of the call.
type handles struct {
	ids    []int64
	counts []int
	// indexes has the positions of each id in the call.
	indexes map[int64][]int
	// failed has the errors of the entries that are no handles.
	failed map[int]error
}

func parseHandles(texts []string) handles {
	hs := handles{indexes: make(map[int64][]int), failed: make(map[int]error)}
	for i, text := range texts {
		h, err := parseHandle(text)
		if err != nil {
			hs.failed[i] = err
			continue
		}
		hs.ids = append(hs.ids, h.id)
		hs.counts = append(hs.counts, h.receives)
		hs.indexes[h.id] = append(hs.indexes[h.id], i)
	}
	return hs
}

// expire marks every entry with that id as stale.
func (hs handles) expire(id int64) {
	for _, i := range hs.indexes[id] {
		hs.failed[i] = queue.ErrReceiptExpired
	}
}
