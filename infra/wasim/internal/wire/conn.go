package wire

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"time"

	"go.mau.fi/whatsmeow/binary/token"
)

// ErrTooLarge marks a frame longer than the limit of the connection.
var ErrTooLarge = errors.New("frame too large")

// ErrPrologue marks a stream that does not begin as WhatsApp's does.
var ErrPrologue = errors.New("wrong prologue")

const (
	lengthSize   = 3
	maxFrame     = 1 << 24
	growStep     = 64 << 10
	routingMagic = 0xED
	maxRouting   = 4 << 10
)

// Prologue is what every connection begins with: "WA", the version of the protocol and that of the token dictionary.
var Prologue = []byte{'W', 'A', 6, token.DictVersion}

// Conn is a websocket that carries WhatsApp frames. One goroutine may read and any number may write.
type Conn struct {
	socket       net.Conn
	writeTimeout time.Duration
	writing      sync.Mutex

	// The rest belongs to the reader.
	ahead     []byte
	header    [8]byte
	mask      [4]byte
	masked    uint
	remaining uint64
	limit     int
}

// Upgrade makes an HTTP request into a connection. A refused request has been answered when it returns an error.
// Writes that take longer than writeTimeout fail.
func Upgrade(w http.ResponseWriter, r *http.Request, writeTimeout time.Duration) (*Conn, error) {
	socket, ahead, err := upgrade(w, r)
	if err != nil {
		return nil, err
	}
	return &Conn{socket: socket, ahead: ahead, writeTimeout: writeTimeout, limit: maxFrame}, nil
}

// Limit sets how long a frame from the client may be, in bytes.
func (c *Conn) Limit(size int) { c.limit = size }

// SetReadDeadline ends reads that have not succeeded by then; the zero time lifts the deadline.
func (c *Conn) SetReadDeadline(at time.Time) error {
	if err := c.socket.SetReadDeadline(at); err != nil {
		return fmt.Errorf("set read deadline: %w", err)
	}
	return nil
}

// RemoteAddr tells where the client connects from.
func (c *Conn) RemoteAddr() net.Addr { return c.socket.RemoteAddr() }

// ReadPrologue reads the opening of the stream, skips routing information and returns the four bytes of the prologue.
func (c *Conn) ReadPrologue() ([]byte, error) {
	var start [4]byte
	if err := c.fill(start[:]); err != nil {
		return nil, err
	}
	if start[0] == routingMagic {
		if err := c.skipRouting(start); err != nil {
			return nil, err
		}
		if err := c.fill(start[:]); err != nil {
			return nil, err
		}
	}
	if !bytes.Equal(start[:], Prologue) {
		return nil, fmt.Errorf("%w: % x", ErrPrologue, start)
	}
	return start[:], nil
}

// skipRouting drops "ED 00 01", three bytes of length (of which the last came in another read) and the information.
func (c *Conn) skipRouting(start [4]byte) error {
	var rest [2]byte
	if err := c.fill(rest[:]); err != nil {
		return err
	}
	length := int(start[3])<<16 | int(rest[0])<<8 | int(rest[1])
	if length > maxRouting {
		return fmt.Errorf("%w: routing information of %d bytes", ErrTooLarge, length)
	}
	return c.fill(make([]byte, length))
}

// ReadFrame returns the next frame. The slice belongs to the caller.
func (c *Conn) ReadFrame() ([]byte, error) {
	var size [lengthSize]byte
	if err := c.fill(size[:]); err != nil {
		return nil, err
	}
	length := int(size[0])<<16 | int(size[1])<<8 | int(size[2])
	if length > c.limit {
		return nil, fmt.Errorf("%w: %d bytes", ErrTooLarge, length)
	}
	if length <= growStep {
		frame := make([]byte, length)
		return frame, c.fill(frame)
	}
	var frame bytes.Buffer
	if _, err := io.CopyN(&frame, c, int64(length)); err != nil {
		return nil, fmt.Errorf("read frame: %w", err)
	}
	return frame.Bytes(), nil
}

// fill reads exactly len(p) bytes of the stream.
func (c *Conn) fill(p []byte) error {
	if _, err := io.ReadFull(c, p); err != nil {
		return fmt.Errorf("read frame: %w", err)
	}
	return nil
}

// WriteFrame sends one frame.
func (c *Conn) WriteFrame(frame []byte) error {
	return c.Send(AppendFrame(nil, len(frame), func(dst []byte) []byte { return append(dst, frame...) }))
}

// AppendFrame appends a frame of the given length, as a whole websocket message, to dst. The content is appended by a
// function, so that it can be encrypted into place. Several frames can be sent at once by [Conn.Send].
func AppendFrame(dst []byte, length int, content func(dst []byte) []byte) []byte {
	dst = appendHeader(dst, lengthSize+length)
	dst = append(dst, byte(length>>16), byte(length>>8), byte(length)) //nolint:gosec // Three bytes are what there is.
	return content(dst)
}

// Send writes frames which were made by [AppendFrame].
func (c *Conn) Send(frames []byte) error { return c.send(frames) }

func (c *Conn) send(data []byte) error {
	c.writing.Lock()
	defer c.writing.Unlock()
	if err := c.socket.SetWriteDeadline(time.Now().Add(c.writeTimeout)); err != nil {
		return fmt.Errorf("set write deadline: %w", err)
	}
	if _, err := c.socket.Write(data); err != nil {
		return fmt.Errorf("write socket: %w", err)
	}
	return nil
}

// Finish tells the client that nothing more will come and keeps reading side open: the socket is closed only after
// the client has had the time to read the last frames (a close with unread input would reset it and lose them).
func (c *Conn) Finish() {
	_ = c.send([]byte{finalBit | opClose, 2, 1000 >> 8, 1000 & 0xff})
	if half, ok := c.socket.(interface{ CloseWrite() error }); ok {
		_ = half.CloseWrite()
	}
}

// Close closes the socket at once.
func (c *Conn) Close() { _ = c.socket.Close() }

// Reset closes the socket with a TCP reset and without any goodbye, as a failing network does.
func (c *Conn) Reset() {
	socket := c.socket
	if secure, ok := socket.(*tls.Conn); ok {
		socket = secure.NetConn()
	}
	if plain, ok := socket.(*net.TCPConn); ok {
		_ = plain.SetLinger(0)
	}
	_ = socket.Close()
}
