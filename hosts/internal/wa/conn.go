package wa

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"go.mau.fi/whatsmeow"
	waBinary "go.mau.fi/whatsmeow/binary"
	"go.mau.fi/whatsmeow/proto/waE2E"
	"go.mau.fi/whatsmeow/store"
	"go.mau.fi/whatsmeow/types"
	"google.golang.org/protobuf/proto"

	"wafleet/hosts/internal/actor"
	"wafleet/hosts/internal/devicestore"
)

const (
	// ackTimeout bounds the wait for the server's ack, unless a test shortens it. whatsmeow holds the client's send lock
	// meanwhile, and
	// its own default of 75 s would hold up everything behind one lost ack.
	ackTimeout = 15 * time.Second
	// admitTimeout bounds the question whether a number may be linked: a phone is waiting.
	admitTimeout = 5 * time.Second
	// handlerGrace is how long Close lets handlers finish what they are writing.
	handlerGrace = 3 * time.Second
	// farewell is how long Close waits for the server to say goodbye as well. Until then nobody else may log in.
	farewell = 500 * time.Millisecond
)

// Conn is a company's whatsmeow client.
type Conn struct {
	client     *whatsmeow.Client
	link       link
	handlers   actor.Handlers
	destroy    func(ctx context.Context, jid string) error // destroys the keys of a device
	logger     *slog.Logger
	ackTimeout time.Duration

	mu       sync.Mutex
	life     context.Context         //nolint:containedctx // the socket's: whatsmeow's handlers are given none of ours
	said     string                  // the version that the latest connect introduced itself as
	rejected string                  // why the latest pairing was refused by us
	loggedIn bool                    // on this socket; whatsmeow's own flag outlives a drop
	abort    context.CancelCauseFunc // ends the send under way; nil between sends
	handling int                     // durable handlers under way
	idle     chan struct{}           // closed when there are none any more; nil while nobody waits
}

var _ actor.Conn = (*Conn)(nil)

func newConn(device *store.Device, ways *ways, gate Gate, h actor.Handlers, logger *slog.Logger) *Conn {
	c := &Conn{link: link{gate: gate}, handlers: h, logger: logger, ackTimeout: ackTimeout, life: context.Background()}
	client := whatsmeow.NewClient(device, bridge{logger: logger, onWarn: c.watch})
	trim(client)
	client.SetWebsocketHTTPClient(ways.sockets)
	client.SetPreLoginHTTPClient(ways.sockets)
	client.SetMediaHTTPClient(ways.media)
	client.EnableAutoReconnect = false
	client.DisableLoginAutoReconnect = true
	client.SynchronousAck = true
	client.EnableDecryptedEventBuffer = true
	client.ManualHistorySyncDownload = true
	c.client = client
	client.GetMessageForRetry = c.messageForRetry
	client.PrePairCallback = c.admit
	client.AddEventHandlerWithSuccessStatus(c.handle)
	return c
}

// Connect dials and shakes hands.
func (c *Conn) Connect(ctx context.Context) error {
	c.mu.Lock()
	c.life, c.loggedIn, c.rejected = ctx, false, ""
	c.mu.Unlock()
	bePatient(c.client.Store)
	if err := c.client.ConnectContext(c.link.context(ctx)); err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	return nil
}

// Close ends the socket and waits a little for handlers that are writing.
func (c *Conn) Close() {
	impatient := time.AfterFunc(farewell, c.link.cut)
	c.client.Disconnect()
	impatient.Stop()
	select {
	case <-c.handled():
	case <-time.After(handlerGrace):
	}
}

// begin and end enclose a durable handler.
func (c *Conn) begin() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.handling++
}

func (c *Conn) end() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.handling--; c.handling == 0 && c.idle != nil {
		close(c.idle)
		c.idle = nil
	}
}

// handled is closed as soon as no durable handler is under way.
func (c *Conn) handled() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.handling == 0 {
		idle := make(chan struct{})
		close(idle)
		return idle
	}
	if c.idle == nil {
		c.idle = make(chan struct{})
	}
	return c.idle
}

// RequestPairingCode asks for a code to be typed on the phone. WhatsApp checks the client's name: it has to
// look like a browser on an operating system (whatsmeow pair-code.go).
func (c *Conn) RequestPairingCode(ctx context.Context, phone string) (string, error) {
	code, err := c.client.PairPhone(ctx, phone, true, whatsmeow.PairClientChrome, "Chrome (Linux)")
	if err != nil {
		return "", fmt.Errorf("request pairing code: %w", err)
	}
	return code, nil
}

// admit is asked by whatsmeow before a pairing is confirmed.
func (c *Conn) admit(jid types.JID, _, _ string) bool {
	ctx, cancel := context.WithTimeout(c.context(), admitTimeout)
	defer cancel()
	reason := c.handlers.Admit(ctx, jid.User)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.rejected = reason
	return reason == ""
}

// refusal is why we refused the latest pairing, or empty.
func (c *Conn) refusal() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.rejected
}

// Ping asks the server for a sign of life, as whatsmeow does itself every 20 to 30 s.
func (c *Conn) Ping(ctx context.Context) error {
	_, err := c.client.DangerousInternals().SendIQ(ctx, whatsmeow.DangerousInfoQuery{ //nolint:staticcheck // the name warns; there is no other ping
		Namespace: "w:p", Type: "get", To: types.ServerJID,
	})
	if err != nil {
		return fmt.Errorf("ping: %w", err)
	}
	return nil
}

// Send puts a message on the wire and waits for the ack.
func (c *Conn) Send(ctx context.Context, m actor.Outgoing) error {
	var msg waE2E.Message
	if err := proto.Unmarshal(m.Wire, &msg); err != nil {
		return &actor.SendError{Outcome: actor.NotWritten, Reason: "unreadable", Final: true, Err: err}
	}
	if !c.online() {
		return classify(whatsmeow.ErrNotLoggedIn, nil, beforeFrame)
	}
	ctx, storeError := devicestore.WithAbort(ctx)
	ctx, release := c.abortable(ctx)
	at, err := c.send(ctx, m.ID, jidOf(m.Phone), &msg)
	if errors.Is(context.Cause(ctx), errPreKeys) {
		at, err = beforeFrame, errPreKeys
	}
	release()
	return classify(err, storeError(), at)
}

// abortable makes the context one that watch can end. Sends of a connection come one after the other.
func (c *Conn) abortable(ctx context.Context) (aborted context.Context, release func()) {
	ctx, abort := context.WithCancelCause(ctx)
	c.mu.Lock()
	c.abort = abort
	c.mu.Unlock()
	return ctx, func() {
		c.mu.Lock()
		c.abort = nil
		c.mu.Unlock()
		abort(nil)
	}
}

// warnPreKeys is what whatsmeow warns of when no key bundle could be had for devices that it has no session
// with (prekeys.go, fetchPreKeysNoError).
const warnPreKeys = "Failed to fetch prekeys for %v with no existing session: %v"

// watch ends a send that would go out without some of its recipient's devices, or without any: when the
// query for their keys fails, as it does when the socket drops, whatsmeow warns, skips them, and reports
// success once the rest is acked. It looks at the context right after the warning (send.go,
// encryptMessageForDevices), so the warning is where the send can be stopped.
func (c *Conn) watch(template string) {
	if template != warnPreKeys {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.abort != nil {
		c.abort(errPreKeys)
	}
}

// send returns with an error how far the message had come.
func (c *Conn) send(ctx context.Context, id string, to types.JID, msg *waE2E.Message) (stage, error) {
	if err := c.lookUp(ctx, to); err != nil {
		return beforeFrame, err
	}
	_, err := c.client.SendMessage(ctx, to, msg, whatsmeow.SendRequestExtra{ID: id, Timeout: c.ackTimeout})
	return aroundFrame, err //nolint:wrapcheck // classified by the caller
}

// lookUp asks for whom a message is to be encrypted. The answer is cached by whatsmeow and needed anyway; here its absence
// tells that nothing was written.
func (c *Conn) lookUp(ctx context.Context, to types.JID) error {
	if to.Server == types.GroupServer {
		if _, err := c.client.DangerousInternals().GetCachedGroupData(ctx, to); err != nil { //nolint:staticcheck // the name warns; GetGroupInfo does not fill the cache that SendMessage reads
			return fmt.Errorf("ask for group: %w", err)
		}
		return nil
	}
	devices, err := c.client.GetUserDevices(ctx, []types.JID{to})
	if err != nil {
		return fmt.Errorf("ask for devices: %w", err)
	}
	if len(devices) == 0 { // the number is not on WhatsApp
		return errNoDevices
	}
	return nil
}

// Logout unlinks the device on the phone and destroys its keys. It does not use whatsmeow's own Logout, which deletes
// the device at the same time as the handler of the stream error that WhatsApp answers with.
func (c *Conn) Logout(ctx context.Context) error {
	own := c.client.Store.GetJID()
	if own.IsEmpty() {
		return fmt.Errorf("log out: %w", whatsmeow.ErrNotLoggedIn)
	}
	_, err := c.client.DangerousInternals().SendIQ(ctx, whatsmeow.DangerousInfoQuery{ //nolint:staticcheck // the name warns; there is no other way to unlink without deleting the keys twice
		Namespace: "md", Type: "set", To: types.ServerJID,
		Content: []waBinary.Node{{
			Tag: "remove-companion-device", Attrs: waBinary.Attrs{"jid": own, "reason": "user_initiated"},
		}},
	})
	if err != nil {
		return fmt.Errorf("log out: %w", err)
	}
	c.client.Disconnect()
	if err := c.destroy(ctx, own.String()); err != nil {
		return fmt.Errorf("log out: %w", err)
	}
	return nil
}

// messageForRetry answers a device that could not decrypt a message. whatsmeow keeps the last 256 messages
// in memory; the outbox has them for two weeks, over restarts.
func (c *Conn) messageForRetry(_, _ types.JID, id types.MessageID) *waE2E.Message {
	wire := c.handlers.Wire(c.context(), id)
	if wire == nil {
		return nil
	}
	var msg waE2E.Message
	if err := proto.Unmarshal(wire, &msg); err != nil {
		c.logger.ErrorContext(c.context(), "stored message is unreadable", "message_id", id, "error", err)
		return nil
	}
	return &msg
}

// online says that this socket has logged in. What is sent before gets no answer.
func (c *Conn) online() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.loggedIn
}

func (c *Conn) context() context.Context {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.life
}
