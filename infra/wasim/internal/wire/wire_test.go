package wire

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// over makes a connection whose client is the returned end of a pipe.
func over(t *testing.T) (c *Conn, client net.Conn) {
	t.Helper()
	server, client := net.Pipe()
	t.Cleanup(func() {
		_ = server.Close()
		_ = client.Close()
	})
	require.NoError(t, client.SetDeadline(time.Now().Add(5*time.Second)))
	return &Conn{socket: server, writeTimeout: time.Second, limit: maxFrame}, client
}

// message is a masked websocket message.
func message(opcode byte, payload []byte) []byte {
	out := []byte{finalBit | opcode}
	switch {
	case len(payload) <= 125:
		out = append(out, maskBit|byte(len(payload)))
	case len(payload) < 1<<16:
		out = binary.BigEndian.AppendUint16(append(out, maskBit|126), uint16(len(payload)))
	default:
		out = binary.BigEndian.AppendUint64(append(out, maskBit|127), uint64(len(payload)))
	}
	mask := []byte{1, 2, 3, 4}
	out = append(out, mask...)
	for i, b := range payload {
		out = append(out, b^mask[i&3])
	}
	return out
}

func frame(content string) []byte {
	n := len(content)
	return append([]byte{byte(n >> 16), byte(n >> 8), byte(n)}, content...)
}

func play(client net.Conn, data ...[]byte) {
	go func() { _, _ = client.Write(bytes.Join(data, nil)) }()
}

func TestFramesAreReadHoweverTheyArePacked(t *testing.T) {
	t.Parallel()
	both := append(frame("first"), frame("second")...)
	for name, data := range map[string][][]byte{
		"one each":           {message(opBinary, frame("first")), message(opBinary, frame("second"))},
		"two in one":         {message(opBinary, both)},
		"split":              {message(opBinary, both[:2]), message(opContinuation, both[2:9]), message(opBinary, both[9:])},
		"empty ones between": {message(opBinary, nil), message(opBinary, both[:4]), message(opBinary, nil), message(opBinary, both[4:])},
		"pong between":       {message(opBinary, both[:4]), message(opPong, []byte("x")), message(opBinary, both[4:])},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, client := over(t)
			play(client, data...)
			for _, want := range []string{"first", "second"} {
				got, err := c.ReadFrame()
				require.NoError(t, err)
				require.Equal(t, want, string(got))
			}
		})
	}
}

func TestLongFrames(t *testing.T) {
	t.Parallel()
	for _, size := range []int{0, 125, 126, 1 << 16, 300_000} {
		c, client := over(t)
		content := strings.Repeat("x", size)
		play(client, message(opBinary, frame(content)))
		got, err := c.ReadFrame()
		require.NoError(t, err)
		require.Equal(t, content, string(got), size)
	}
}

func TestPrologue(t *testing.T) {
	t.Parallel()
	routing := append([]byte{routingMagic, 0, 1, 0, 0, 5}, "route"...)
	for name, test := range map[string]struct {
		data []byte
		want error
	}{
		"plain":               {Prologue, nil},
		"after routing":       {append(append([]byte(nil), routing...), Prologue...), nil},
		"other version":       {[]byte{'W', 'A', 5, 3}, ErrPrologue},
		"something else":      {[]byte("GET / HTTP"), ErrPrologue},
		"too much to route":   {[]byte{routingMagic, 0, 1, 0xff, 0, 0}, ErrTooLarge},
		"routing and no more": {append(append([]byte(nil), routing...), "WHAT"...), ErrPrologue},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, client := over(t)
			play(client, message(opBinary, test.data))
			got, err := c.ReadPrologue()
			require.ErrorIs(t, err, test.want)
			if test.want == nil {
				require.Equal(t, Prologue, got)
			}
		})
	}
}

func TestLimit(t *testing.T) {
	t.Parallel()
	c, client := over(t)
	c.Limit(10)
	play(client, message(opBinary, frame("0123456789")), message(opBinary, frame("0123456789a")))
	_, err := c.ReadFrame()
	require.NoError(t, err)
	_, err = c.ReadFrame()
	require.ErrorIs(t, err, ErrTooLarge)
}

func TestProtocolErrors(t *testing.T) {
	t.Parallel()
	for name, data := range map[string][]byte{
		"unmasked":     {0x82, 1, 'x'},
		"text":         message(1, []byte("x")),
		"reserved":     message(7, []byte("x")),
		"long control": message(opPing, make([]byte, 200)),
	} {
		c, client := over(t)
		play(client, data)
		_, err := c.ReadFrame()
		require.ErrorIs(t, err, ErrProtocol, name)
	}
	c, client := over(t)
	play(client, message(opClose, nil))
	_, err := c.ReadFrame()
	require.ErrorIs(t, err, io.EOF)
}

func TestPingIsAnswered(t *testing.T) {
	t.Parallel()
	c, client := over(t)
	play(client, message(opPing, []byte("hello")), message(opBinary, frame("on")))
	read := make(chan error, 1)
	go func() {
		_, err := c.ReadFrame()
		read <- err
	}()
	answer := make([]byte, 7)
	_, err := io.ReadFull(client, answer)
	require.NoError(t, err)
	require.Equal(t, append([]byte{finalBit | opPong, 5}, "hello"...), answer)
	require.NoError(t, <-read)
}

func TestEachFrameIsAWholeMessage(t *testing.T) {
	t.Parallel()
	c, client := over(t)
	add := func(dst []byte, text string) []byte {
		return AppendFrame(dst, len(text), func(dst []byte) []byte { return append(dst, text...) })
	}
	long := strings.Repeat("y", 70_000)
	go func() { _ = c.Send(add(add(add(nil, "a"), strings.Repeat("x", 200)), long)) }()
	for _, want := range []string{"a", strings.Repeat("x", 200), long} {
		header := make([]byte, 2)
		_, err := io.ReadFull(client, header)
		require.NoError(t, err)
		require.Equal(t, byte(0x82), header[0])
		length := int(header[1])
		switch length {
		case 126:
			size := make([]byte, 2)
			_, err = io.ReadFull(client, size)
			length = int(binary.BigEndian.Uint16(size))
		case 127:
			size := make([]byte, 8)
			_, err = io.ReadFull(client, size)
			length = int(binary.BigEndian.Uint64(size))
		}
		require.NoError(t, err)
		require.Equal(t, len(want)+3, length)
		payload := make([]byte, length)
		_, err = io.ReadFull(client, payload)
		require.NoError(t, err)
		require.Equal(t, frame(want), payload)
	}
}

func TestSlowReaderIsGivenUp(t *testing.T) {
	t.Parallel()
	c, _ := over(t)
	c.writeTimeout = 20 * time.Millisecond
	var timeout net.Error
	require.ErrorAs(t, c.WriteFrame([]byte("nobody reads")), &timeout)
	require.True(t, timeout.Timeout())
}

func TestUpgrade(t *testing.T) {
	t.Parallel()
	got := make(chan string, 1)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := Upgrade(w, r, time.Second)
		if err != nil {
			return
		}
		defer c.Close()
		content, err := c.ReadFrame()
		if err == nil {
			got <- string(content)
		}
	}))
	t.Cleanup(server.Close)

	response, err := http.Get(server.URL) //nolint:noctx // A test.
	require.NoError(t, err)
	require.NoError(t, response.Body.Close())
	require.Equal(t, http.StatusUpgradeRequired, response.StatusCode)

	client, err := net.Dial("tcp", server.Listener.Addr().String()) //nolint:noctx // A test.
	require.NoError(t, err)
	t.Cleanup(func() { _ = client.Close() })
	// The first frame comes along with the request, before the answer.
	_, err = client.Write(append([]byte("GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"), message(opBinary, frame("eager"))...))
	require.NoError(t, err)
	require.Equal(t, "eager", <-got)
	answer, err := io.ReadAll(client)
	require.NoError(t, err)
	require.Contains(t, string(answer), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", "the example of the standard")
}

// replay is a socket that plays bytes and takes what is written.
type replay struct {
	net.Conn

	*bytes.Reader
}

func (r replay) Read(p []byte) (int, error)       { return r.Reader.Read(p) }
func (r replay) Write(p []byte) (int, error)      { return len(p), nil }
func (r replay) SetWriteDeadline(time.Time) error { return nil }

func FuzzRead(f *testing.F) {
	f.Add(message(opBinary, append(append([]byte(nil), Prologue...), frame("hello")...)))
	f.Add(message(opPing, []byte("x")))
	f.Add([]byte{0x82, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, data []byte) {
		c := &Conn{socket: replay{Reader: bytes.NewReader(data)}, limit: 1 << 20}
		if _, err := c.ReadPrologue(); err != nil {
			return
		}
		for {
			content, err := c.ReadFrame()
			if len(content) > len(data) && err == nil {
				t.Fatal("more than was sent")
			}
			if err != nil {
				if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, ErrProtocol) || errors.Is(err, ErrTooLarge) {
					return
				}
				t.Fatal(err)
			}
		}
	})
}
