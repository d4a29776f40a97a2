package journal

import (
	"sync/atomic"
	"time"
)

// DefaultSize is how many rows a journal keeps unless told otherwise.
const DefaultSize = 200_000

// MaxRead is how many rows one call returns at most.
const MaxRead = 1_000

// Tags of the rows that are not stanzas: a connection begins, once it is known whose it is, and ends.
const (
	TagOpen  = "open"
	TagClose = "close"
)

// Direction tells which way a stanza went, seen from the server.
type Direction string

// The directions; rows about a connection have none.
const (
	In  Direction = "in"
	Out Direction = "out"
)

// Row is one stanza, or the beginning or end of a connection.
type Row struct {
	// N numbers the rows from 1, without gaps, in the order in which things happened.
	N uint64 `json:"n"`
	// T is the time in milliseconds since 1970.
	T int64 `json:"t"`
	// Connection tells connections apart, also those of the same device.
	Connection uint64 `json:"connection"`
	// Device is "79001234567:1"; empty before the login.
	Device    string    `json:"device"`
	Direction Direction `json:"direction,omitempty"`
	Tag       string    `json:"tag"`
	ID        string    `json:"id,omitempty"`
	Type      string    `json:"type,omitempty"`
	From      string    `json:"from,omitempty"`
	To        string    `json:"to,omitempty"`
	// Class is what an ack acknowledges.
	Class string `json:"class,omitempty"`
	// XMLNS is the namespace of an iq.
	XMLNS string `json:"xmlns,omitempty"`
	// Error is the code of an error that a stanza carries, or the reason why a connection ended.
	Error string `json:"error,omitempty"`
	// Offline marks a stanza out of the offline queue.
	Offline bool `json:"offline,omitempty"`
}

// Journal is the ring. Create it with [New].
type Journal struct {
	last  atomic.Uint64
	slots []atomic.Pointer[Row]
}

// New makes a journal of the last size rows; 0 means [DefaultSize].
func New(size int) *Journal {
	if size <= 0 {
		size = DefaultSize
	}
	return &Journal{slots: make([]atomic.Pointer[Row], size)}
}

// Add numbers and dates a row and keeps it, at the cost of the oldest one. The row must not be changed afterwards.
func (j *Journal) Add(row *Row) {
	row.T = time.Now().UnixMilli()
	row.N = j.last.Add(1)
	j.slots[row.N%uint64(len(j.slots))].Store(row)
}

// Read returns up to limit rows after number n, oldest first; a limit of 0 or above [MaxRead] means MaxRead. Rows that
// have left the ring are skipped.
func (j *Journal) Read(n uint64, limit int) []Row {
	if limit <= 0 || limit > MaxRead {
		limit = MaxRead
	}
	last, size := j.last.Load(), uint64(len(j.slots))
	if last > size && n < last-size {
		n = last - size
	}
	rows := make([]Row, 0, min(limit, int(last-min(n, last)))) //nolint:gosec // At most the size of the ring.
	for next := n + 1; next <= last && len(rows) < limit; next++ {
		row := j.slots[next%size].Load()
		switch {
		case row == nil || row.N < next:
			return rows // A writer has the number and not yet the slot.
		case row.N == next:
			rows = append(rows, *row)
		}
	}
	return rows
}

// Last is the number of the newest row.
func (j *Journal) Last() uint64 { return j.last.Load() }
