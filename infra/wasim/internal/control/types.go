package control

import (
	"time"

	"wafleet/infra/wasim/internal/content"
)

// NewPhone is an account to be made.
type NewPhone struct {
	// Phone is the number in digits, with the country code.
	Phone string `json:"phone"`
	// Name is what others see beside its messages; the number if empty.
	Name string `json:"name"`
	// Online is false for a phone that receives only later; nil is true.
	Online *bool `json:"online"`
	// AutoDelivery is false for a phone that sends no delivery receipts; nil is true.
	AutoDelivery *bool `json:"autoDelivery"`
}

// Phone is a WhatsApp account with its phone.
type Phone struct {
	Phone        string      `json:"phone"`
	Name         string      `json:"name"`
	LID          string      `json:"lid"`
	Online       bool        `json:"online"`
	AutoDelivery bool        `json:"autoDelivery"`
	Companions   []Companion `json:"companions"`
	// Waiting is how many stanzas the phone has not received yet.
	Waiting int `json:"waiting"`
}

// Companion is a linked device.
type Companion struct {
	Device    uint16    `json:"device"`
	JID       string    `json:"jid"`
	LID       string    `json:"lid"`
	Platform  string    `json:"platform,omitempty"`
	LinkedAt  time.Time `json:"linkedAt"`
	Connected bool      `json:"connected"`
	// PreKeys is how many one-time prekeys the device has left on the server.
	PreKeys int `json:"preKeys"`
	// Waiting is how many stanzas the device has not acknowledged.
	Waiting int `json:"waiting"`
}

// Outgoing is a message that a phone writes.
type Outgoing struct {
	// To is the number of the other account.
	To string `json:"to"`
	// ID is the id of the message; a fresh one if empty.
	ID string `json:"id,omitempty"`
	content.Content
	// Media is the file of a message that has one; base64 in JSON.
	Media []byte `json:"mediaBase64,omitempty"`
	// LID addresses the message by hidden user ids instead of numbers.
	LID bool `json:"lid,omitempty"`
}

// Receipt is what a phone is told about messages it wrote.
type Receipt struct {
	IDs []string `json:"ids"`
	// From is the account that sent the receipt and FromDevice its device.
	From       string `json:"from"`
	FromDevice uint16 `json:"fromDevice"`
	// Type is delivery, read, played, or what else the protocol has.
	Type string `json:"type"`
	// ReceivedAt is in milliseconds since 1970.
	ReceivedAt int64 `json:"receivedAt"`
}

// Stats counts what has happened since the server was started.
type Stats struct {
	Connections Connections `json:"connections"`
	Logins      uint64      `json:"logins"`
	// Frames counts both directions.
	Frames uint64 `json:"frames"`
	// Messages counts messages that the server took in to be relayed, from companions and phones.
	Messages uint64 `json:"messages"`
	// Acks counts acknowledgements of messages that were sent to companions.
	Acks uint64 `json:"acks"`
	// Duplicates counts messages that came under an id which their device had used in the chat before.
	Duplicates uint64 `json:"duplicates"`
	// Undecryptable counts messages that phones could not read, and asked for again.
	Undecryptable uint64 `json:"undecryptable"`
	// Retries counts messages that phones encrypted again because a device asked for it.
	Retries uint64 `json:"retries"`
	// Lost counts stanzas that fell out of a full mailbox.
	Lost uint64 `json:"lost"`
	// ByAccount has the accounts with any traffic, by their numbers.
	ByAccount map[string]AccountStats `json:"byAccount"`
	// Unhandled counts stanzas that the simulator does not know.
	Unhandled map[string]uint64 `json:"unhandled"`
}

// Connections counts sockets that began to speak the protocol.
type Connections struct {
	Open  int64  `json:"open"`
	Total uint64 `json:"total"`
}

// AccountStats is the part of one account in the statistics.
type AccountStats struct {
	Logins      uint64 `json:"logins"`
	Connections int64  `json:"connections"`
	// Sent and Received count messages by any device of the account and to it.
	Sent     uint64 `json:"sent"`
	Received uint64 `json:"received"`
}

// Root is what a client must know to trust the server.
type Root struct {
	NoiseRoot string `json:"noiseRoot"`
	CAPEM     string `json:"caPem"`
	Endpoint  string `json:"endpoint"`
}
