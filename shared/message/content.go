package message

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
)

// Content is what the other side is to see, or what it sent. It is stored and queued sealed, as JSON. Which of the parts
// are there depends on the kind; the table in validate.go says it for what can be sent.
type Content struct {
	Kind Kind `json:"type"`
	// Text is the text, the caption of media, the question of a poll, the emoji of a reaction (none takes it back), the new
	// text of an edit.
	Text string `json:"text,omitempty"`

	Media    *Media        `json:"media,omitempty"`
	Location *Place        `json:"location,omitempty"`
	Contact  *VisitingCard `json:"contact,omitempty"`
	Poll     *PollOptions  `json:"poll,omitempty"`
	Preview  *LinkPreview  `json:"preview,omitempty"` // of a link in the text

	Target   *Ref     `json:"target,omitempty"`  // what a reaction, an edit or a revoke is about
	ReplyTo  *Ref     `json:"replyTo,omitempty"` // the message that this one answers
	Mentions []string `json:"mentions,omitempty"`
}

// Place is a point on the map.
type Place struct {
	Latitude  float64 `json:"latitude"`
	Longitude float64 `json:"longitude"`
	Name      string  `json:"name,omitempty"`
	Address   string  `json:"address,omitempty"`
}

// VisitingCard is somebody's visiting card.
type VisitingCard struct {
	Name  string `json:"name"`
	Phone string `json:"phone"` // digits
}

// PollOptions are what a poll lets people choose from.
type PollOptions struct {
	Options    []string `json:"options"`
	MaxChoices int      `json:"maxChoices"` // how many of them one may choose; 0: any number
}

// LinkPreview is what is shown of the page behind a link.
type LinkPreview struct {
	URL         string `json:"url"`
	Title       string `json:"title"`
	Description string `json:"description,omitempty"`
	Thumbnail   []byte `json:"thumbnail,omitempty"` // JPEG
}

// Ref points at another message of the chat.
type Ref struct {
	MessageID   string `json:"messageId"`   // ours
	WAMessageID string `json:"waMessageId"` // WhatsApp's, the same for what we sent
	FromMe      bool   `json:"fromMe,omitempty"`
	Chat        string `json:"chat"`             // address, see ParseRecipient
	Sender      string `json:"sender,omitempty"` // address; empty where it is us
	Kind        Kind   `json:"type,omitempty"`   // with Text what is shown of a message that is answered
	Text        string `json:"text,omitempty"`
}

// Encode returns the content as JSON.
func (c Content) Encode() ([]byte, error) {
	b, err := json.Marshal(c)
	if err != nil {
		return nil, fmt.Errorf("encode content: %w", err)
	}
	return b, nil
}

// DecodeContent reads what Encode wrote.
func DecodeContent(b []byte) (Content, error) {
	var c Content
	if err := json.Unmarshal(b, &c); err != nil {
		return Content{}, fmt.Errorf("decode content: %w", err)
	}
	return c, nil
}

// Hash tells whether two calls with one idempotency key ask for the same thing: it covers the
// recipient and everything that shapes the message.
func (c Content) Hash(to string, options any) ([]byte, error) {
	b, err := json.Marshal(struct {
		To      string  `json:"to"`
		Content Content `json:"content"`
		Options any     `json:"options,omitempty"`
	}{to, c, options})
	if err != nil {
		return nil, fmt.Errorf("hash content: %w", err)
	}
	sum := sha256.Sum256(b)
	return sum[:], nil
}
