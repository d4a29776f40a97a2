package wa

import (
	"fmt"

	"go.mau.fi/whatsmeow/proto/waE2E"

	"wafleet/shared/message"
)

// encode turns content into WhatsApp's message.
func encode(c message.Content) (*waE2E.Message, error) {
	if err := c.Validate(); err != nil {
		return nil, fmt.Errorf("encode %s: %w", c.Kind, err)
	}
	return &waE2E.Message{Conversation: new(c.Text)}, nil
}
