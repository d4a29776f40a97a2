package message

import (
	"encoding/json"
	"fmt"
	"time"
)

// Incoming is what an event tells of a message that a company got.
type Incoming struct {
	MessageID   string    `json:"messageId"`
	WAMessageID string    `json:"waMessageId"`
	From        Contact   `json:"from"`
	Chat        Contact   `json:"chat"`
	Timestamp   time.Time `json:"timestamp"`
	// Suppressed says that the sender has opted out by this very message.
	Suppressed bool `json:"suppressed,omitempty"`
	Said
}

// Said is what an incoming message says: its kind, its words, and the parts that its kind has. It is stored sealed, as
// JSON; customers read the same JSON in events and in GET /messages, so that fields are only ever added.
type Said struct {
	Kind Kind   `json:"type"`
	Text string `json:"text,omitempty"` // the caption, the name of a place or a person, the question, the emoji, the new text

	Media    *Media     `json:"media,omitempty"`
	Location *Position  `json:"location,omitempty"`
	Contacts []Card     `json:"contacts,omitempty"`
	Poll     *Ballot    `json:"poll,omitempty"`
	Vote     *Ticks     `json:"vote,omitempty"`
	Choice   *Choice    `json:"choice,omitempty"`
	Call     *Ring      `json:"call,omitempty"`
	Preview  *Preview   `json:"preview,omitempty"`
	Target   *Reference `json:"target,omitempty"` // the message that a reaction, edit, revoke or vote is about
	ReplyTo  *Reference `json:"replyTo,omitempty"`
	Mentions []Contact  `json:"mentions,omitempty"`
	Field    string     `json:"field,omitempty"` // of an unsupported message: the name of its kind in WhatsApp's protocol
	Reason   string     `json:"reason,omitempty"`

	Forwarded        bool   `json:"forwarded,omitempty"`
	ViewOnce         bool   `json:"viewOnce,omitempty"`
	ExpiresInSeconds int    `json:"expiresIn,omitempty"`    // of a disappearing message
	Original         string `json:"originalText,omitempty"` // of an edited message: what it said at first
}

// Position is a place, or where somebody is at the moment.
type Position struct {
	Latitude  float64 `json:"latitude"`
	Longitude float64 `json:"longitude"`
	Name      string  `json:"name,omitempty"`
	Address   string  `json:"address,omitempty"`
	URL       string  `json:"url,omitempty"`
	Live      bool    `json:"live,omitempty"`
	Accuracy  int     `json:"accuracy,omitempty"` // in metres
	Sequence  int64   `json:"sequence,omitempty"` // rises with each update of a live location
}

// Card is a person as an address book has it.
type Card struct {
	Name   string   `json:"name,omitempty"`
	Phones []string `json:"phones,omitempty"`
	VCard  string   `json:"vcard,omitempty"`
}

// Ballot is a poll that was put to a chat.
type Ballot struct {
	Question   string   `json:"question"`
	Options    []string `json:"options"`
	MaxChoices int      `json:"maxChoices,omitempty"` // 0: any number
}

// Ticks is somebody's answer to a poll, which replaces the one before. None at all takes it back.
type Ticks struct {
	Options []string `json:"options"`          // by name, as far as the poll is known
	Hashes  []string `json:"hashes,omitempty"` // SHA-256 of those that are not
}

// Choice is what was picked from buttons or a list.
type Choice struct {
	ID          string `json:"id"`
	Title       string `json:"title,omitempty"`
	Description string `json:"description,omitempty"`
	Params      string `json:"params,omitempty"` // the JSON of a form that was filled in
}

// Ring is a call.
type Ring struct {
	Video bool `json:"video"`
	Group bool `json:"group,omitempty"`
}

// Preview is what a sender's phone shows of a link.
type Preview struct {
	URL         string `json:"url"`
	Title       string `json:"title,omitempty"`
	Description string `json:"description,omitempty"`
}

// Reference is another message. MessageID is our id for it, empty if this company has never seen it.
type Reference struct {
	MessageID   string   `json:"messageId,omitempty"`
	WAMessageID string   `json:"waMessageId"`
	FromMe      bool     `json:"fromMe"`
	From        *Contact `json:"from,omitempty"`
	Kind        Kind     `json:"type,omitempty"` // what was quoted
	Text        string   `json:"text,omitempty"`
}

// Encode returns what was said as JSON.
func (s Said) Encode() ([]byte, error) {
	b, err := json.Marshal(s)
	if err != nil {
		return nil, fmt.Errorf("encode what was said: %w", err)
	}
	return b, nil
}

// DecodeSaid reads what Encode wrote.
func DecodeSaid(b []byte) (Said, error) {
	var s Said
	if err := json.Unmarshal(b, &s); err != nil {
		return Said{}, fmt.Errorf("decode what was said: %w", err)
	}
	return s, nil
}

// EventType is the type of the event that tells of such a message.
func (s Said) EventType() string {
	switch s.Kind {
	case Edit:
		return "message.edited"
	case Revoke:
		return "message.revoked"
	case Reaction:
		return "message.reaction"
	default:
		return Received.EventType()
	}
}
