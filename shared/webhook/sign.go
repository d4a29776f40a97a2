package webhook

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

// The headers of a signed request.
const (
	HeaderID        = standardwebhooks.HeaderWebhookID
	HeaderTimestamp = standardwebhooks.HeaderWebhookTimestamp
	HeaderSignature = standardwebhooks.HeaderWebhookSignature
	// HeaderLegacySignature carries the predecessor's signature, for endpoints that asked for it.
	HeaderLegacySignature = "x-signature"
)

// ErrNotAuthentic says that a request was not signed with any of the receiver's secrets, or that its time is missing or
// more than 5 minutes off.
var ErrNotAuthentic = errors.New("webhook is not authentic")

// Signer signs what goes to one endpoint.
type Signer struct {
	webhooks  []*standardwebhooks.Webhook
	legacyKey []byte // nil: no legacy signature
}

// NewSigner returns the signer of an endpoint. While its secret is being rotated, previous is the old one and every
// request carries a signature of both; otherwise previous is empty. A legacy endpoint also gets the predecessor's
// signature, which holds one value only: the old secret's until the rotation ends. The error is ErrInvalidSecret.
func NewSigner(current, previous Secret, legacy bool) (*Signer, error) {
	secrets := []Secret{current}
	if previous != "" {
		secrets = append(secrets, previous)
	}
	s := &Signer{}
	for _, secret := range secrets {
		key, err := secret.key()
		if err != nil {
			return nil, err
		}
		w, err := standardwebhooks.NewWebhookRaw(key)
		if err != nil {
			return nil, fmt.Errorf("use webhook secret: %w", err)
		}
		s.webhooks = append(s.webhooks, w)
		if legacy {
			s.legacyKey = key
		}
	}
	return s, nil
}

// Sign sets the headers that authenticate the body as the event id, sent at this time.
func (s *Signer) Sign(header http.Header, id string, at time.Time, body []byte) error {
	signatures := make([]string, 0, len(s.webhooks))
	for _, w := range s.webhooks {
		signature, err := w.Sign(id, at, body)
		if err != nil {
			return fmt.Errorf("sign webhook: %w", err)
		}
		signatures = append(signatures, signature)
	}
	header.Set(HeaderID, id)
	header.Set(HeaderTimestamp, strconv.FormatInt(at.Unix(), 10))
	header.Set(HeaderSignature, strings.Join(signatures, " "))
	if s.legacyKey != nil {
		mac := hmac.New(sha256.New, s.legacyKey)
		mac.Write(body)
		header.Set(HeaderLegacySignature, hex.EncodeToString(mac.Sum(nil)))
	}
	return nil
}

// Verify is for receivers: it returns nil if the raw body and the headers of a request were signed with one of the
// secrets within the last 5 minutes, else an error that wraps ErrNotAuthentic or ErrInvalidSecret.
func Verify(body []byte, header http.Header, secrets ...Secret) error {
	err := errors.New("no secret to check against")
	for _, secret := range secrets {
		key, keyErr := secret.key()
		if keyErr != nil {
			return keyErr
		}
		w, keyErr := standardwebhooks.NewWebhookRaw(key)
		if keyErr != nil {
			return fmt.Errorf("use webhook secret: %w", keyErr)
		}
		if err = w.Verify(body, header); err == nil {
			return nil
		}
	}
	return fmt.Errorf("%w: %w", ErrNotAuthentic, err)
}
