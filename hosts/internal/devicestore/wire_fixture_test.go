package devicestore

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.mau.fi/whatsmeow"
	waBinary "go.mau.fi/whatsmeow/binary"
	"go.mau.fi/whatsmeow/proto/waE2E"
	"go.mau.fi/whatsmeow/store"
	"go.mau.fi/whatsmeow/types"
	waEvents "go.mau.fi/whatsmeow/types/events"
	waLog "go.mau.fi/whatsmeow/util/log"
	"go.uber.org/goleak"

	"wafleet/infra/wasim"
	"wafleet/infra/wasim/wasimclient"
)

const (
	// patience is how long a test waits for something that does happen.
	patience = 20 * time.Second
	// tick is how often it looks.
	tick = 5 * time.Millisecond
	// firstNumber is the first of the phone numbers that tests take.
	firstNumber = 79_002_000_000
)

// network is the simulated WhatsApp of all tests, because whatsmeow has its root key in one variable per process.
var network = sync.OnceValues(func() (*wasim.Server, error) {
	server, err := wasim.New(wasim.Options{})
	if err != nil {
		return nil, err
	}
	whatsmeow.WACertPubKey = server.NoiseRoot()
	return server, server.Start(context.Background())
})

// withNetwork runs the tests.
type withNetwork struct{ *testing.M }

// Run ends the network before goleak looks around.
func (m withNetwork) Run() int {
	code := m.M.Run()
	if server, err := network(); err == nil {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := server.Stop(ctx); err != nil {
			panic(err)
		}
	}
	return code
}

func TestMain(m *testing.M) {
	// whatsmeow leaves it behind when a frame comes in while it disconnects: nobody takes the frame any more.
	goleak.VerifyTestMain(withNetwork{m}, goleak.IgnoreAnyFunction("go.mau.fi/whatsmeow/socket.(*FrameSocket).readPump"))
}

func whatsApp(t *testing.T) *wasim.Server {
	t.Helper()
	server, err := network()
	require.NoError(t, err)
	return server
}

var lastNumber atomic.Int64

// newPhone makes an account and returns its number.
func newPhone(t *testing.T) string {
	t.Helper()
	number := strconv.FormatInt(firstNumber+lastNumber.Add(1), 10)
	_, err := whatsApp(t).AddPhone(t.Context(), wasim.NewPhone{Phone: number})
	require.NoError(t, err)
	return number
}

// client is an unmodified whatsmeow client, and what it has told.
type client struct {
	*whatsmeow.Client

	mu     sync.Mutex
	events []any
}

// newClient makes a client for a device, set up as our hosts do.
func newClient(t *testing.T, device *store.Device) *client {
	t.Helper()
	server := whatsApp(t)
	transport, err := wasimclient.NewTransport(server.Endpoint(), server.RootCA())
	require.NoError(t, err)
	c := &client{Client: whatsmeow.NewClient(device, waLog.Noop)}
	c.SetWebsocketHTTPClient(&http.Client{Transport: transport})
	c.SetPreLoginHTTPClient(&http.Client{Transport: transport})
	c.EnableAutoReconnect, c.DisableLoginAutoReconnect = false, true
	c.SynchronousAck = true
	c.EnableDecryptedEventBuffer = true
	c.AddEventHandlerWithSuccessStatus(func(event any) bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.events = append(c.events, event)
		return true
	})
	t.Cleanup(func() {
		c.hangUp(context.WithoutCancel(t.Context()))
		transport.CloseIdleConnections()
	})
	return c
}

// hangUp disconnects after all that the client has to send is sent: whatsmeow closes its socket under the feet of an ack
// otherwise, which the race detector reports. The last node is what orders the two.
func (c *client) hangUp(ctx context.Context) {
	for deadline := time.Now().Add(patience); c.waiting() > 0 && time.Now().Before(deadline); {
		runtime.Gosched()
	}
	_ = c.DangerousInternals().SendNode(ctx, waBinary.Node{Tag: "presence", Attrs: waBinary.Attrs{"type": "unavailable"}})
	c.Disconnect()
}

// waiting is how many stanzas WhatsApp has for a connected client.
func (c *client) waiting() int {
	server, err := network()
	if err != nil || c.Store.ID == nil || !c.IsLoggedIn() {
		return 0
	}
	phone, err := server.Phone(c.Store.ID.User)
	if err != nil {
		return 0
	}
	for _, companion := range phone.Companions {
		if companion.JID == c.Store.ID.String() {
			return companion.Waiting
		}
	}
	return 0
}

// link pairs a new device with a phone and returns its client, connected.
func link(t *testing.T, k keeper, number string) *client {
	t.Helper()
	c := newClient(t, k.fresh(t, number))
	_, err := scan(t, c, number)
	require.NoError(t, err)
	reconnect(t, c)
	return c
}

// reconnect is what a host does when a pairing is done. The 515 that asks for it is lost if the socket closes first.
func reconnect(t *testing.T, c *client) {
	t.Helper()
	await[*waEvents.PairSuccess](t, c, nil)
	c.hangUp(t.Context())
	require.NoError(t, c.ConnectContext(context.WithoutCancel(t.Context())))
	await[*waEvents.Connected](t, c, nil)
}

// scan connects an unpaired client and lets the phone scan its first QR.
func scan(t *testing.T, c *client, number string) (wasim.Companion, error) {
	t.Helper()
	require.NoError(t, c.ConnectContext(context.WithoutCancel(t.Context())))
	qr := await[*waEvents.QR](t, c, nil)
	return whatsApp(t).Scan(t.Context(), number, qr.Codes[0])
}

// login connects a client of a paired device.
func login(t *testing.T, device *store.Device) *client {
	t.Helper()
	c := newClient(t, device)
	require.NoError(t, c.ConnectContext(context.WithoutCancel(t.Context())))
	await[*waEvents.Connected](t, c, nil)
	return c
}

// await returns the first event of a type that matches.
func await[E any](t *testing.T, c *client, match func(E) bool) (found E) {
	t.Helper()
	require.Eventually(t, func() bool {
		matching := told(c, match)
		if len(matching) > 0 {
			found = matching[0]
		}
		return len(matching) > 0
	}, patience, tick, "no %T", found)
	return found
}

// told returns the events of a type that match.
func told[E any](c *client, match func(E) bool) (found []E) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, event := range c.events {
		if e, ok := event.(E); ok && (match == nil || match(e)) {
			found = append(found, e)
		}
	}
	return found
}

// texts is what a client has got, as often as it was told.
func texts(c *client) []string {
	var found []string
	for _, message := range told[*waEvents.Message](c, nil) {
		if text := message.Message.GetConversation(); text != "" {
			found = append(found, text)
		}
	}
	return found
}

func awaitText(t *testing.T, c *client, text string) {
	t.Helper()
	await(t, c, func(message *waEvents.Message) bool { return message.Message.GetConversation() == text })
}

// awaitTextAt waits for a text at a phone.
func awaitTextAt(t *testing.T, number, text string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	_, err := whatsApp(t).AwaitMessage(ctx, number, func(message wasim.Message) bool { return message.Text == text })
	require.NoError(t, err)
}

// sendText is a send as our hosts do it: one that is stale is tried again at once.
func sendText(t *testing.T, c *client, to, text string) error {
	t.Helper()
	for {
		ctx, end := WithAbort(t.Context())
		_, err := c.SendMessage(ctx, types.NewJID(to, types.DefaultUserServer), &waE2E.Message{Conversation: new(text)})
		if err = errors.Join(err, end()); !errors.Is(err, ErrStale) {
			return err
		}
	}
}

// companionOf is what WhatsApp knows of a client's device.
func companionOf(t *testing.T, c *client) wasim.Companion {
	t.Helper()
	phone, err := whatsApp(t).Phone(c.Store.ID.User)
	require.NoError(t, err)
	for _, companion := range phone.Companions {
		if companion.JID == c.Store.ID.String() {
			return companion
		}
	}
	require.Fail(t, "WhatsApp does not know the device")
	return wasim.Companion{}
}

// received counts the stanzas with a tag that WhatsApp got from a client's device.
func received(t *testing.T, c *client, match func(wasim.JournalRow) bool) (n int) {
	t.Helper()
	device := fmt.Sprintf("%s:%d", c.Store.ID.User, c.Store.ID.Device)
	after := uint64(0)
	for {
		rows := whatsApp(t).Journal(after, 1000)
		if len(rows) == 0 {
			return n
		}
		for _, row := range rows {
			if row.Device == device && row.Direction == "in" && match(row) {
				n++
			}
			after = row.N
		}
	}
}

func isMessage(row wasim.JournalRow) bool { return row.Tag == "message" }
func isBundleRequest(row wasim.JournalRow) bool {
	return row.Tag == "iq" && row.XMLNS == "encrypt" && row.Type == "get"
}
func isRetry(row wasim.JournalRow) bool { return row.Tag == "receipt" && row.Type == "retry" }
