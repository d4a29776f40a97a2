package interop

import (
	"context"
	"database/sql"
	"net/http"
	"testing"

	_ "github.com/jackc/pgx/v5/stdlib"
	"github.com/stretchr/testify/require"
	"go.mau.fi/whatsmeow"
	"go.mau.fi/whatsmeow/proto/waE2E"
	"go.mau.fi/whatsmeow/store/sqlstore"
	"go.mau.fi/whatsmeow/types"
	"go.mau.fi/whatsmeow/types/events"
	waLog "go.mau.fi/whatsmeow/util/log"

	"wafleet/infra/wasim"
	"wafleet/infra/wasim/wasimclient"
	"wafleet/shared/store/pgtest"
)

func addPhone(t *testing.T, number, name string) {
	t.Helper()
	_, err := whatsapp.AddPhone(t.Context(), wasim.NewPhone{Phone: number, Name: name})
	require.NoError(t, err)
}

func user(number string) types.JID { return types.NewJID(number, types.DefaultUserServer) }

// companyName is what others see beside the messages of companies.
const companyName = "Salon"

// company is a companion of an account that runs whatsmeow on whatsmeow's own store, both as they come.
type company struct {
	*whatsmeow.Client

	number  string
	history *history[any]
}

// newCompany makes a phone and a whatsmeow client that is not paired with it yet.
func newCompany(t *testing.T, number string) *company {
	t.Helper()
	database, err := sql.Open("pgx", pgtest.URL(t))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, database.Close()) })
	devices := sqlstore.NewWithDB(database, "pgx", waLog.Noop)
	require.NoError(t, devices.Upgrade(t.Context()))

	addPhone(t, number, companyName)
	c := &company{Client: whatsmeow.NewClient(devices.NewDevice(), waLog.Noop), number: number, history: newHistory[any]()}
	reach, err := wasimclient.New(whatsapp.Endpoint(), whatsapp.RootCA())
	require.NoError(t, err)
	t.Cleanup(reach.CloseIdleConnections)
	c.use(reach)
	c.SynchronousAck = true
	c.EnableDecryptedEventBuffer = true
	c.AddEventHandler(c.history.add)
	t.Cleanup(c.Disconnect)
	return c
}

func (c *company) use(reach *http.Client) {
	c.SetWebsocketHTTPClient(reach)
	c.SetPreLoginHTTPClient(reach)
	c.SetMediaHTTPClient(reach)
}

// awaitEvent returns the first event of a type that matches; nil matches all.
func awaitEvent[E any](t *testing.T, c *company, what string, match func(E) bool) E {
	t.Helper()
	found := c.history.await(t, what, func(event any) bool {
		e, ok := event.(E)
		return ok && (match == nil || match(e))
	})
	return found.(E)
}

func (c *company) pairByQR(t *testing.T) {
	t.Helper()
	require.NoError(t, c.ConnectContext(t.Context()))
	qr := awaitEvent[*events.QR](t, c, "QR", nil)
	_, err := whatsapp.Scan(t.Context(), c.number, qr.Codes[0])
	require.NoError(t, err)
	awaitEvent[*events.Connected](t, c, "login", nil)
}

func (c *company) pairByCode(t *testing.T) {
	t.Helper()
	require.NoError(t, c.ConnectContext(t.Context()))
	awaitEvent[*events.QR](t, c, "QR", nil)
	code, err := c.PairPhone(t.Context(), c.number, true, whatsmeow.PairClientChrome, "Chrome (Linux)")
	require.NoError(t, err)
	_, err = whatsapp.EnterCode(t.Context(), c.number, code)
	require.NoError(t, err)
	awaitEvent[*events.Connected](t, c, "login", nil)
}

// send waits until the server has taken the message.
func (c *company) send(t *testing.T, to string, message *waE2E.Message) (id string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	sent, err := c.SendMessage(ctx, user(to), message)
	require.NoError(t, err)
	return sent.ID
}

func (c *company) sendText(t *testing.T, to, text string) (id string) {
	t.Helper()
	return c.send(t, to, &waE2E.Message{Conversation: new(text)})
}

// sendImage encrypts and uploads a picture, and sends what leads to it.
func (c *company) sendImage(t *testing.T, to string, picture picture, caption string) (id string) {
	t.Helper()
	uploaded, err := c.Upload(t.Context(), picture.file, whatsmeow.MediaImage)
	require.NoError(t, err)
	return c.send(t, to, &waE2E.Message{ImageMessage: &waE2E.ImageMessage{
		Caption: &caption, Mimetype: new(pictureType), JPEGThumbnail: picture.thumbnail,
		URL: &uploaded.URL, DirectPath: &uploaded.DirectPath, MediaKey: uploaded.MediaKey,
		FileEncSHA256: uploaded.FileEncSHA256, FileSHA256: uploaded.FileSHA256, FileLength: &uploaded.FileLength,
	}})
}

func (c *company) message(t *testing.T, id string) *events.Message {
	t.Helper()
	return awaitEvent(t, c, "message "+id, func(m *events.Message) bool { return m.Info.ID == id })
}

// receipt waits until another device tells about a message.
func (c *company) receipt(t *testing.T, id string, kind types.ReceiptType) {
	t.Helper()
	awaitEvent(t, c, "receipt of "+id, func(r *events.Receipt) bool {
		return r.Type == kind && len(r.MessageIDs) == 1 && r.MessageIDs[0] == id
	})
}
