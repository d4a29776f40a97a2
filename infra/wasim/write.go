package wasim

import (
	"sync"
	"time"

	"wafleet/infra/wasim/internal/fault"
	"wafleet/infra/wasim/internal/journal"
	"wafleet/infra/wasim/internal/stanza"
	"wafleet/infra/wasim/internal/wire"
)

const (
	// maxQueue is how many bytes of answers wait for a client before it is given up. Stanzas for its mailbox do not
	// count: they wait there.
	maxQueue = 8 << 20
	// mailBatch is how many stanzas of the mailbox are written at once.
	mailBatch = 64
	// lingerTime is how long a client may take to close after the server has.
	lingerTime = 2 * time.Second
)

// buffers are what writers encrypt into.
var buffers = sync.Pool{New: func() any { return new([]byte) }}

// send queues a stanza.
func (c *conn) send(node stanza.Node) {
	frame, err := stanza.Encode(node)
	if err != nil {
		c.server.log.ErrorContext(c.server.ctx, "stanza lost", "tag", node.Tag, "error", err)
		return
	}
	c.enqueue(outgoing{frame: frame, row: c.row(journal.Out, node)})
}

func (c *conn) enqueue(out outgoing) {
	c.mu.Lock()
	if c.ended || c.deaf.Load() {
		c.mu.Unlock()
		return
	}
	c.queue = append(c.queue, out)
	c.queued += len(out.frame)
	full := c.queued > maxQueue
	c.startWriter()
	c.mu.Unlock()
	if full {
		c.close("client reads too slowly")
	}
}

// Wake tells the connection that its mailbox has something.
func (c *conn) Wake() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.mail = true
	if !c.ended && !c.deaf.Load() {
		c.startWriter()
	}
}

// startWriter makes sure that a writer runs; the lock is held.
func (c *conn) startWriter() {
	if c.writing || c.gone || !c.ready {
		return
	}
	c.writing = c.server.tasks.start(c.write)
}

// write writes until there is nothing left.
func (c *conn) write() {
	for {
		batch, state := c.next()
		switch state {
		case writerIdle:
			return
		case writerDone:
			c.sayGoodbye()
			return
		case writerBusy:
			if err := c.writeBatch(batch); err != nil {
				c.close(err.Error())
			}
		}
	}
}

// sayGoodbye closes after the grace that the client has.
func (c *conn) sayGoodbye() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.gone {
		return
	}
	c.goodbye = time.AfterFunc(c.grace, func() {
		c.server.tasks.start(func() {
			c.socket.Finish()
			_ = c.socket.SetReadDeadline(time.Now().Add(lingerTime))
		})
	})
}

type writerState int

const (
	writerBusy writerState = iota
	writerIdle
	writerDone
)

// next returns what is to be written next: answers first, then mail.
func (c *conn) next() ([]outgoing, writerState) {
	for {
		c.mu.Lock()
		if len(c.queue) > 0 {
			batch := c.queue
			c.queue, c.queued = nil, 0
			c.mu.Unlock()
			return batch, writerBusy
		}
		if c.last {
			c.mu.Unlock()
			return nil, writerDone
		}
		if !c.mail || c.device == nil || c.ended || c.deaf.Load() {
			c.writing = false
			c.mu.Unlock()
			return nil, writerIdle
		}
		c.mail = false
		c.mu.Unlock()
		if batch := c.fetchMail(); len(batch) > 0 {
			c.mu.Lock()
			c.mail = true
			c.mu.Unlock()
			return batch, writerBusy
		}
	}
}

func (c *conn) fetchMail() []outgoing {
	deliveries, err := c.device.Box.Next(c, mailBatch)
	if err != nil {
		c.server.log.ErrorContext(c.server.ctx, "mail is damaged", "device", c.id, "error", err)
	}
	batch := make([]outgoing, len(deliveries))
	for i, delivery := range deliveries {
		batch[i] = outgoing{frame: delivery.Frame, row: &journal.Row{
			Connection: c.id, Device: c.name(), Direction: journal.Out, Tag: delivery.Key.Class, ID: delivery.Key.ID,
			Type: delivery.Key.Type, From: delivery.Key.From, Offline: delivery.Offline,
		}}
	}
	return batch
}

// writeBatch encrypts stanzas and writes them together, each as a websocket message of its own.
func (c *conn) writeBatch(batch []outgoing) error {
	if slow, hit := c.server.faults.Hit(fault.Slow, c.target()); hit {
		c.pause(slow.Delay())
	}
	buffer := buffers.Get().(*[]byte) //nolint:forcetypeassert // Nothing else is in the pool.
	defer buffers.Put(buffer)
	frames := (*buffer)[:0]
	for _, out := range batch {
		if out.row != nil {
			c.server.journal.Add(out.row)
		}
		frames = wire.AppendFrame(frames, len(out.frame)+c.out.Overhead(), func(dst []byte) []byte {
			return c.out.Seal(dst, out.frame)
		})
	}
	c.server.stats.frames.Add(uint64(len(batch)))
	if cap(frames) <= maxPooled {
		*buffer = frames
	}
	return c.socket.Send(frames)
}

// maxPooled keeps the buffer of one huge batch from living on.
const maxPooled = 256 << 10

// pause waits, unless the connection ends.
func (c *conn) pause(delay time.Duration) {
	timer := time.NewTimer(delay)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-c.done:
	}
}
