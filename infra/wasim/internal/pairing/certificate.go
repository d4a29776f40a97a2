package pairing

import (
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"time"

	"go.mau.fi/libsignal/ecc"
	"go.mau.fi/whatsmeow/proto/waAdv"
	"go.mau.fi/whatsmeow/util/keys"
	"google.golang.org/protobuf/proto"

	_ "wafleet/infra/wasim/internal/quiet" // The library is used from many goroutines.
)

// ErrSignature marks a companion that does not prove its identity key.
var ErrSignature = errors.New("device signature is wrong")

// What is signed begins with who signs it.
var (
	byAccount = []byte{6, 0}
	byDevice  = []byte{6, 1}
)

// Certificate is a phone's word that a companion belongs to its account.
type Certificate struct {
	details   []byte
	companion [32]byte
	account   [32]byte
	// Container is what the companion is sent, sealed with the secret of the QR or of the code.
	Container []byte
}

// Issue certifies a companion's identity key. The key index numbers the companions of an account.
func Issue(account *keys.KeyPair, companion [32]byte, secret []byte, keyIndex uint32, now time.Time) (*Certificate, error) {
	details, err := proto.Marshal(&waAdv.ADVDeviceIdentity{
		RawID:       proto.Uint32(1),
		Timestamp:   new(uint64(now.Unix())), //nolint:gosec // A time after 1970.
		KeyIndex:    new(keyIndex),
		AccountType: waAdv.ADVEncryptionType_E2EE.Enum(),
		DeviceType:  waAdv.ADVEncryptionType_E2EE.Enum(),
	})
	if err != nil {
		return nil, fmt.Errorf("encode device identity: %w", err)
	}
	signature := ecc.CalculateSignature(
		ecc.NewDjbECPrivateKey(*account.Priv), slices.Concat(byAccount, details, companion[:]))
	signed, err := proto.Marshal(&waAdv.ADVSignedDeviceIdentity{
		Details: details, AccountSignatureKey: account.Pub[:], AccountSignature: signature[:],
	})
	if err != nil {
		return nil, fmt.Errorf("encode signed identity: %w", err)
	}
	mac := hmac.New(sha256.New, secret)
	mac.Write(signed)
	container, err := proto.Marshal(&waAdv.ADVSignedDeviceIdentityHMAC{Details: signed, HMAC: mac.Sum(nil)})
	if err != nil {
		return nil, fmt.Errorf("encode identity container: %w", err)
	}
	return &Certificate{details: details, companion: companion, account: *account.Pub, Container: container}, nil
}

// Confirm checks the companion's own signature under the certificate, with which it accepts the pairing.
func (c *Certificate) Confirm(selfSigned []byte) error {
	var identity waAdv.ADVSignedDeviceIdentity
	if err := proto.Unmarshal(selfSigned, &identity); err != nil {
		return fmt.Errorf("%w: %w", ErrSignature, err)
	}
	signed := slices.Concat(byDevice, c.details, c.companion[:], c.account[:])
	if len(identity.GetDeviceSignature()) != 64 || !ecc.VerifySignature(
		ecc.NewDjbECPublicKey(c.companion), signed, [64]byte(identity.GetDeviceSignature())) {
		return ErrSignature
	}
	return nil
}
