package stanza

import (
	"bytes"
	"compress/zlib"
	"errors"
	"fmt"
	"io"

	"go.mau.fi/whatsmeow/binary"
)

// ErrMalformed marks a frame that does not hold a node.
var ErrMalformed = errors.New("malformed stanza")

const (
	compressed  = 2
	maxInflated = 8 << 20
)

// Decode reads the node in a decrypted frame.
func Decode(frame []byte) (node *binary.Node, err error) {
	if len(frame) == 0 {
		return nil, fmt.Errorf("%w: empty frame", ErrMalformed)
	}
	body := frame[1:]
	if frame[0]&compressed != 0 {
		if body, err = inflate(body); err != nil {
			return nil, err
		}
	}
	if err := check(body); err != nil {
		return nil, err
	}
	// The codec asserts types of what it read; a frame that gets past the check and still surprises it must not take
	// the process along.
	defer func() {
		if cause := recover(); cause != nil {
			node, err = nil, fmt.Errorf("%w: %v", ErrMalformed, cause)
		}
	}()
	node, err = binary.Unmarshal(body)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	return node, nil
}

// Encode is the frame of a node, ready to be encrypted.
func Encode(node binary.Node) ([]byte, error) {
	frame, err := binary.Marshal(node)
	if err != nil {
		return nil, fmt.Errorf("encode stanza: %w", err)
	}
	return frame, nil
}

func inflate(body []byte) ([]byte, error) {
	reader, err := zlib.NewReader(bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	inflated, err := io.ReadAll(io.LimitReader(reader, maxInflated+1))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	if len(inflated) > maxInflated {
		return nil, fmt.Errorf("%w: inflates to more than %d bytes", ErrMalformed, maxInflated)
	}
	return inflated, nil
}
