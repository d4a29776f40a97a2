package noise_test

import (
	"crypto/ecdh"
	"crypto/rand"
	"io"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.mau.fi/whatsmeow/proto/waWa6"
	"go.mau.fi/whatsmeow/socket"
	"go.mau.fi/whatsmeow/util/keys"
	"google.golang.org/protobuf/proto"

	"wafleet/infra/wasim/internal/noise"
)

var prologue = []byte{'W', 'A', 6, 3}

// end is one side of a connection in memory.
type end struct {
	in, out chan []byte
}

func pipe() (a, b *end) {
	to, from := make(chan []byte, 4), make(chan []byte, 4)
	return &end{in: from, out: to}, &end{in: to, out: from}
}

func (e *end) ReadFrame() ([]byte, error) {
	frame, ok := <-e.in
	if !ok {
		return nil, io.EOF
	}
	return frame, nil
}

func (e *end) WriteFrame(frame []byte) error {
	e.out <- frame
	return nil
}

func newIdentity(t testing.TB) (id *noise.Identity, root [32]byte) {
	t.Helper()
	pair := keys.NewKeyPair()
	id, err := noise.NewIdentity(*pair.Priv, time.Now())
	require.NoError(t, err)
	return id, *pair.Pub
}

func TestBothSidesAgree(t *testing.T) {
	t.Parallel()
	id, root := newIdentity(t)
	static, err := ecdh.X25519().GenerateKey(rand.Reader)
	require.NoError(t, err)
	client, server := pipe()
	type dialed struct {
		in, out *noise.Cipher
		err     error
	}
	result := make(chan dialed, 1)
	go func() {
		in, out, err := noise.Dial(client, prologue, root, static, &waWa6.ClientPayload{Username: proto.Uint64(79)})
		result <- dialed{in, out, err}
	}()
	peer, err := id.Accept(server, prologue)
	require.NoError(t, err)
	d := <-result
	require.NoError(t, d.err)
	require.Equal(t, static.PublicKey().Bytes(), peer.Static[:])
	require.Equal(t, uint64(79), peer.Payload.GetUsername())

	for range 3 {
		plain, err := peer.In.Open(d.out.Seal(nil, []byte("up")))
		require.NoError(t, err)
		require.Equal(t, "up", string(plain))
		plain, err = d.in.Open(peer.Out.Seal(nil, []byte("down")))
		require.NoError(t, err)
		require.Equal(t, "down", string(plain))
	}
	d.out.Seal(nil, []byte("lost"))
	_, err = peer.In.Open(d.out.Seal(nil, []byte("out of order")))
	require.Error(t, err)
}

func TestDialRefusesAnotherRoot(t *testing.T) {
	t.Parallel()
	id, _ := newIdentity(t)
	_, other := newIdentity(t)
	static, err := ecdh.X25519().GenerateKey(rand.Reader)
	require.NoError(t, err)
	client, server := pipe()
	accepted := make(chan error, 1)
	go func() {
		_, err := id.Accept(server, prologue)
		accepted <- err
	}()
	_, _, err = noise.Dial(client, prologue, other, static, &waWa6.ClientPayload{})
	require.ErrorIs(t, err, noise.ErrMalformed)
	close(server.in)
	require.Error(t, <-accepted)
}

func TestPrologueIsPartOfTheHandshake(t *testing.T) {
	t.Parallel()
	id, root := newIdentity(t)
	static, err := ecdh.X25519().GenerateKey(rand.Reader)
	require.NoError(t, err)
	client, server := pipe()
	go func() {
		_, err := id.Accept(server, prologue)
		_ = err // The client leaves.
	}()
	_, _, err = noise.Dial(client, []byte("WA\x06\x02"), root, static, &waWa6.ClientPayload{})
	require.Error(t, err)
	close(server.in)
}

// TestWhatsmeowAgrees runs whatsmeow's own handshake state against the first answer of the server.
func TestWhatsmeowAgrees(t *testing.T) {
	t.Parallel()
	id, _ := newIdentity(t)
	ephemeral := keys.NewKeyPair()
	state := socket.NewNoiseHandshake()
	state.Start(socket.NoiseStartPattern, prologue)
	state.Authenticate(ephemeral.Pub[:])
	client, server := pipe()
	accepted := make(chan error, 1)
	go func() {
		_, err := id.Accept(server, prologue)
		accepted <- err
	}()
	hello, err := proto.Marshal(&waWa6.HandshakeMessage{
		ClientHello: &waWa6.HandshakeMessage_ClientHello{Ephemeral: ephemeral.Pub[:]},
	})
	require.NoError(t, err)
	require.NoError(t, client.WriteFrame(hello))
	frame, err := client.ReadFrame()
	require.NoError(t, err)
	var answer waWa6.HandshakeMessage
	require.NoError(t, proto.Unmarshal(frame, &answer))
	remote := answer.GetServerHello().GetEphemeral()
	state.Authenticate(remote)
	require.NoError(t, state.MixSharedSecretIntoKey(*ephemeral.Priv, [32]byte(remote)))
	static, err := state.Decrypt(answer.GetServerHello().GetStatic())
	require.NoError(t, err)
	require.Len(t, static, 32)
	close(server.in)
	require.ErrorIs(t, <-accepted, io.EOF)
}

// scripted plays frames to a server and swallows its answers.
type scripted struct{ frames [][]byte }

func (s *scripted) ReadFrame() ([]byte, error) {
	if len(s.frames) == 0 {
		return nil, io.EOF
	}
	next := s.frames[0]
	s.frames = s.frames[1:]
	return next, nil
}

func (s *scripted) WriteFrame([]byte) error { return nil }

func TestAcceptRefuses(t *testing.T) {
	t.Parallel()
	id, _ := newIdentity(t)
	hello, err := proto.Marshal(&waWa6.HandshakeMessage{
		ClientHello: &waWa6.HandshakeMessage_ClientHello{Ephemeral: keys.NewKeyPair().Pub[:]},
	})
	require.NoError(t, err)
	lowOrder, err := proto.Marshal(&waWa6.HandshakeMessage{
		ClientHello: &waWa6.HandshakeMessage_ClientHello{Ephemeral: make([]byte, 32)},
	})
	require.NoError(t, err)
	for name, frames := range map[string][][]byte{
		"nothing":          nil,
		"no message":       {{0xff, 0xff}},
		"no key":           {{}},
		"key of low order": {lowOrder},
		"no finish":        {hello},
		"empty finish":     {hello, {}},
		"garbage finish":   {hello, []byte("garbage")},
	} {
		_, err := id.Accept(&scripted{frames}, prologue)
		require.Error(t, err, name)
	}
}

func FuzzAccept(f *testing.F) {
	pair := keys.NewKeyPair()
	id, err := noise.NewIdentity(*pair.Priv, time.Now())
	require.NoError(f, err)
	hello, err := proto.Marshal(&waWa6.HandshakeMessage{
		ClientHello: &waWa6.HandshakeMessage_ClientHello{Ephemeral: pair.Pub[:]},
	})
	require.NoError(f, err)
	f.Add(hello, []byte{})
	f.Add([]byte{}, hello)
	f.Fuzz(func(t *testing.T, first, second []byte) {
		peer, err := id.Accept(&scripted{[][]byte{first, second}}, prologue)
		if err == nil {
			t.Fatalf("let somebody in who cannot know the keys: %v", peer)
		}
	})
}
