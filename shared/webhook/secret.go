package webhook

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"log/slog"
	"strings"
)

const (
	secretPrefix = "whsec_"
	// secretSize is what NewSecret takes; Standard Webhooks allows minSecretSize to maxSecretSize bytes.
	secretSize, minSecretSize, maxSecretSize = 32, 24, 64
)

// ErrInvalidSecret says that a text is not a "whsec_" secret of 24 to 64 bytes.
var ErrInvalidSecret = errors.New(`webhook secret must be "whsec_" and 24 to 64 bytes in base64`)

// Secret is the key that one endpoint and we share, as it is shown to the customer. It logs as "[redacted]".
type Secret string

var _ slog.LogValuer = Secret("")

// NewSecret returns a fresh secret.
func NewSecret() Secret {
	key := make([]byte, secretSize)
	_, _ = rand.Read(key) // never fails (crypto/rand.Read, Go 1.24)
	return Secret(secretPrefix + base64.StdEncoding.EncodeToString(key))
}

// ParseSecret checks a text that should be a secret, or returns ErrInvalidSecret.
func ParseSecret(text string) (Secret, error) {
	if _, err := Secret(text).key(); err != nil {
		return "", err
	}
	return Secret(text), nil
}

// LogValue keeps the secret out of logs.
func (Secret) LogValue() slog.Value { return slog.StringValue("[redacted]") }

// key decodes the secret.
func (s Secret) key() ([]byte, error) {
	encoded, ok := strings.CutPrefix(string(s), secretPrefix)
	if !ok {
		return nil, ErrInvalidSecret
	}
	key, err := base64.StdEncoding.Strict().DecodeString(encoded)
	if err != nil || len(key) < minSecretSize || len(key) > maxSecretSize {
		return nil, ErrInvalidSecret // the decoder's own error would quote the secret
	}
	return key, nil
}

// SecretContext is the associated data an endpoint's secret is sealed with in the database.
func SecretContext(endpointID string) string { return "webhook_endpoints.secret|" + endpointID }
