package noise

import (
	"crypto/ecdh"
	"crypto/rand"
	"errors"
	"fmt"

	"go.mau.fi/whatsmeow/proto/waWa6"
	"google.golang.org/protobuf/proto"
)

// ErrMalformed marks a handshake message that is not what the protocol asks for at this point.
var ErrMalformed = errors.New("malformed handshake message")

// Frames carries whole frames during the handshake; the stream below is the caller's.
type Frames interface {
	ReadFrame() ([]byte, error)
	WriteFrame(frame []byte) error
}

// Peer is the result of a handshake on the server's side.
type Peer struct {
	// Static is the client's long-term Noise key; the server has seen proof that the client holds it.
	Static [32]byte
	// Payload tells who wants to log in, or registers a device that wants to be paired.
	Payload *waWa6.ClientPayload
	// In decrypts what the client sends, Out encrypts what it is sent.
	In, Out *Cipher
}

// Accept runs the server's half of the handshake.
func (id *Identity) Accept(frames Frames, prologue []byte) (*Peer, error) {
	state, err := newSymmetric(prologue)
	if err != nil {
		return nil, err
	}
	ephemeral, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make ephemeral key: %w", err)
	}
	err = id.answerHello(frames, state, ephemeral)
	if err != nil {
		return nil, err
	}
	return finish(frames, state, ephemeral)
}

// answerHello reads the client's ephemeral key and answers with the server's keys and certificates.
func (id *Identity) answerHello(frames Frames, state *symmetric, ephemeral *ecdh.PrivateKey) error {
	message, err := readMessage(frames)
	if err != nil {
		return err
	}
	remote := message.GetClientHello().GetEphemeral()
	if len(remote) != 32 {
		return fmt.Errorf("%w: client hello has no key", ErrMalformed)
	}
	state.mixHash(remote)
	state.mixHash(ephemeral.PublicKey().Bytes())
	if err := state.mixDH(ephemeral, remote); err != nil {
		return err
	}
	static := state.seal(id.static.PublicKey().Bytes())
	if err := state.mixDH(id.static, remote); err != nil {
		return err
	}
	hello := &waWa6.HandshakeMessage{ServerHello: &waWa6.HandshakeMessage_ServerHello{
		Ephemeral: ephemeral.PublicKey().Bytes(),
		Static:    static,
		Payload:   state.seal(id.chain),
	}}
	return writeMessage(frames, hello)
}

// finish reads the client's static key and payload and derives the ciphers of the connection.
func finish(frames Frames, state *symmetric, ephemeral *ecdh.PrivateKey) (*Peer, error) {
	message, err := readMessage(frames)
	if err != nil {
		return nil, err
	}
	last := message.GetClientFinish()
	static, err := state.open(last.GetStatic())
	if err != nil {
		return nil, err
	}
	if len(static) != 32 {
		return nil, fmt.Errorf("%w: client finish has no key", ErrMalformed)
	}
	if err := state.mixDH(ephemeral, static); err != nil {
		return nil, err
	}
	raw, err := state.open(last.GetPayload())
	if err != nil {
		return nil, err
	}
	peer := &Peer{Static: [32]byte(static), Payload: &waWa6.ClientPayload{}}
	if err := proto.Unmarshal(raw, peer.Payload); err != nil {
		return nil, fmt.Errorf("%w: client payload: %w", ErrMalformed, err)
	}
	peer.In, peer.Out, err = state.split()
	return peer, err
}

func readMessage(frames Frames) (*waWa6.HandshakeMessage, error) {
	frame, err := frames.ReadFrame()
	if err != nil {
		return nil, fmt.Errorf("read handshake message: %w", err)
	}
	message := &waWa6.HandshakeMessage{}
	if err := proto.Unmarshal(frame, message); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	return message, nil
}

func writeMessage(frames Frames, message *waWa6.HandshakeMessage) error {
	frame, err := proto.Marshal(message)
	if err != nil {
		return fmt.Errorf("encode handshake message: %w", err)
	}
	if err := frames.WriteFrame(frame); err != nil {
		return fmt.Errorf("write handshake message: %w", err)
	}
	return nil
}
