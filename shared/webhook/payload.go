package webhook

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/google/uuid"
)

// ContentType is the media type of every webhook body.
const ContentType = "application/json"

// EventID is the id of an event as customers see it: in webhook-id, in the payload, in the event log.
func EventID(id uuid.UUID) string { return "evt_" + id.String() }

// Payload is the body of a webhook, and an entry of the event log.
type Payload struct {
	ID        string          `json:"id"`
	Type      string          `json:"type"`
	Timestamp time.Time       `json:"timestamp"`
	CompanyID string          `json:"companyId"`
	Sequence  int64           `json:"sequence"`
	Data      json.RawMessage `json:"data"`
}

// Encode returns the bytes to sign and to send. Encode once per attempt: a signature covers bytes, not their meaning.
func (p Payload) Encode() ([]byte, error) {
	p.Timestamp = p.Timestamp.UTC()
	b, err := json.Marshal(p)
	if err != nil {
		return nil, fmt.Errorf("encode webhook payload: %w", err)
	}
	return b, nil
}
