package pairing

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdh"
	"crypto/hkdf"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strings"

	"go.mau.fi/whatsmeow/util/keys"
)

// ErrCode marks a code that is not one, or not the one that the companion shows.
var ErrCode = errors.New("wrong pairing code")

const (
	codeLetters    = "123456789ABCDEFGHJKLMNPQRSTVWXYZ"
	codeLength     = 8
	codeIterations = 2 << 16
	saltSize       = 32
	ivSize         = 16
	wrappedSize    = saltSize + ivSize + 32
	nonceSize      = 12
	bundleInfo     = "link_code_pairing_key_bundle_encryption_key"
	secretInfo     = "adv_secret"
)

// NormalizeCode brings a code into the form in which it is a key: "abcd-efgh" becomes "ABCDEFGH".
func NormalizeCode(code string) (string, error) {
	code = strings.ToUpper(strings.Map(func(r rune) rune {
		if r == '-' || r == ' ' {
			return -1
		}
		return r
	}, code))
	if len(code) != codeLength || strings.Trim(code, codeLetters) != "" {
		return "", fmt.Errorf("%w: %d letters of %s expected", ErrCode, codeLength, codeLetters)
	}
	return code, nil
}

// Exchange is the phone's side of pairing by code, from entering the code to the companion's last message.
type Exchange struct {
	account   *keys.KeyPair
	companion *ecdh.PublicKey // the companion's ephemeral key, as the code reveals it
	ephemeral *ecdh.PrivateKey
	// Wrapped is the phone's ephemeral key under the code, for the companion.
	Wrapped []byte
}

// EnterCode begins the exchange: it reads the companion's ephemeral key with the code and answers with the phone's. That
// the code is wrong shows only at the end.
func EnterCode(account *keys.KeyPair, code string, companionWrapped []byte) (*Exchange, error) {
	if len(companionWrapped) != wrappedSize {
		return nil, fmt.Errorf("%w: companion sent a key of %d bytes", ErrCode, len(companionWrapped))
	}
	revealed, err := cryptWithCode(code, companionWrapped[:saltSize], companionWrapped[saltSize:saltSize+ivSize],
		companionWrapped[saltSize+ivSize:])
	if err != nil {
		return nil, err
	}
	companion, err := ecdh.X25519().NewPublicKey(revealed)
	if err != nil {
		return nil, fmt.Errorf("read companion key: %w", err)
	}
	ephemeral, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make ephemeral key: %w", err)
	}
	head := make([]byte, saltSize+ivSize)
	_, _ = rand.Read(head)
	hidden, err := cryptWithCode(code, head[:saltSize], head[saltSize:], ephemeral.PublicKey().Bytes())
	if err != nil {
		return nil, err
	}
	return &Exchange{
		account: account, companion: companion, ephemeral: ephemeral, Wrapped: slices.Concat(head, hidden),
	}, nil
}

// Finish opens the companion's key bundle and returns the secret that both sides now share. A wrong code ends here.
func (e *Exchange) Finish(wrappedBundle []byte, companionIdentity [32]byte) (secret []byte, err error) {
	if len(wrappedBundle) < saltSize+nonceSize {
		return nil, fmt.Errorf("%w: short key bundle", ErrCode)
	}
	shared, err := e.ephemeral.ECDH(e.companion)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrCode, err)
	}
	bundle, err := openBundle(wrappedBundle, shared)
	if err != nil {
		return nil, err
	}
	if len(bundle) != 96 || !slices.Equal(bundle[:32], companionIdentity[:]) || !slices.Equal(bundle[32:64], e.account.Pub[:]) {
		return nil, fmt.Errorf("%w: key bundle is for others", ErrCode)
	}
	identities, err := agree(e.account, companionIdentity)
	if err != nil {
		return nil, err
	}
	secret, err = hkdf.Key(sha256.New, slices.Concat(shared, identities, bundle[64:]), nil, secretInfo, 32)
	if err != nil {
		return nil, fmt.Errorf("derive pairing secret: %w", err)
	}
	return secret, nil
}

func openBundle(wrapped, shared []byte) ([]byte, error) {
	key, err := hkdf.Key(sha256.New, shared, wrapped[:saltSize], bundleInfo, 32)
	if err != nil {
		return nil, fmt.Errorf("derive bundle key: %w", err)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("prepare cipher: %w", err)
	}
	gcm, err := cipher.NewGCM(block)
	if err != nil {
		return nil, fmt.Errorf("prepare cipher: %w", err)
	}
	bundle, err := gcm.Open(nil, wrapped[saltSize:saltSize+nonceSize], wrapped[saltSize+nonceSize:], nil)
	if err != nil {
		return nil, ErrCode
	}
	return bundle, nil
}

// agree is the shared secret of the two identity keys.
func agree(account *keys.KeyPair, companion [32]byte) ([]byte, error) {
	private, err := ecdh.X25519().NewPrivateKey(account.Priv[:])
	if err != nil {
		return nil, fmt.Errorf("read identity key: %w", err)
	}
	public, err := ecdh.X25519().NewPublicKey(companion[:])
	if err != nil {
		return nil, fmt.Errorf("read companion identity: %w", err)
	}
	shared, err := private.ECDH(public)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrCode, err)
	}
	return shared, nil
}

// cryptWithCode encrypts or decrypts a key under the code; it is its own inverse.
func cryptWithCode(code string, salt, iv, key []byte) ([]byte, error) {
	derived, err := pbkdf2.Key(sha256.New, code, salt, codeIterations, 32)
	if err != nil {
		return nil, fmt.Errorf("derive code key: %w", err)
	}
	block, err := aes.NewCipher(derived)
	if err != nil {
		return nil, fmt.Errorf("prepare cipher: %w", err)
	}
	crypted := make([]byte, len(key))
	cipher.NewCTR(block, iv).XORKeyStream(crypted, key)
	return crypted, nil
}
