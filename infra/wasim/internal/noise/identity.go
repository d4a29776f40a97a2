package noise

import (
	"crypto/ecdh"
	"crypto/rand"
	"fmt"
	"time"

	"go.mau.fi/libsignal/ecc"
	"go.mau.fi/whatsmeow/proto/waCert"
	"go.mau.fi/whatsmeow/util/keys"
	"google.golang.org/protobuf/proto"

	_ "wafleet/infra/wasim/internal/quiet" // The library is used from many goroutines.
)

// Serial numbers of the certificates. The root has none of its own: clients expect the intermediate to name issuer 0.
const (
	rootSerial         = 0
	intermediateSerial = 1
	leafSerial         = 2
)

// validity is how long the certificates hold, counted from a day before they are made: newer clients check both ends
// against their own clock, older ones check neither.
const validity = 10 * 365 * 24 * time.Hour

// Identity is the server's static key together with the chain that ties it to the root which clients trust.
type Identity struct {
	static *ecdh.PrivateKey
	chain  []byte
}

// NewIdentity makes a fresh static key and certifies it with the 32-byte private key of the root.
func NewIdentity(root [32]byte, now time.Time) (*Identity, error) {
	static, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make static key: %w", err)
	}
	intermediate := keys.NewKeyPair() // Signs, so it must be clamped, as this one is.
	middle, err := certify(root, intermediateSerial, rootSerial, intermediate.Pub[:], now)
	if err != nil {
		return nil, err
	}
	leaf, err := certify(*intermediate.Priv, leafSerial, intermediateSerial, static.PublicKey().Bytes(), now)
	if err != nil {
		return nil, err
	}
	chain, err := proto.Marshal(&waCert.CertChain{Leaf: leaf, Intermediate: middle})
	if err != nil {
		return nil, fmt.Errorf("encode certificate chain: %w", err)
	}
	return &Identity{static: static, chain: chain}, nil
}

// certify signs a key by XEdDSA over the encoded details of its certificate.
func certify(signer [32]byte, serial, issuer uint32, key []byte, now time.Time) (*waCert.CertChain_NoiseCertificate, error) {
	from := now.Add(-24 * time.Hour)
	details, err := proto.Marshal(&waCert.CertChain_NoiseCertificate_Details{
		Serial:       new(serial),
		IssuerSerial: new(issuer),
		Key:          key,
		NotBefore:    new(uint64(from.Unix())),               //nolint:gosec // A time after 1970.
		NotAfter:     new(uint64(from.Add(validity).Unix())), //nolint:gosec // A time after 1970.
	})
	if err != nil {
		return nil, fmt.Errorf("encode certificate: %w", err)
	}
	signature := ecc.CalculateSignature(ecc.NewDjbECPrivateKey(signer), details)
	return &waCert.CertChain_NoiseCertificate{Details: details, Signature: signature[:]}, nil
}
