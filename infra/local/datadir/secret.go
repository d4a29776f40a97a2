package datadir

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"strings"
)

// Secret returns that many random bytes, made at the first call and kept in hex in a file of that name, which only its
// owner may read.
func (d *Dir) Secret(name string, size int) ([]byte, error) {
	content, err := d.Once(name, 0o600, func() []byte {
		secret := make([]byte, size)
		_, _ = rand.Read(secret) // never fails
		return []byte(hex.EncodeToString(secret) + "\n")
	})
	if err != nil {
		return nil, err
	}
	secret, err := hex.DecodeString(strings.TrimSpace(string(content)))
	if err != nil || len(secret) != size {
		return nil, fmt.Errorf("%s is damaged: it has to hold %d bytes in hex; restore it from a backup", d.Path(name), size)
	}
	return secret, nil
}
