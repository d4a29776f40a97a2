package wire

import (
	"crypto/sha1" //nolint:gosec // The websocket handshake is defined with it; it protects nothing.
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
)

// ErrProtocol marks a client that does not speak the websocket protocol, or breaks a limit of it.
var ErrProtocol = errors.New("websocket protocol error")

// Opcodes of websocket frames that the server acts on.
const (
	opContinuation = 0
	opBinary       = 2
	opClose        = 8
	opPing         = 9
	opPong         = 10
)

const (
	finalBit     = 0x80
	maskBit      = 0x80
	maxControl   = 125
	acceptSuffix = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
)

// upgrade answers the websocket handshake and takes the socket from the HTTP server. Bytes which the client sent ahead
// are returned with it.
func upgrade(w http.ResponseWriter, r *http.Request) (net.Conn, []byte, error) {
	key := r.Header.Get("Sec-Websocket-Key")
	if !strings.EqualFold(r.Header.Get("Upgrade"), "websocket") || key == "" {
		http.Error(w, "websocket expected", http.StatusUpgradeRequired)
		return nil, nil, fmt.Errorf("%w: no upgrade asked for", ErrProtocol)
	}
	socket, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		http.Error(w, "cannot upgrade", http.StatusInternalServerError)
		return nil, nil, fmt.Errorf("take over socket: %w", err)
	}
	digest := sha1.Sum([]byte(key + acceptSuffix)) //nolint:gosec // See the import.
	answer := "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: " +
		base64.StdEncoding.EncodeToString(digest[:]) + "\r\n\r\n"
	if _, err := io.WriteString(socket, answer); err != nil {
		_ = socket.Close()
		return nil, nil, fmt.Errorf("answer upgrade: %w", err)
	}
	ahead, _ := buffered.Peek(buffered.Reader.Buffered())
	return socket, append([]byte(nil), ahead...), nil
}

// Read returns the bytes of the client's data frames as one stream. Pings are answered on the way.
func (c *Conn) Read(p []byte) (int, error) {
	for c.remaining == 0 {
		if err := c.nextFrame(); err != nil {
			return 0, err
		}
	}
	if uint64(len(p)) > c.remaining {
		p = p[:c.remaining]
	}
	n, err := c.raw(p)
	c.unmask(p[:n])
	c.remaining -= uint64(n) //nolint:gosec // A count of bytes read.
	return n, err
}

// nextFrame reads websocket frames until one with data begins.
func (c *Conn) nextFrame() error {
	if err := c.readFull(c.header[:2]); err != nil {
		return err
	}
	opcode := c.header[0] & 0x0f
	if c.header[1]&maskBit == 0 {
		return fmt.Errorf("%w: unmasked frame", ErrProtocol)
	}
	length, err := c.payloadLength(c.header[1] &^ maskBit)
	if err != nil {
		return err
	}
	if err := c.readFull(c.mask[:]); err != nil {
		return err
	}
	c.masked = 0
	switch opcode {
	case opContinuation, opBinary:
		c.remaining = length
		return nil
	case opPing, opPong, opClose:
		return c.control(opcode, length)
	default:
		return fmt.Errorf("%w: opcode %d", ErrProtocol, opcode)
	}
}

func (c *Conn) payloadLength(short byte) (uint64, error) {
	switch short {
	case 126:
		if err := c.readFull(c.header[:2]); err != nil {
			return 0, err
		}
		return uint64(binary.BigEndian.Uint16(c.header[:2])), nil
	case 127:
		if err := c.readFull(c.header[:8]); err != nil {
			return 0, err
		}
		return binary.BigEndian.Uint64(c.header[:8]), nil
	default:
		return uint64(short), nil
	}
}

func (c *Conn) control(opcode byte, length uint64) error {
	if length > maxControl {
		return fmt.Errorf("%w: control frame of %d bytes", ErrProtocol, length)
	}
	payload := make([]byte, length)
	if err := c.readFull(payload); err != nil {
		return err
	}
	c.unmask(payload)
	switch opcode {
	case opClose:
		return io.EOF
	case opPing:
		return c.send(append([]byte{finalBit | opPong, byte(length)}, payload...))
	default:
		return nil
	}
}

// unmask undoes the client's masking, which goes on over the parts of a frame.
func (c *Conn) unmask(p []byte) {
	for i := range p {
		p[i] ^= c.mask[c.masked&3]
		c.masked++
	}
}

// raw reads from the socket, first what had come ahead of the upgrade's answer.
func (c *Conn) raw(p []byte) (int, error) {
	if len(c.ahead) > 0 {
		n := copy(p, c.ahead)
		c.ahead = c.ahead[n:]
		return n, nil
	}
	n, err := c.socket.Read(p)
	if err != nil {
		return n, fmt.Errorf("read socket: %w", err)
	}
	return n, nil
}

func (c *Conn) readFull(p []byte) error {
	for filled := 0; filled < len(p); {
		n, err := c.raw(p[filled:])
		if err != nil {
			return err
		}
		filled += n
	}
	return nil
}

// appendHeader appends the header of a binary message with n bytes of payload.
func appendHeader(dst []byte, n int) []byte {
	dst = append(dst, finalBit|opBinary)
	switch {
	case n < 126:
		return append(dst, byte(n)) //nolint:gosec // Checked above.
	case n < 1<<16:
		return binary.BigEndian.AppendUint16(append(dst, 126), uint16(n))
	default:
		return binary.BigEndian.AppendUint64(append(dst, 127), uint64(n))
	}
}
