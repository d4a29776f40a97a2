package message

import "time"

// Contact names a person: by phone number, by WhatsApp's hidden id (LID), by the name they show, as far as known. A chat
// of many is named by Group alone, in WhatsApp's form: a group, a broadcast or a channel.
type Contact struct {
	Phone string `json:"phone,omitempty"`
	LID   string `json:"lid,omitempty"`
	Group string `json:"group,omitempty"`
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
