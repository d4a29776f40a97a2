package wasim_test

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.mau.fi/whatsmeow"
	"go.mau.fi/whatsmeow/proto/waE2E"
	"go.mau.fi/whatsmeow/store"
	"go.mau.fi/whatsmeow/types"
	"go.mau.fi/whatsmeow/types/events"
	waLog "go.mau.fi/whatsmeow/util/log"
	"go.uber.org/goleak"

	"wafleet/infra/wasim"
	"wafleet/infra/wasim/wasimclient"
)

// patience is how long a test waits for something that happens within milliseconds.
const patience = 20 * time.Second

// rootDir holds the credentials which all servers of these tests share: whatsmeow's trusted root is one for the process.
var rootDir string

func TestMain(m *testing.M) {
	if dir := os.Getenv(serverVariable); dir != "" {
		runServer(dir)
	}
	dir, err := os.MkdirTemp("", "wasim-test-*")
	if err != nil {
		panic(err)
	}
	rootDir = dir
	first, err := wasim.New(wasim.Options{DataDir: dir})
	if err != nil {
		panic(err)
	}
	whatsmeow.WACertPubKey = first.NoiseRoot()
	code := m.Run()
	http.DefaultClient.CloseIdleConnections()
	_ = os.RemoveAll(dir)
	if code == 0 {
		err := goleak.Find(
			// whatsmeow blocks for ever on a frame that comes while a connection is being closed.
			goleak.IgnoreAnyFunction("go.mau.fi/whatsmeow/socket.(*FrameSocket).frameComplete"))
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}

// keepCredentials makes a data folder that has the credentials of these tests.
func keepCredentials(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	encoded, err := os.ReadFile(rootDir + "/credentials.json")
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(dir+"/credentials.json", encoded, 0o600))
	return dir
}

// bundle is a running simulator with what is needed to reach it.
type bundle struct {
	*wasim.Server

	http *http.Client
	dir  string
}

// start runs a simulator until the test ends.
func start(t testing.TB, options wasim.Options) *bundle {
	t.Helper()
	if options.DataDir == "" {
		options.DataDir = keepCredentials(t)
	}
	if testing.Verbose() {
		options.Logger = nil
	}
	server, err := wasim.New(options)
	require.NoError(t, err)
	require.NoError(t, server.Start(t.Context()))
	b := &bundle{Server: server, dir: options.DataDir}
	t.Cleanup(func() { b.stop(t) })
	b.http, err = wasimclient.New(server.Endpoint(), server.RootCA())
	require.NoError(t, err)
	t.Cleanup(b.http.CloseIdleConnections)
	return b
}

func (b *bundle) stop(t testing.TB) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	require.NoError(t, b.Stop(ctx))
}

// restart stops the simulator and starts it again with the same folder and port.
func (b *bundle) restart(t testing.TB) *bundle {
	t.Helper()
	endpoint := b.Endpoint()
	b.stop(t)
	return start(t, wasim.Options{DataDir: b.dir, Listen: endpoint})
}

// phone makes a phone.
func (b *bundle) phone(t testing.TB, number, name string) {
	t.Helper()
	_, err := b.AddPhone(t.Context(), wasim.NewPhone{Phone: number, Name: name})
	require.NoError(t, err)
}

// client is an unmodified whatsmeow client with what happened to it.
type client struct {
	*whatsmeow.Client

	store *memStore

	mu      sync.Mutex // guards events
	events  []any
	changed chan struct{}
	// refuse makes the handler fail for messages, which are then not acknowledged.
	refuse atomic.Bool
}

// newClient makes a client that is not paired.
func (b *bundle) newClient(t testing.TB) *client {
	t.Helper()
	device, kept := newDevice()
	return b.clientOf(t, device, kept)
}

// clientOf makes a client for a device that exists.
func (b *bundle) clientOf(t testing.TB, device *store.Device, kept *memStore) *client {
	t.Helper()
	var log waLog.Logger
	if os.Getenv("WASIM_TEST_LOG") != "" {
		log = waLog.Stdout("client", "DEBUG", false)
	}
	c := &client{Client: whatsmeow.NewClient(device, log), store: kept, changed: make(chan struct{})}
	c.SetWebsocketHTTPClient(b.http)
	c.SetPreLoginHTTPClient(b.http)
	c.SetMediaHTTPClient(b.http)
	c.EnableAutoReconnect = false
	c.EnableDecryptedEventBuffer = true
	c.SynchronousAck = true
	c.AddEventHandlerWithSuccessStatus(func(event any) bool {
		if _, ok := event.(*events.Message); ok && c.refuse.Load() {
			return false
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		c.events = append(c.events, event)
		close(c.changed)
		c.changed = make(chan struct{})
		return true
	})
	t.Cleanup(c.Disconnect)
	return c
}

// await returns the first event of a type that matches and came at or after the given position, which it moves on.
func await[E any](t testing.TB, c *client, match func(E) bool) E {
	t.Helper()
	deadline := time.After(patience)
	for seen := 0; ; {
		c.mu.Lock()
		all, changed := c.events, c.changed
		c.mu.Unlock()
		for ; seen < len(all); seen++ {
			if event, ok := all[seen].(E); ok && (match == nil || match(event)) {
				return event
			}
		}
		select {
		case <-changed:
		case <-deadline:
			var want E
			t.Fatalf("no %T came; there were %d events: %T", want, len(all), all)
		}
	}
}

// forget drops the events so far, so that await only sees new ones.
func (c *client) forget() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.events = nil
}

// count is how many events of a type came.
func count[E any](c *client, match func(E) bool) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := 0
	for _, event := range c.events {
		if e, ok := event.(E); ok && (match == nil || match(e)) {
			n++
		}
	}
	return n
}

// pair links a new client to a phone by QR and waits until it is logged in.
func (b *bundle) pair(t testing.TB, number string) *client {
	t.Helper()
	c := b.newClient(t)
	require.NoError(t, c.Connect())
	qr := await[*events.QR](t, c, nil)
	_, err := b.Scan(t.Context(), number, qr.Codes[0])
	require.NoError(t, err)
	await[*events.Connected](t, c, nil)
	await[*events.OfflineSyncCompleted](t, c, nil)
	return c
}

// twin is another client with the keys of a paired one. whatsmeow wipes the device of a client that is logged out, so it
// must be made before.
func (b *bundle) twin(t testing.TB, c *client) *client {
	t.Helper()
	device, id := *c.Store, *c.Store.ID
	device.ID = &id
	return b.clientOf(t, &device, c.store)
}

// login connects a paired client and waits until it is logged in.
func (c *client) login(t testing.TB) {
	t.Helper()
	c.forget()
	require.NoError(t, c.Connect())
	await[*events.Connected](t, c, nil)
}

// resend sends a text under a given id.
func resend(t testing.TB, c *client, id, text string) {
	t.Helper()
	_, err := c.SendMessage(t.Context(), user(boris), &waE2E.Message{Conversation: new(text)},
		whatsmeow.SendRequestExtra{ID: id})
	require.NoError(t, err, "a duplicate is acknowledged like any other")
}

// text sends a text and returns its id.
func (c *client) text(t testing.TB, number, text string) string {
	t.Helper()
	response, err := c.SendMessage(t.Context(), user(number), &waE2E.Message{Conversation: new(text)})
	require.NoError(t, err)
	return response.ID
}

func user(number string) types.JID { return types.NewJID(number, types.DefaultUserServer) }

// awaitText waits until a phone has a text.
func (b *bundle) awaitText(t testing.TB, number, text string) wasim.Message {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	row, err := b.AwaitMessage(ctx, number, func(m wasim.Message) bool { return m.Text == text })
	require.NoError(t, err, "text %q at the phone", text)
	return row
}

// awaitIncoming waits until a client has a text.
func awaitIncoming(t testing.TB, c *client, text string) *events.Message {
	t.Helper()
	return await(t, c, func(m *events.Message) bool { return textOf(m.Message) == text })
}

func textOf(m *waE2E.Message) string {
	if m.GetConversation() != "" {
		return m.GetConversation()
	}
	return m.GetExtendedTextMessage().GetText()
}

// noneUnhandled fails if the server met a stanza that it does not know.
func (b *bundle) noneUnhandled(t testing.TB) {
	t.Helper()
	require.Empty(t, b.Stats().Unhandled)
}
