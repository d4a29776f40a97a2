package noise

import (
	"crypto/ecdh"
	"crypto/rand"
	"fmt"

	"go.mau.fi/libsignal/ecc"
	"go.mau.fi/whatsmeow/proto/waCert"
	"go.mau.fi/whatsmeow/proto/waWa6"
	"google.golang.org/protobuf/proto"
)

// Dial runs the client's half of the handshake with a client that holds the static key, and returns the ciphers: in
// decrypts what the server sends, out encrypts what it is sent. The server must prove itself to the root.
func Dial(
	frames Frames, prologue []byte, root [32]byte, static *ecdh.PrivateKey, payload *waWa6.ClientPayload,
) (in, out *Cipher, err error) {
	state, err := newSymmetric(prologue)
	if err != nil {
		return nil, nil, err
	}
	ephemeral, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		return nil, nil, fmt.Errorf("make ephemeral key: %w", err)
	}
	state.mixHash(ephemeral.PublicKey().Bytes())
	hello := &waWa6.HandshakeMessage{ClientHello: &waWa6.HandshakeMessage_ClientHello{
		Ephemeral: ephemeral.PublicKey().Bytes(),
	}}
	if err := writeMessage(frames, hello); err != nil {
		return nil, nil, err
	}
	remote, err := readServerHello(frames, state, ephemeral, root)
	if err != nil {
		return nil, nil, err
	}
	sealedStatic := state.seal(static.PublicKey().Bytes())
	if err := state.mixDH(static, remote); err != nil {
		return nil, nil, err
	}
	raw, err := proto.Marshal(payload)
	if err != nil {
		return nil, nil, fmt.Errorf("encode client payload: %w", err)
	}
	last := &waWa6.HandshakeMessage{ClientFinish: &waWa6.HandshakeMessage_ClientFinish{
		Static:  sealedStatic,
		Payload: state.seal(raw),
	}}
	if err := writeMessage(frames, last); err != nil {
		return nil, nil, err
	}
	out, in, err = state.split()
	return in, out, err
}

// readServerHello checks the server's keys and certificates and returns its ephemeral key.
func readServerHello(frames Frames, state *symmetric, ephemeral *ecdh.PrivateKey, root [32]byte) ([]byte, error) {
	message, err := readMessage(frames)
	if err != nil {
		return nil, err
	}
	hello := message.GetServerHello()
	remote := hello.GetEphemeral()
	if len(remote) != 32 {
		return nil, fmt.Errorf("%w: server hello has no key", ErrMalformed)
	}
	state.mixHash(remote)
	if err := state.mixDH(ephemeral, remote); err != nil {
		return nil, err
	}
	static, err := state.open(hello.GetStatic())
	if err != nil {
		return nil, err
	}
	if err := state.mixDH(ephemeral, static); err != nil {
		return nil, err
	}
	chain, err := state.open(hello.GetPayload())
	if err != nil {
		return nil, err
	}
	return remote, verifyChain(chain, root, static)
}

// verifyChain checks that the root vouches for the static key, by the same rules as the clients of WhatsApp.
func verifyChain(encoded []byte, root [32]byte, static []byte) error {
	var chain waCert.CertChain
	if err := proto.Unmarshal(encoded, &chain); err != nil {
		return fmt.Errorf("%w: certificate chain: %w", ErrMalformed, err)
	}
	middle, err := openCertificate(chain.GetIntermediate(), root, rootSerial)
	if err != nil {
		return fmt.Errorf("intermediate certificate: %w", err)
	}
	leaf, err := openCertificate(chain.GetLeaf(), [32]byte(middle.GetKey()), middle.GetSerial())
	if err != nil {
		return fmt.Errorf("leaf certificate: %w", err)
	}
	if string(leaf.GetKey()) != string(static) {
		return fmt.Errorf("%w: certificate is for another key", ErrMalformed)
	}
	return nil
}

func openCertificate(
	certificate *waCert.CertChain_NoiseCertificate, signer [32]byte, issuer uint32,
) (*waCert.CertChain_NoiseCertificate_Details, error) {
	if len(certificate.GetSignature()) != 64 ||
		!ecc.VerifySignature(ecc.NewDjbECPublicKey(signer), certificate.GetDetails(), [64]byte(certificate.GetSignature())) {
		return nil, fmt.Errorf("%w: bad signature", ErrMalformed)
	}
	details := &waCert.CertChain_NoiseCertificate_Details{}
	if err := proto.Unmarshal(certificate.GetDetails(), details); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	if len(details.GetKey()) != 32 || details.GetIssuerSerial() != issuer {
		return nil, fmt.Errorf("%w: wrong issuer or key", ErrMalformed)
	}
	return details, nil
}
