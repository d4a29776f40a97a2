package stanza

import (
	"fmt"

	"go.mau.fi/whatsmeow/binary/token"
)

// maxDepth is how deep nodes may nest. Real ones stay under ten.
const maxDepth = 32

// walker passes over an encoded node without making anything of it.
type walker struct {
	data  []byte
	index int
}

// check reports whether the codec can decode the data within bounds: no nesting deeper than maxDepth and no list that
// claims more elements than there are bytes left.
func check(data []byte) error {
	w := &walker{data: data}
	if err := w.node(0); err != nil {
		return err
	}
	if w.index != len(data) {
		return fmt.Errorf("%w: %d bytes too many", ErrMalformed, len(data)-w.index)
	}
	return nil
}

func (w *walker) node(depth int) error {
	if depth > maxDepth {
		return fmt.Errorf("%w: nested deeper than %d", ErrMalformed, maxDepth)
	}
	tag, err := w.byte()
	if err != nil {
		return err
	}
	size, err := w.listSize(tag)
	if err != nil {
		return err
	}
	if size == 0 {
		return fmt.Errorf("%w: node without a tag", ErrMalformed)
	}
	// The tag, then keys and values in turn, then the content if the count is even.
	for range size - 1 + size%2 {
		if err := w.value(depth, false); err != nil {
			return err
		}
	}
	if size%2 == 0 {
		return w.value(depth, true)
	}
	return nil
}

// value passes over one value; only a content may be a list of nodes.
func (w *walker) value(depth int, content bool) error {
	tag, err := w.byte()
	if err != nil {
		return err
	}
	switch tag {
	case token.ListEmpty:
		return nil
	case token.List8, token.List16:
		if !content {
			return fmt.Errorf("%w: list where a string belongs", ErrMalformed)
		}
		return w.nodes(tag, depth)
	case token.Binary8:
		return w.bytes(1)
	case token.Binary20:
		return w.bytes(3)
	case token.Binary32:
		return w.bytes(4)
	case token.Dictionary0, token.Dictionary1, token.Dictionary2, token.Dictionary3:
		return w.skip(1)
	case token.JIDPair, token.ADJID, token.FBJID, token.InteropJID:
		return w.jid(tag, depth)
	case token.Nibble8, token.Hex8:
		length, err := w.byte()
		if err != nil {
			return err
		}
		return w.skip(length & 127)
	default:
		return nil
	}
}

func (w *walker) nodes(tag, depth int) error {
	size, err := w.listSize(tag)
	if err != nil {
		return err
	}
	for range size {
		if err := w.node(depth + 1); err != nil {
			return err
		}
	}
	return nil
}

// jid passes over an address. Its parts are strings; the depth grows, because a part could claim to be an address again.
func (w *walker) jid(tag, depth int) error {
	if depth > maxDepth {
		return fmt.Errorf("%w: nested deeper than %d", ErrMalformed, maxDepth)
	}
	var err error
	switch tag {
	case token.JIDPair:
		err = w.value(depth+1, false)
	case token.ADJID:
		err = w.skip(2)
	case token.FBJID:
		if err = w.value(depth+1, false); err == nil {
			err = w.skip(2)
		}
	case token.InteropJID:
		if err = w.value(depth+1, false); err == nil {
			err = w.skip(4)
		}
	}
	if err != nil {
		return err
	}
	return w.value(depth+1, false)
}

func (w *walker) listSize(tag int) (int, error) {
	var size int
	var err error
	switch tag {
	case token.ListEmpty:
		return 0, nil
	case token.List8:
		size, err = w.number(1)
	case token.List16:
		size, err = w.number(2)
	default:
		return 0, fmt.Errorf("%w: token %d where a list belongs", ErrMalformed, tag)
	}
	if err != nil {
		return 0, err
	}
	if size > len(w.data)-w.index {
		return 0, fmt.Errorf("%w: list of %d in %d bytes", ErrMalformed, size, len(w.data)-w.index)
	}
	return size, nil
}

func (w *walker) bytes(sizeBytes int) error {
	size, err := w.number(sizeBytes)
	if err != nil {
		return err
	}
	if sizeBytes == 3 {
		size &= 1<<20 - 1
	}
	return w.skip(size)
}

func (w *walker) number(size int) (int, error) {
	number := 0
	for range size {
		next, err := w.byte()
		if err != nil {
			return 0, err
		}
		number = number<<8 | next
	}
	return number, nil
}

func (w *walker) byte() (int, error) {
	if w.index >= len(w.data) {
		return 0, fmt.Errorf("%w: ends early", ErrMalformed)
	}
	next := w.data[w.index]
	w.index++
	return int(next), nil
}

func (w *walker) skip(size int) error {
	if size < 0 || size > len(w.data)-w.index {
		return fmt.Errorf("%w: ends early", ErrMalformed)
	}
	w.index += size
	return nil
}
