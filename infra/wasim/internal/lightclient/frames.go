package lightclient

import (
	"encoding/binary"
	"fmt"
	"io"
)

// maxShort is the longest payload whose length fits into the second byte of a websocket header.
const maxShort = 125

// handshakeFrames carries the handshake; the prologue goes ahead of the first frame.
type handshakeFrames struct {
	client   *Client
	prologue []byte
}

func (h *handshakeFrames) ReadFrame() ([]byte, error) { return h.client.readFrame() }

func (h *handshakeFrames) WriteFrame(frame []byte) error {
	prologue := h.prologue
	h.prologue = nil
	return h.client.write(prologue, frame)
}

// write sends a frame, after a prologue, as one websocket message. The mask is zero: it hides nothing under TLS.
func (c *Client) write(prologue, frame []byte) error {
	length := len(prologue) + 3 + len(frame)
	message := make([]byte, 0, length+14)
	message = append(message, 0x82)
	switch {
	case length <= maxShort:
		message = append(message, 0x80|byte(length))
	case length < 1<<16:
		message = binary.BigEndian.AppendUint16(append(message, 0x80|126), uint16(length))
	default:
		message = binary.BigEndian.AppendUint64(append(message, 0x80|127), uint64(length))
	}
	message = append(message, 0, 0, 0, 0)
	message = append(message, prologue...)
	message = append(message, byte(len(frame)>>16), byte(len(frame)>>8), byte(len(frame))) //nolint:gosec // Three bytes are what there is.
	message = append(message, frame...)
	if _, err := c.socket.Write(message); err != nil {
		return fmt.Errorf("write: %w", err)
	}
	return nil
}

// readFrame reads a websocket message, which holds exactly one frame.
func (c *Client) readFrame() ([]byte, error) {
	var header [10]byte
	if _, err := io.ReadFull(c.socket, header[:2]); err != nil {
		return nil, fmt.Errorf("read: %w", err)
	}
	if header[0] != 0x82 {
		return nil, fmt.Errorf("read: %w", io.EOF) // The server closes.
	}
	length := uint64(header[1])
	switch length {
	case 126:
		if _, err := io.ReadFull(c.socket, header[:2]); err != nil {
			return nil, fmt.Errorf("read: %w", err)
		}
		length = uint64(binary.BigEndian.Uint16(header[:2]))
	case 127:
		if _, err := io.ReadFull(c.socket, header[:8]); err != nil {
			return nil, fmt.Errorf("read: %w", err)
		}
		length = binary.BigEndian.Uint64(header[:8])
	}
	if length < 3 || length > 1<<24 {
		return nil, fmt.Errorf("read: %w: message of %d bytes", ErrRefused, length)
	}
	message := make([]byte, length)
	if _, err := io.ReadFull(c.socket, message); err != nil {
		return nil, fmt.Errorf("read: %w", err)
	}
	return message[3:], nil
}
