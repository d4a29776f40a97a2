package wa

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.mau.fi/whatsmeow"
	"go.mau.fi/whatsmeow/types"

	"wafleet/shared/rpc"
)

// MarkRead tells the sender of a message that it was read, as far as the account's privacy settings want that.
func (c *Conn) MarkRead(ctx context.Context, m rpc.ReadMark) error {
	if !c.online() {
		return fmt.Errorf("mark read: %w", whatsmeow.ErrNotLoggedIn)
	}
	if err := c.client.MarkRead(ctx, []types.MessageID{m.WAMessageID}, time.Now(), jidOf(m.Chat), jidOf(m.Sender)); err != nil {
		return fmt.Errorf("mark read: %w", err)
	}
	return nil
}

// ShowTyping shows a chat that somebody writes, or does no longer. WhatsApp passes that on only from accounts that are
// available, and while one is, its phone is quiet; so it is available no longer than that.
func (c *Conn) ShowTyping(ctx context.Context, t rpc.Typing) error {
	if !c.online() {
		return fmt.Errorf("show typing: %w", whatsmeow.ErrNotLoggedIn)
	}
	state, media := types.ChatPresenceComposing, types.ChatPresenceMediaText
	switch t.State {
	case rpc.Recording:
		media = types.ChatPresenceMediaAudio
	case rpc.Paused:
		state = types.ChatPresencePaused
	case rpc.Composing:
	}
	if state == types.ChatPresenceComposing {
		if err := c.presence(ctx, types.PresenceAvailable); err != nil {
			return err
		}
	}
	if err := c.client.SendChatPresence(ctx, jidOf(t.Chat), state, media); err != nil {
		return fmt.Errorf("show typing: %w", err)
	}
	if state == types.ChatPresencePaused {
		return c.presence(ctx, types.PresenceUnavailable)
	}
	return nil
}

// presence does nothing for an account that has no name yet, which WhatsApp would refuse.
func (c *Conn) presence(ctx context.Context, presence types.Presence) error {
	err := c.client.SendPresence(ctx, presence)
	if err != nil && !errors.Is(err, whatsmeow.ErrNoPushName) {
		return fmt.Errorf("show presence: %w", err)
	}
	return nil
}
