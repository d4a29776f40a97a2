package message

import (
	"encoding/json"
	"errors"
	"fmt"

	"wafleet/shared/company"
)

// Envelope is one send on its way through the queue from the API to a host. The body is sealed with
// the company's data key before it is queued; a host stores it as it is.
type Envelope struct {
	CompanyID string `json:"companyId"`
	MessageID string `json:"messageId"`
	Body      []byte `json:"body"`
}

// ErrBadEnvelope says that a queued send cannot be read.
var ErrBadEnvelope = errors.New("queued send is unreadable")

// Encode returns the envelope as it travels.
func (e Envelope) Encode() ([]byte, error) {
	b, err := json.Marshal(e)
	if err != nil {
		return nil, fmt.Errorf("encode envelope: %w", err)
	}
	return b, nil
}

// DecodeEnvelope reads what Encode wrote, or returns ErrBadEnvelope together with whatever could be read.
func DecodeEnvelope(b []byte) (Envelope, error) {
	var e Envelope
	if err := json.Unmarshal(b, &e); err != nil {
		return e, fmt.Errorf("%w: %w", ErrBadEnvelope, err)
	}
	if err := company.CheckID(e.CompanyID); err != nil {
		return e, fmt.Errorf("%w: %w", ErrBadEnvelope, err)
	}
	if e.MessageID == "" || len(e.Body) == 0 {
		return e, fmt.Errorf("%w: id or body is missing", ErrBadEnvelope)
	}
	return e, nil
}

// BodyContext is the associated data a message's content is sealed with: it opens nowhere else.
func BodyContext(messageID string) string { return "messages.body|" + messageID }

// WireContext is BodyContext for the marshalled WhatsApp message.
func WireContext(messageID string) string { return "messages.wire|" + messageID }
