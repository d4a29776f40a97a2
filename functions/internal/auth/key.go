package auth

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"strings"

	"github.com/google/uuid"
)

const (
	keyPrefix = "wf_"
	keySize   = 32 // bytes: 256 bits
)

// NewKey returns a fresh API key.
func NewKey() string {
	random := make([]byte, keySize)
	_, _ = rand.Read(random) // never fails (crypto/rand.Read, Go 1.24)
	return keyPrefix + base64.RawURLEncoding.EncodeToString(random)
}

// NewKeyID returns a fresh id, by which people and logs may speak of a key.
func NewKeyID() string { return "key_" + strings.ReplaceAll(uuid.NewString(), "-", "") }

// Hash is what is stored of a key.
func Hash(key string) []byte {
	sum := sha256.Sum256([]byte(key))
	return sum[:]
}

// IsKey says whether a text has the form of a key. Others are not worth a question to the database.
func IsKey(text string) bool {
	encoded, ok := strings.CutPrefix(text, keyPrefix)
	if !ok {
		return false
	}
	random, err := base64.RawURLEncoding.Strict().DecodeString(encoded)
	return err == nil && len(random) == keySize
}
