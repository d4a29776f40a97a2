package pairing

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
)

// ErrQR marks a text that is not a pairing QR.
var ErrQR = errors.New("not a pairing QR")

// QR is what a companion shows to be scanned.
type QR struct {
	Ref string
	// Noise and Identity are the companion's public keys.
	Noise, Identity [32]byte
	// Secret authenticates the phone's answer. The servers never see it.
	Secret []byte
}

// ParseQR reads "ref,noise,identity,secret", with a platform number behind it in newer clients, and with an address that
// ends in '#' before it.
func ParseQR(text string) (QR, error) {
	if i := strings.LastIndexByte(text, '#'); i >= 0 {
		text = text[i+1:]
	}
	parts := strings.Split(strings.TrimSpace(text), ",")
	if len(parts) != 4 && len(parts) != 5 {
		return QR{}, fmt.Errorf("%w: %d parts", ErrQR, len(parts))
	}
	var keys [3][]byte
	for i := range keys {
		key, err := base64.StdEncoding.DecodeString(parts[i+1])
		if err != nil || len(key) != 32 {
			return QR{}, fmt.Errorf("%w: part %d is no key", ErrQR, i+2)
		}
		keys[i] = key
	}
	if parts[0] == "" {
		return QR{}, fmt.Errorf("%w: no reference", ErrQR)
	}
	return QR{Ref: parts[0], Noise: [32]byte(keys[0]), Identity: [32]byte(keys[1]), Secret: keys[2]}, nil
}
