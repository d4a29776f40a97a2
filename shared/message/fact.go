package message

import "time"

// Contact names a person: by phone number, by WhatsApp's hidden id (LID), by the name they show, as far as known.
type Contact struct {
	Phone string `json:"phone,omitempty"`
	LID   string `json:"lid,omitempty"`
	Name  string `json:"name,omitempty"`
}

// Progress is what an event tells of an outgoing message.
type Progress struct {
	MessageID string    `json:"messageId"`
	Status    Status    `json:"status"`
	To        Contact   `json:"to"`
	Kind      Kind      `json:"type"`
	ClientRef string    `json:"clientRef,omitempty"`
	Reason    string    `json:"reason,omitempty"`
	Timestamp time.Time `json:"timestamp"`
}

// Incoming is what an event tells of a message that a company got.
type Incoming struct {
	MessageID   string    `json:"messageId"`
	WAMessageID string    `json:"waMessageId"`
	From        Contact   `json:"from"`
	Chat        Contact   `json:"chat"`
	Kind        Kind      `json:"type"`
	Text        string    `json:"text,omitempty"`
	Timestamp   time.Time `json:"timestamp"`
	// Suppressed says that the sender has opted out by this very message.
	Suppressed bool `json:"suppressed,omitempty"`
}
