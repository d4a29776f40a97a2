package wasim_test

import (
	"bytes"
	"compress/zlib"
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net/http"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.mau.fi/whatsmeow/types"

	"wafleet/infra/wasim"
	"wafleet/infra/wasim/internal/lightclient"
	"wafleet/infra/wasim/internal/stanza"
)

// light is what light clients need to know about the server.
func (b *bundle) light(t testing.TB) lightclient.Server {
	t.Helper()
	roots := x509.NewCertPool()
	require.True(t, roots.AppendCertsFromPEM(b.RootCA()))
	return lightclient.Server{
		Endpoint: b.Endpoint(), NoiseRoot: b.NoiseRoot(),
		TLS: &tls.Config{RootCAs: roots, ServerName: "web.whatsapp.com", MinVersion: tls.VersionTLS13},
	}
}

// lightPair makes a light client that is linked to a phone.
func (b *bundle) lightPair(t testing.TB, number string) *lightclient.Client {
	t.Helper()
	c, err := lightclient.New(b.light(t))
	require.NoError(t, err)
	require.NoError(t, c.Pair(t.Context(), func(qr string) error {
		_, err := b.Scan(context.Background(), number, qr)
		return err
	}))
	t.Cleanup(c.Close)
	return c
}

// closes fails unless the server closes the connection.
func closes(t *testing.T, c *lightclient.Client) {
	t.Helper()
	require.NoError(t, c.Socket().SetReadDeadline(time.Now().Add(patience)))
	_, err := io.Copy(io.Discard, c.Socket())
	require.NotErrorIs(t, err, os.ErrDeadlineExceeded, "the server does not close")
}

// TestHostileStarts sends what is not the beginning of a connection.
func TestHostileStarts(t *testing.T) {
	t.Parallel()
	b := start(t, wasim.Options{HandshakeTimeout: 300 * time.Millisecond})
	b.phone(t, anna, "Anna")
	bystander := b.pair(t, anna)
	noise := make([]byte, 200)
	_, _ = rand.Read(noise)
	noise[0] = 0x82
	for name, bytes := range map[string][]byte{
		"nothing":               nil,
		"garbage":               noise,
		"wrong prologue":        {0x82, 0x84, 0, 0, 0, 0, 'W', 'A', 5, 2},
		"text message":          {0x81, 0x84, 0, 0, 0, 0, 'W', 'A', 6, 3},
		"unmasked":              {0x82, 0x04, 'W', 'A', 6, 3},
		"huge frame":            {0x82, 0x87, 0, 0, 0, 0, 'W', 'A', 6, 3, 0xff, 0xff, 0xff},
		"huge message":          {0x82, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 'W', 'A', 6, 3},
		"huge routing":          {0x82, 0x86, 0, 0, 0, 0, 0xed, 0, 1, 0xff, 0xff, 0xff},
		"empty hello":           {0x82, 0x87, 0, 0, 0, 0, 'W', 'A', 6, 3, 0, 0, 0},
		"hello without content": {0x82, 0x89, 0, 0, 0, 0, 'W', 'A', 6, 3, 0, 0, 2, 0x12, 0x00},
		"huge control frame":    {0x89, 0xfe, 0xff, 0xff, 0, 0, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, err := lightclient.New(b.light(t))
			require.NoError(t, err)
			require.NoError(t, c.Open(t.Context()))
			defer c.Close()
			_, err = c.Socket().Write(bytes)
			require.NoError(t, err)
			closes(t, c)
		})
	}
	t.Cleanup(func() { require.True(t, bystander.IsLoggedIn(), "nobody else is hurt") })
}

// TestHostileStanzas sends what is no stanza after a proper login.
func TestHostileStanzas(t *testing.T) {
	t.Parallel()
	b := start(t, wasim.Options{})
	b.phone(t, anna, "Anna")
	b.phone(t, boris, "Boris")
	bystander := b.pair(t, boris)
	noise := make([]byte, 300)
	_, _ = rand.Read(noise)
	noise[0] = 0
	// A list of one node in a list of one node, as deep as a frame allows.
	deep := append([]byte{0}, bytes.Repeat([]byte{248, 2, 3, 248, 1}, 100_000)...)
	var bomb bytes.Buffer
	bomb.WriteByte(2)
	packer := zlib.NewWriter(&bomb)
	_, err := packer.Write(make([]byte, 16<<20))
	require.NoError(t, err)
	require.NoError(t, packer.Close())
	for name, frame := range map[string][]byte{
		"empty":            {},
		"only a flag":      {0},
		"garbage":          noise,
		"deep":             deep,
		"bomb":             bomb.Bytes(),
		"broken zlib":      {2, 1, 2, 3},
		"lying list":       {0, 249, 0xff, 0xff},
		"address as a tag": {0, 248, 1, 250, 0, 3},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := b.lightPair(t, anna)
			require.NoError(t, c.Login(t.Context()))
			require.NoError(t, c.SendFrame(frame))
			closes(t, c)
		})
	}
	t.Run("wrong key", func(t *testing.T) {
		t.Parallel()
		c := b.lightPair(t, anna)
		require.NoError(t, c.Login(t.Context()))
		_, err := c.Socket().Write([]byte{0x82, 0x87, 0, 0, 0, 0, 0, 0, 4, 1, 2, 3, 4})
		require.NoError(t, err)
		closes(t, c)
	})
	t.Cleanup(func() { require.True(t, bystander.IsLoggedIn(), "nobody else is hurt") })
}

// TestUnknownStanzasAreShown sends stanzas that the simulator does not know; the connection survives them.
func TestUnknownStanzasAreShown(t *testing.T) {
	t.Parallel()
	b := start(t, wasim.Options{})
	b.phone(t, anna, "Anna")
	c := b.lightPair(t, anna)
	require.NoError(t, c.Login(t.Context()))
	require.NoError(t, c.Send(stanza.New("surprise", stanza.Attrs{"id": "1"})))
	require.NoError(t, c.Send(stanza.New("iq", stanza.Attrs{"id": "2", "type": "get", "xmlns": "w:future", "to": types.ServerJID})))
	for {
		answer, err := c.Await("iq")
		require.NoError(t, err)
		if stanza.Str(*answer, "id") == "2" {
			require.Equal(t, "error", stanza.Str(*answer, "type"))
			break
		}
	}
	require.Equal(t, map[string]uint64{"surprise": 1, "iq w:future": 1}, b.Stats().Unhandled)
}

// TestMalformedRequests sends known stanzas with parts missing: each is refused or ignored, none hurts.
func TestMalformedRequests(t *testing.T) {
	t.Parallel()
	b := start(t, wasim.Options{})
	b.phone(t, anna, "Anna")
	c := b.lightPair(t, anna)
	require.NoError(t, c.Login(t.Context()))
	iq := func(namespace string, children ...stanza.Node) stanza.Node {
		return stanza.New("iq", stanza.Attrs{"id": "x", "type": "set", "xmlns": namespace, "to": types.ServerJID}, children...)
	}
	for _, node := range []stanza.Node{
		stanza.New("message", nil),
		stanza.New("message", stanza.Attrs{"to": types.NewJID(anna, types.DefaultUserServer), "id": "1"}),
		stanza.New("message", stanza.Attrs{"to": types.NewJID(anna, types.DefaultUserServer), "id": "2"},
			stanza.New("participants", nil, stanza.New("to", nil), stanza.New("to", stanza.Attrs{"jid": "nonsense"}))),
		stanza.New("receipt", nil),
		stanza.New("receipt", stanza.Attrs{"to": types.NewJID(anna, types.DefaultUserServer), "type": "retry", "id": "1"}),
		stanza.New("ack", nil),
		stanza.New("iq", nil),
		iq("encrypt"),
		iq("encrypt", stanza.Leaf("registration", []byte{1})),
		iq("encrypt", stanza.New("key", nil, stanza.New("user", nil))),
		iq("encrypt", stanza.New("rotate", nil)),
		iq("usync"),
		iq("usync", stanza.New("usync", nil, stanza.New("list", nil, stanza.New("user", nil)))),
		iq("md"),
		iq("md", stanza.New("remove-companion-device", nil)),
		iq("md", stanza.New("link_code_companion_reg", nil)),
		iq("passive"),
		iq("w:sync:app:state"),
		iq("privacy"),
	} {
		require.NoError(t, c.Send(node))
	}
	require.NoError(t, c.Send(stanza.New("iq", stanza.Attrs{"id": "last", "type": "get", "xmlns": "w:p", "to": types.ServerJID})))
	for {
		answer, err := c.Await("iq")
		require.NoError(t, err)
		if stanza.Str(*answer, "id") == "last" {
			break
		}
	}
}

func TestOtherPathsAreNotFound(t *testing.T) {
	t.Parallel()
	b := start(t, wasim.Options{})
	for path, want := range map[string]int{
		"/":                            http.StatusNotFound,
		"/ws/chat":                     http.StatusUpgradeRequired,
		"/v/t62.7118-24/nothing?ccb=1": http.StatusNotFound,
		"/v/t62.7118-24/..%2fstate.db": http.StatusNotFound,
	} {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://mmg.whatsapp.net"+path, nil)
		require.NoError(t, err)
		response, err := b.http.Do(request)
		require.NoError(t, err)
		require.NoError(t, response.Body.Close())
		require.Equal(t, want, response.StatusCode, path)
	}
}
