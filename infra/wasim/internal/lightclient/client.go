// Package lightclient is a companion of a few kilobytes: it pairs, logs in, and exchanges stanzas, and does nothing by
// itself. Load tests hold ten thousand of them in one process, and tests of hostile input break the rules with it.
package lightclient

import (
	"bufio"
	"context"
	"crypto/ecdh"
	"crypto/rand"
	"crypto/tls"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"

	"go.mau.fi/libsignal/ecc"
	"go.mau.fi/whatsmeow/proto/waAdv"
	"go.mau.fi/whatsmeow/proto/waWa6"
	"go.mau.fi/whatsmeow/types"
	"go.mau.fi/whatsmeow/util/keys"
	"google.golang.org/protobuf/proto"

	"wafleet/infra/wasim/internal/noise"
	"wafleet/infra/wasim/internal/stanza"
	"wafleet/infra/wasim/internal/wire"
)

// ErrRefused is returned when the server does not answer as it should.
var ErrRefused = errors.New("refused by server")

// Server is what a client must know about a simulator.
type Server struct {
	Endpoint  string
	TLS       *tls.Config
	NoiseRoot [32]byte
}

// Client is one companion. Its methods are for one goroutine.
type Client struct {
	server   Server
	static   *ecdh.PrivateKey
	identity *keys.KeyPair
	signed   *keys.PreKey
	secret   []byte
	jid      types.JID

	socket  net.Conn
	in, out *noise.Cipher
}

// New makes a companion that is not paired.
func New(server Server) (*Client, error) {
	static, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make noise key: %w", err)
	}
	identity := keys.NewKeyPair()
	secret := make([]byte, 32)
	_, _ = rand.Read(secret)
	return &Client{
		server: server, static: static, identity: identity, signed: identity.CreateSignedPreKey(1), secret: secret,
	}, nil
}

// JID is the address of the companion once it is paired.
func (c *Client) JID() types.JID { return c.jid }

// Open connects a websocket and sends nothing yet.
func (c *Client) Open(ctx context.Context) error {
	dialer := &tls.Dialer{Config: c.server.TLS}
	socket, err := dialer.DialContext(ctx, "tcp", c.server.Endpoint)
	if err != nil {
		return fmt.Errorf("dial: %w", err)
	}
	_, err = io.WriteString(socket, "GET /ws/chat HTTP/1.1\r\nHost: web.whatsapp.com\r\nUpgrade: websocket\r\n"+
		"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
	if err != nil {
		return errors.Join(fmt.Errorf("ask for websocket: %w", err), socket.Close())
	}
	answer, err := http.ReadResponse(bufio.NewReaderSize(socket, 512), nil) //nolint:bodyclose // It has none.
	if err != nil || answer.StatusCode != http.StatusSwitchingProtocols {
		return errors.Join(fmt.Errorf("%w: no websocket", ErrRefused), err, socket.Close())
	}
	c.socket = socket
	return nil
}

// Socket is the open socket, for those who want to break the rules.
func (c *Client) Socket() net.Conn { return c.socket }

// Close drops the connection.
func (c *Client) Close() {
	if c.socket != nil {
		_ = c.socket.Close()
	}
}

// Pair links the companion; scan hands its QR to a phone and returns when that is done.
func (c *Client) Pair(ctx context.Context, scan func(qr string) error) error {
	if err := c.connect(ctx, c.registration()); err != nil {
		return err
	}
	defer c.Close()
	offer, err := c.Await("iq")
	if err != nil {
		return err
	}
	refs := stanza.Children(stanza.Child(*offer, "pair-device"))
	if len(refs) == 0 {
		return fmt.Errorf("%w: no QR", ErrRefused)
	}
	encode := base64.StdEncoding.EncodeToString
	qr := strings.Join([]string{
		stanza.Text(refs[0]), encode(c.static.PublicKey().Bytes()), encode(c.identity.Pub[:]), encode(c.secret),
	}, ",")
	scanned := make(chan error, 1)
	go func() { scanned <- scan(qr) }()
	err = c.confirm()
	return errors.Join(err, <-scanned)
}

// confirm signs the certificate that the phone sends.
func (c *Client) confirm() error {
	success, err := c.Await("iq")
	if err != nil {
		return err
	}
	content := stanza.Child(*success, "pair-success")
	c.jid = stanza.JID(stanza.Child(content, "device"), "jid")
	var container waAdv.ADVSignedDeviceIdentityHMAC
	var identity waAdv.ADVSignedDeviceIdentity
	err = errors.Join(
		proto.Unmarshal(stanza.Bytes(stanza.Child(content, "device-identity")), &container),
		proto.Unmarshal(container.GetDetails(), &identity))
	if err != nil {
		return fmt.Errorf("read certificate: %w", err)
	}
	signed := append(append(append([]byte{6, 1}, identity.GetDetails()...), c.identity.Pub[:]...), identity.GetAccountSignatureKey()...)
	signature := ecc.CalculateSignature(ecc.NewDjbECPrivateKey(*c.identity.Priv), signed)
	identity.DeviceSignature = signature[:]
	encoded, err := proto.Marshal(&identity)
	if err != nil {
		return fmt.Errorf("write certificate: %w", err)
	}
	err = c.Send(stanza.New("iq", stanza.Attrs{"to": types.ServerJID, "type": "result", "id": stanza.Str(*success, "id")},
		stanza.New("pair-device-sign", nil, stanza.Leaf("device-identity", encoded))))
	if err != nil {
		return err
	}
	_, err = c.Await("stream:error")
	return err
}

// Login connects the paired companion and asks for what waits for it.
func (c *Client) Login(ctx context.Context) error {
	err := c.connect(ctx, &waWa6.ClientPayload{
		Username: new(c.jid.UserInt()), Device: new(uint32(c.jid.Device)), Passive: new(true),
	})
	if err != nil {
		return err
	}
	if _, err := c.Await("success"); err != nil {
		return err
	}
	return c.Send(stanza.New("iq", stanza.Attrs{"to": types.ServerJID, "type": "set", "xmlns": "passive", "id": "active"},
		stanza.New("active", nil)))
}

func (c *Client) connect(ctx context.Context, payload *waWa6.ClientPayload) error {
	if err := c.Open(ctx); err != nil {
		return err
	}
	frames := &handshakeFrames{client: c, prologue: wire.Prologue}
	var err error
	c.in, c.out, err = noise.Dial(frames, wire.Prologue, c.server.NoiseRoot, c.static, payload)
	if err != nil {
		c.Close()
		return fmt.Errorf("shake hands: %w", err)
	}
	return nil
}

func (c *Client) registration() *waWa6.ClientPayload {
	id := binary.BigEndian.AppendUint32(nil, c.signed.KeyID)
	return &waWa6.ClientPayload{DevicePairingData: &waWa6.ClientPayload_DevicePairingRegistrationData{
		ERegid: []byte{0, 0, 1, 1}, EKeytype: []byte{ecc.DjbType}, EIdent: c.identity.Pub[:],
		ESkeyID: id[1:], ESkeyVal: c.signed.Pub[:], ESkeySig: c.signed.Signature[:],
	}}
}

// Send sends a stanza.
func (c *Client) Send(node stanza.Node) error {
	frame, err := stanza.Encode(node)
	if err != nil {
		return fmt.Errorf("send: %w", err)
	}
	return c.SendFrame(frame)
}

// SendFrame encrypts and sends anything.
func (c *Client) SendFrame(frame []byte) error { return c.write(nil, c.out.Seal(nil, frame)) }

// Await reads stanzas until one has the tag, and returns it. A failure or the end of the stream is an error, unless it
// is what was waited for.
func (c *Client) Await(tag string) (*stanza.Node, error) {
	for {
		node, err := c.Read()
		if err != nil {
			return nil, err
		}
		switch node.Tag {
		case tag:
			return node, nil
		case "failure", "stream:error":
			return nil, fmt.Errorf("%w: %s", ErrRefused, node.XMLString())
		}
	}
}

// Read returns the next stanza.
func (c *Client) Read() (*stanza.Node, error) {
	frame, err := c.readFrame()
	if err != nil {
		return nil, err
	}
	plain, err := c.in.Open(frame)
	if err != nil {
		return nil, fmt.Errorf("read: %w", err)
	}
	node, err := stanza.Decode(plain)
	if err != nil {
		return nil, fmt.Errorf("read: %w", err)
	}
	return node, nil
}
