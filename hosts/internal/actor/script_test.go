package actor_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"wafleet/hosts/internal/actor"
	"wafleet/shared/message"
	"wafleet/shared/rpc"
)

// await is how long a test waits for what must happen.
const await = 10 * time.Second

// script stands in for WhatsApp behind the actor's port: a test decides what connections do and say. The
// real thing, whatsmeow against the simulator, is tested in package wa and in hosts/app.
type script struct {
	// ConnectErr is what the next dials return; nil lets them succeed.
	ConnectErr func() error
	// SendErr decides how a send ends; nil acks everything.
	SendErr func(m actor.Outgoing) error
	// OnDial and OnSend are the same by company; nil lets them succeed.
	OnDial func(companyID string) error
	OnSend func(companyID string, m actor.Outgoing) error
	// OnUpload decides how an upload ends; nil takes everything.
	OnUpload func(file []byte) error
	// OnDownload decides how a download ends; nil brings everything.
	OnDownload func(f actor.File) error
	// OnRestore is told whose keys are restored.
	OnRestore func(companyID string)
	// OpenErr fails Open.
	OpenErr error

	// Deaf leaves pings unanswered.
	Deaf bool

	// Obliging makes every connection pair or log in by itself, as with a user who is quick.
	Obliging bool

	mu        sync.Mutex
	restored  []string // companies
	destroyed []string // jids
	version   string   // in use
	newest    string   // that WhatsApp tells; empty: it does not
	unlinked  int      // farewells to the phone
	uploads   int      // that succeeded
	shown     []any    // in chats
	fetched   int      // how often it was asked
	opened    []string // jids
	conns     chan *conn
	asked     chan actor.File // what phones were asked to upload again
	sent      []actor.Outgoing
	frames    chan actor.Outgoing
	dials     map[string]int   // attempts to connect, by company
	sockets   map[string]int   // open now, by company
	broken    []string         // companies that had two sockets at a time
	latest    map[string]*conn // by company
}

func newScript() *script {
	return &script{
		conns: make(chan *conn, 4096), frames: make(chan actor.Outgoing, 4096), asked: make(chan actor.File, 64),
		dials: make(map[string]int), sockets: make(map[string]int), latest: make(map[string]*conn),
	}
}

func (s *script) Open(_ context.Context, owner actor.Owner, h actor.Handlers) (actor.Conn, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.OpenErr != nil {
		return nil, s.OpenErr
	}
	s.opened = append(s.opened, owner.JID)
	c := &conn{Handlers: h, script: s, companyID: owner.CompanyID, jid: owner.JID}
	c.Signal = func(signal actor.Signal) {
		if signal.Then == actor.Drain {
			c.logIn()
		}
		h.Signal(signal)
	}
	s.latest[owner.CompanyID] = c
	return c, nil
}

func (s *script) Restore(_ context.Context, owner actor.Owner) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.restored = append(s.restored, owner.CompanyID)
	if s.OnRestore != nil {
		s.OnRestore(owner.CompanyID)
	}
	return nil
}

func (s *script) Destroy(_ context.Context, owner actor.Owner) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.destroyed = append(s.destroyed, owner.JID)
	return nil
}

// Destroyed lists the devices whose keys were destroyed.
func (s *script) Destroyed() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.destroyed)
}

func (s *script) Version() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.version
}

func (s *script) FetchVersion(context.Context) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fetched++
	if s.newest == "" {
		return "", errOffline
	}
	return s.newest, nil
}

func (s *script) UseVersion(version string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.version = version
	return nil
}

func (s *script) Build(c message.Content, upload *message.Upload) ([]byte, error) {
	if upload != nil {
		return []byte("wire:" + c.Text + ":" + upload.DirectPath), nil
	}
	return []byte("wire:" + c.Text), nil
}

// AwaitDial returns the connection of the next successful dial.
func (s *script) AwaitDial(t *testing.T) *conn {
	t.Helper()
	select {
	case c := <-s.conns:
		return c
	case <-time.After(await):
		require.FailNow(t, "nothing was dialled")
		return nil
	}
}

// AwaitFrames returns the next n messages that were put on the wire.
func (s *script) AwaitFrames(t *testing.T, n int) []actor.Outgoing {
	t.Helper()
	frames := make([]actor.Outgoing, 0, n)
	deadline := time.After(await)
	for len(frames) < n {
		select {
		case m := <-s.frames:
			frames = append(frames, m)
		case <-deadline:
			require.FailNow(t, "frames are missing", "have %d of %d", len(frames), n)
		}
	}
	return frames
}

// Dials is how often a company's connection was dialled.
func (s *script) Dials(companyID string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.dials[companyID]
}

// Sockets is how many sockets are open in all.
func (s *script) Sockets() (open int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, n := range s.sockets {
		open += n
	}
	return open
}

// Broken lists the companies that had two sockets at a time.
func (s *script) Broken() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.broken)
}

func (s *script) set(change func(s *script)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(s)
}

// conn is one connection; the embedded handlers let a test speak for WhatsApp.
type conn struct {
	actor.Handlers
	script    *script
	companyID string

	mu       sync.Mutex
	jid      string
	open     bool
	loggedIn bool
	life     int // which socket it is
}

var errOffline = errors.New("offline")

func (c *conn) Connect(ctx context.Context) error {
	c.script.mu.Lock()
	c.script.dials[c.companyID]++
	connectErr, onDial, obliging := c.script.ConnectErr, c.script.OnDial, c.script.Obliging
	c.script.mu.Unlock()
	if onDial != nil {
		if err := onDial(c.companyID); err != nil {
			return err
		}
	}
	if connectErr != nil {
		if err := connectErr(); err != nil {
			return err
		}
	}
	jid, ok := c.begin(ctx)
	if !ok {
		return ctx.Err()
	}
	c.script.conns <- c
	if obliging {
		c.oblige(ctx, jid)
	}
	return nil
}

// begin opens a socket that lives as long as the context.
func (c *conn) begin(ctx context.Context) (jid string, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if ctx.Err() != nil {
		return "", false
	}
	if !c.open {
		c.count(+1)
	}
	c.open, c.loggedIn = true, false
	c.life++
	life := c.life
	context.AfterFunc(ctx, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.life == life {
			c.end()
		}
	})
	return c.jid, true
}

// oblige does what a phone and its user do: a known device is let in, a new one is linked.
func (c *conn) oblige(ctx context.Context, jid string) {
	if jid != "" {
		s := connected()
		s.JID, s.LID = jid, ""
		c.Signal(s)
		c.Signal(actor.Signal{Then: actor.Settle})
		return
	}
	c.Signal(actor.Signal{Then: actor.ShowQR, Codes: []string{"qr"}})
	jid = jidOf(c.companyID)
	if c.Bind(ctx, jid, "") != nil {
		return
	}
	c.mu.Lock()
	c.jid = jid
	c.mu.Unlock()
	c.Signal(actor.Signal{JID: jid})
	c.Signal(actor.Signal{Then: actor.Redial})
}

// jidOf is a device of a company's own number.
func jidOf(companyID string) string {
	h := fnv.New32a()
	_, _ = h.Write([]byte(companyID))
	return fmt.Sprintf("7%010d:3@s.whatsapp.net", h.Sum32())
}

func (c *conn) Close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.end()
}

// end needs mu.
func (c *conn) end() {
	if c.open {
		c.count(-1)
	}
	c.open, c.loggedIn = false, false
}

func (c *conn) isOpen() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.open
}

func (c *conn) logIn() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.loggedIn = c.open
}

// count needs mu.
func (c *conn) count(by int) {
	c.script.mu.Lock()
	defer c.script.mu.Unlock()
	if c.script.sockets[c.companyID] += by; c.script.sockets[c.companyID] > 1 {
		c.script.broken = append(c.script.broken, c.companyID)
	}
}

func (c *conn) RequestPairingCode(_ context.Context, phone string) (string, error) {
	if phone == "70000000000" {
		return "", errors.New("refused")
	}
	return "ABCD-EFGH", nil
}

func (c *conn) Ping(ctx context.Context) error {
	c.script.mu.Lock()
	deaf := c.script.Deaf
	c.script.mu.Unlock()
	if deaf {
		<-ctx.Done()
		return ctx.Err()
	}
	return nil
}

func (c *conn) Upload(_ context.Context, _ message.Kind, open func() (io.ReadCloser, error)) (message.Upload, error) {
	if !c.isOpen() {
		return message.Upload{}, &actor.SendError{Outcome: actor.NotWritten, Reason: "connection_lost", Err: errOffline}
	}
	body, err := open()
	if err != nil {
		return message.Upload{}, &actor.SendError{Outcome: actor.NotWritten, Reason: "media_upload_failed", Err: err}
	}
	file, err := io.ReadAll(body)
	if err = errors.Join(err, body.Close()); err != nil {
		return message.Upload{}, err
	}
	c.script.mu.Lock()
	onUpload := c.script.OnUpload
	c.script.mu.Unlock()
	if onUpload != nil {
		if err := onUpload(file); err != nil {
			return message.Upload{}, err
		}
	}
	c.script.mu.Lock()
	defer c.script.mu.Unlock()
	c.script.uploads++
	sum := sha256.Sum256(file)
	return message.Upload{DirectPath: fmt.Sprintf("/upload-%d", c.script.uploads), FileSHA256: sum[:], FileLength: int64(len(file))}, nil
}

func (c *conn) Send(_ context.Context, m actor.Outgoing) error {
	c.mu.Lock()
	online := c.open && c.loggedIn
	c.mu.Unlock()
	if !online {
		return &actor.SendError{Outcome: actor.NotWritten, Reason: "connection_lost", Err: errOffline}
	}
	c.script.mu.Lock()
	sendErr, onSend := c.script.SendErr, c.script.OnSend
	c.script.mu.Unlock()
	if onSend != nil {
		if err := onSend(c.companyID, m); err != nil {
			return err
		}
	}
	if sendErr != nil {
		if err := sendErr(m); err != nil {
			return err
		}
	}
	c.script.mu.Lock()
	c.script.sent = append(c.script.sent, m)
	c.script.mu.Unlock()
	c.script.frames <- m
	return nil
}

func (c *conn) Download(_ context.Context, f actor.File, into *os.File, _ int64) error {
	c.script.mu.Lock()
	onDownload := c.script.OnDownload
	c.script.mu.Unlock()
	if onDownload != nil {
		if err := onDownload(f); err != nil {
			return err
		}
	}
	_, err := into.WriteString("bytes at " + f.DirectPath)
	return err
}

func (c *conn) AskAgain(_ context.Context, f actor.File) error {
	c.script.asked <- f
	return nil
}

func (c *conn) Logout(context.Context) error {
	c.script.mu.Lock()
	defer c.script.mu.Unlock()
	c.script.unlinked++
	return nil
}

func (c *conn) MarkRead(_ context.Context, m rpc.ReadMark) error { return c.show(m) }

func (c *conn) ShowTyping(_ context.Context, t rpc.Typing) error { return c.show(t) }

// show notes what a chat was shown.
func (c *conn) show(what any) error {
	if c.companyID == "refused" {
		return errors.New("refused")
	}
	c.script.mu.Lock()
	defer c.script.mu.Unlock()
	c.script.shown = append(c.script.shown, what)
	return nil
}

func (c *conn) CheckContacts(_ context.Context, phones []string) ([]rpc.ContactFound, error) {
	if c.companyID == "refused" {
		return nil, errors.New("refused")
	}
	found := make([]rpc.ContactFound, len(phones))
	for i, phone := range phones {
		found[i] = rpc.ContactFound{Phone: phone, Exists: true, JID: phone + "@s.whatsapp.net"}
	}
	return found, nil
}
