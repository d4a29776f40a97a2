package noise

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdh"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
)

// pattern is the protocol name. It is exactly 32 bytes long, so it is the initial hash itself.
const pattern = "Noise_XX_25519_AESGCM_SHA256\x00\x00\x00\x00"

// symmetric is the running state of a handshake: what both sides have hashed and mixed so far.
type symmetric struct {
	hash    [32]byte
	salt    []byte
	key     cipher.AEAD
	counter uint32
}

func newSymmetric(prologue []byte) (*symmetric, error) {
	s := &symmetric{hash: [32]byte([]byte(pattern)), salt: []byte(pattern)}
	key, err := newAEAD([]byte(pattern))
	if err != nil {
		return nil, err
	}
	s.key = key
	s.mixHash(prologue)
	return s, nil
}

func (s *symmetric) mixHash(data []byte) {
	s.hash = sha256.Sum256(append(s.hash[:], data...))
}

// mixDH mixes the shared secret of a private and a public key into the state.
func (s *symmetric) mixDH(private *ecdh.PrivateKey, public []byte) error {
	remote, err := ecdh.X25519().NewPublicKey(public)
	if err != nil {
		return fmt.Errorf("read public key: %w", err)
	}
	secret, err := private.ECDH(remote)
	if err != nil {
		return fmt.Errorf("agree on secret: %w", err)
	}
	salt, key, err := s.expand(secret)
	if err != nil {
		return err
	}
	s.salt, s.counter = salt, 0
	s.key, err = newAEAD(key)
	return err
}

func (s *symmetric) expand(secret []byte) (first, second []byte, err error) {
	both, err := hkdf.Key(sha256.New, secret, s.salt, "", 64)
	if err != nil {
		return nil, nil, fmt.Errorf("expand keys: %w", err)
	}
	return both[:32], both[32:], nil
}

func (s *symmetric) seal(plaintext []byte) []byte {
	sealed := s.key.Seal(nil, nonce(s.counter), plaintext, s.hash[:])
	s.counter++
	s.mixHash(sealed)
	return sealed
}

func (s *symmetric) open(sealed []byte) ([]byte, error) {
	plaintext, err := s.key.Open(nil, nonce(s.counter), sealed, s.hash[:])
	if err != nil {
		return nil, fmt.Errorf("decrypt handshake field: %w", err)
	}
	s.counter++
	s.mixHash(sealed)
	return plaintext, nil
}

// split ends the handshake: the first cipher encrypts from client to server, the second from server to client.
func (s *symmetric) split() (fromClient, fromServer *Cipher, err error) {
	first, second, err := s.expand(nil)
	if err != nil {
		return nil, nil, err
	}
	clientKey, err := newAEAD(first)
	if err != nil {
		return nil, nil, err
	}
	serverKey, err := newAEAD(second)
	if err != nil {
		return nil, nil, err
	}
	return &Cipher{key: clientKey}, &Cipher{key: serverKey}, nil
}

// Cipher encrypts or decrypts the frames of one direction of a connection, in their order. It is not safe for
// concurrent use.
type Cipher struct {
	key     cipher.AEAD
	counter uint32
}

// Seal appends the encrypted frame to dst and returns the extended slice.
func (c *Cipher) Seal(dst, plaintext []byte) []byte {
	sealed := c.key.Seal(dst, nonce(c.counter), plaintext, nil)
	c.counter++
	return sealed
}

// Overhead is how many bytes longer a frame gets by Seal.
func (c *Cipher) Overhead() int { return c.key.Overhead() }

// Open decrypts the next frame in place.
func (c *Cipher) Open(sealed []byte) ([]byte, error) {
	plaintext, err := c.key.Open(sealed[:0], nonce(c.counter), sealed, nil)
	if err != nil {
		return nil, fmt.Errorf("decrypt frame %d: %w", c.counter, err)
	}
	c.counter++
	return plaintext, nil
}

func newAEAD(key []byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("prepare cipher: %w", err)
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		return nil, fmt.Errorf("prepare cipher: %w", err)
	}
	return aead, nil
}

func nonce(counter uint32) []byte {
	iv := make([]byte, 12)
	binary.BigEndian.PutUint32(iv[8:], counter)
	return iv
}
