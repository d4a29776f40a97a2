package message

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// Kind is what a message carries.
type Kind string

// The kinds of messages. Text can be sent; all can be received.
const (
	Text        Kind = "text"
	Image       Kind = "image"
	Video       Kind = "video"
	Audio       Kind = "audio"
	Voice       Kind = "voice"
	Document    Kind = "document"
	Sticker     Kind = "sticker"
	Location    Kind = "location"
	ContactCard Kind = "contact"
	Poll        Kind = "poll"
	Reaction    Kind = "reaction"
	Unsupported Kind = "unsupported" // of a kind this version does not know

	// These are only received.

	Edit          Kind = "edit"          // of a message that came before
	Revoke        Kind = "revoke"        // of a message that came before
	Vote          Kind = "vote"          // in a poll
	Call          Kind = "call"          // that was not answered here
	Undecryptable Kind = "undecryptable" // in the place of a message whose sender was asked for it again
)

// MaxTextLength is the predecessor's limit, in Unicode code points.
const MaxTextLength = 4096

// The ways in which content can be wrong.
var (
	ErrEmptyText   = errors.New("message must not be empty")
	ErrTextTooLong = fmt.Errorf("message must have at most %d characters", MaxTextLength)
	ErrUnknownKind = errors.New("type is not one that can be sent")
)

// Content is what the other side is to see. It is stored and queued sealed, as JSON.
type Content struct {
	Kind Kind   `json:"type"`
	Text string `json:"text,omitempty"`
}

// Validate returns what a caller has to mend, or nil.
func (c Content) Validate() error {
	if c.Kind != Text {
		return ErrUnknownKind
	}
	if strings.TrimSpace(c.Text) == "" {
		return ErrEmptyText
	}
	if utf8.RuneCountInString(c.Text) > MaxTextLength {
		return ErrTextTooLong
	}
	return nil
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
