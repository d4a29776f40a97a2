package wasim

import (
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"wafleet/infra/wasim/internal/fault"
	"wafleet/infra/wasim/internal/journal"
	"wafleet/infra/wasim/internal/mailbox"
	"wafleet/infra/wasim/internal/noise"
	"wafleet/infra/wasim/internal/roster"
	"wafleet/infra/wasim/internal/stanza"
	"wafleet/infra/wasim/internal/wire"
)

// handshakeFrame bounds the frames before the login.
const handshakeFrame = 64 << 10

// conn is a connection of a client. One goroutine reads it and handles what it reads; another one writes, but only while
// there is something to write, so that an idle connection costs one goroutine and no buffers.
type conn struct {
	server *Server
	id     uint64
	socket *wire.Conn
	since  time.Time

	// in belongs to the reader, out to the writer.
	in, out *noise.Cipher

	deaf atomic.Bool
	done chan struct{} // closed when the connection is given up

	mu sync.Mutex // guards the fields below
	// device is nil until the login, and for connections that are there to be paired; registration is nil for the
	// others. Both are set once by the reader, which may read them without the lock, as the writer may.
	device       *roster.Device
	registration *registration

	queue   []outgoing
	queued  int  // bytes in queue
	writing bool // a writer is running
	mail    bool // the mailbox may have something
	last    bool // nothing more is accepted; close after the queue is written, and the grace
	grace   time.Duration
	goodbye *time.Timer // closes after the grace
	ended   bool        // the connection is over for everybody but the socket
	opened  bool        // the journal has its beginning
	ready   bool        // out is set
	gone    bool        // the reader has ended
}

// outgoing is an encoded stanza with its row of the journal; a stanza without a row has been noted already.
type outgoing struct {
	frame []byte
	row   *journal.Row
}

var _ mailbox.Outlet = (*conn)(nil)

// serve is the life of a connection.
func (s *Server) serve(socket *wire.Conn) {
	c := &conn{server: s, id: s.lastConn.Add(1), socket: socket, since: time.Now(), done: make(chan struct{})}
	s.conns.Store(c.id, c)
	defer s.conns.Delete(c.id)
	s.stats.total.Add(1)
	s.stats.open.Add(1)
	reason := "closed by client"
	if s.ctx.Err() != nil {
		reason = "server stopped"
	} else if err := c.run(); err != nil {
		reason = err.Error()
	}
	c.mu.Lock()
	c.gone = true
	if c.goodbye != nil {
		c.goodbye.Stop()
	}
	c.mu.Unlock()
	c.close(reason)
}

// run shakes hands and handles stanzas until the connection ends. The error tells why.
func (c *conn) run() (err error) {
	defer func() {
		if cause := recover(); cause != nil { // A mistake of ours costs this connection and no other.
			c.server.log.ErrorContext(c.server.ctx, "stanza handler panicked",
				"connection", c.id, "cause", fmt.Sprint(cause), "stack", string(debug.Stack()))
			err = errors.New("internal error")
		}
	}()
	if err := c.begin(); err != nil {
		return err
	}
	for {
		if err := c.socket.SetReadDeadline(time.Now().Add(c.server.options.IdleTimeout)); err != nil {
			return err
		}
		if c.over() { // After the deadline is set, so that it cannot undo the writer's.
			return c.drain()
		}
		node, err := c.read()
		if err != nil {
			return err
		}
		if c.over() {
			return c.drain()
		}
		c.server.journal.Add(c.row(journal.In, *node))
		if !c.deaf.Load() {
			c.server.handle(c, *node)
		}
	}
}

// read returns the next stanza.
func (c *conn) read() (*stanza.Node, error) {
	frame, err := c.socket.ReadFrame()
	if err != nil {
		return nil, err
	}
	c.server.stats.frames.Add(1)
	plain, err := c.in.Open(frame)
	if err != nil {
		return nil, err
	}
	return stanza.Decode(plain)
}

// drain reads what a client still sends to a connection that is over, so that closing the socket does not destroy the
// last frames on their way to it.
func (c *conn) drain() error {
	if err := c.socket.SetReadDeadline(time.Now().Add(restartGrace + lingerTime)); err != nil {
		return err
	}
	for {
		if _, err := c.socket.ReadFrame(); err != nil {
			return err
		}
	}
}

// target is the connection in the eyes of faults.
func (c *conn) target() fault.Target {
	if c.device == nil {
		return fault.Target{}
	}
	return fault.Target{Phone: c.device.Account.Number, Device: c.device.ID}
}

func (c *conn) name() string {
	if c.device == nil {
		return ""
	}
	return c.device.Name()
}

// loggedIn is the device of the connection, for others than its own goroutines; nil before the login and when the
// connection is over.
func (c *conn) loggedIn() *roster.Device {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended {
		return nil
	}
	return c.device
}

// identify tells the connection whose it is.
func (c *conn) identify(device *roster.Device) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.device = device
	if !c.ended {
		c.server.stats.account(device.Account.Number).open.Add(1)
	}
}

// over reports whether nothing that the client says counts any more.
func (c *conn) over() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.ended
}

// open notes the beginning in the journal, once it is known whose connection it is.
func (c *conn) open() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.openLocked()
}

func (c *conn) openLocked() {
	if !c.opened {
		c.opened = true
		c.server.journal.Add(&journal.Row{Connection: c.id, Device: c.name(), Tag: journal.TagOpen})
	}
}

// end gives the connection up: it leaves the mailbox and the journal. The socket may still have to be written to.
func (c *conn) end(reason string) {
	if c.ended {
		return
	}
	c.ended = true
	close(c.done)
	c.openLocked()
	c.server.journal.Add(&journal.Row{Connection: c.id, Device: c.name(), Tag: journal.TagClose, Error: reason})
	c.server.stats.open.Add(-1)
	if c.device != nil {
		c.server.stats.account(c.device.Account.Number).open.Add(-1)
	}
}

// release takes the connection out of everything that leads to it.
func (c *conn) release() {
	c.mu.Lock()
	device, registration := c.device, c.registration
	c.mu.Unlock()
	if device != nil {
		device.Box.Detach(c)
	}
	if registration != nil {
		registration.release()
	}
}

// close ends the connection at once.
func (c *conn) close(reason string) {
	c.mu.Lock()
	c.end(reason)
	c.queue = nil
	c.mu.Unlock()
	c.release()
	c.socket.Close()
}

// reset ends the connection as a failing network does.
func (c *conn) reset() {
	c.mu.Lock()
	c.end("reset")
	c.queue = nil
	c.mu.Unlock()
	c.release()
	c.socket.Reset()
}

// How long a client may take to act on the last stanza before the server closes. Clients that are told to connect again
// close by themselves; all others wait for the server, but drop what they have not handled yet once it closes.
const (
	closeGrace   = time.Second
	restartGrace = 5 * time.Second
)

// finish sends last stanzas and then closes, after some grace. For everybody but the socket the connection is over at
// once.
func (c *conn) finish(reason string, grace time.Duration, nodes ...stanza.Node) {
	c.mu.Lock()
	if !c.ended {
		c.openLocked()
		for _, node := range nodes {
			frame, err := stanza.Encode(node)
			if err != nil {
				continue
			}
			c.server.journal.Add(c.row(journal.Out, node))
			c.queue = append(c.queue, outgoing{frame: frame})
		}
		c.end(reason)
		c.last, c.grace = true, grace
		c.startWriter()
	}
	c.mu.Unlock()
	c.release()
}

// row is a stanza in the journal.
func (c *conn) row(direction journal.Direction, node stanza.Node) *journal.Row {
	row := &journal.Row{
		Connection: c.id, Device: c.name(), Direction: direction, Tag: node.Tag, ID: stanza.Str(node, "id"),
		Type: stanza.Str(node, "type"), From: stanza.Str(node, "from"), To: stanza.Str(node, "to"),
		Class: stanza.Str(node, "class"), XMLNS: stanza.Str(node, "xmlns"),
	}
	for _, key := range []string{"error", "code", "reason"} {
		if row.Error == "" {
			row.Error = stanza.Str(node, key)
		}
	}
	return row
}
