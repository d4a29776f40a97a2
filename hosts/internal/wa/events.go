package wa

import (
	"context"
	"fmt"

	"go.mau.fi/whatsmeow/types"
	"go.mau.fi/whatsmeow/types/events"

	"wafleet/hosts/internal/actor"
	"wafleet/shared/message"
)

// handle is whatsmeow's event handler. False keeps WhatsApp from being acked, so that it sends again.
func (c *Conn) handle(event any) (ok bool) {
	// whatsmeow counts a panic as success (client.go, dispatchEvent) and would ack what nobody stored.
	defer func() {
		if cause := recover(); cause != nil {
			c.logger.ErrorContext(c.context(), "event handler panicked", "event", fmt.Sprintf("%T", event), "cause", fmt.Sprint(cause))
			ok = false
		}
	}()
	switch e := event.(type) {
	case *events.Message:
		return c.received("message", func(ctx context.Context, d decoder) (actor.Incoming, error) { return d.decode(ctx, e) })
	case *events.UndecryptableMessage: // whatsmeow acks it whatever comes of this; the message itself comes again
		return c.received("placeholder", func(ctx context.Context, d decoder) (actor.Incoming, error) { return d.undecryptable(ctx, e) })
	case *events.CallOffer:
		_, video := e.Data.GetOptionalChildByTag("video")
		return c.received("call", func(ctx context.Context, d decoder) (actor.Incoming, error) {
			return d.called(ctx, e.BasicCallMeta, message.Ring{Video: video})
		})
	case *events.CallOfferNotice: // of a call in a group
		return c.received("call", func(ctx context.Context, d decoder) (actor.Incoming, error) {
			return d.called(ctx, e.BasicCallMeta, message.Ring{Video: e.Media == "video", Group: e.Type == "group"})
		})
	case *events.Receipt:
		if r, relevant := receipt(e); relevant {
			return c.durably("receipt", func(ctx context.Context) error { return c.handlers.Receipt(ctx, r) })
		}
		return true
	case *events.MediaRetry:
		return c.durably("reupload", func(ctx context.Context) error { return c.handlers.Reupload(ctx, reupload(e)) })
	case *events.Connected:
		// whatsmeow tells of a login also when the stream ended while it was settling in (connectionevents.go).
		if !c.client.IsLoggedIn() {
			return true
		}
		c.mu.Lock()
		c.loggedIn = true
		c.mu.Unlock()
	}
	if s, relevant := c.signal(event); relevant {
		c.handlers.Signal(s)
	}
	return true
}

// received decodes what came and has it stored.
func (c *Conn) received(what string, decode func(ctx context.Context, d decoder) (actor.Incoming, error)) bool {
	return c.durably(what, func(ctx context.Context) error {
		in, err := decode(ctx, c.decoder())
		if err != nil {
			return err
		}
		return c.handlers.Receive(ctx, in)
	})
}

// decoder knows what this connection's device knows.
func (c *Conn) decoder() decoder {
	device := c.client.Store
	return decoder{
		own: []types.JID{device.GetJID(), device.GetLID()}, other: c.other,
		vote: c.client.DecryptPollVote, reaction: c.client.DecryptReaction,
	}
}

// other is somebody's other address, as far as WhatsApp has told this device.
func (c *Conn) other(ctx context.Context, jid types.JID) (other types.JID, err error) {
	switch jid.Server {
	case types.DefaultUserServer:
		other, err = c.client.Store.LIDs.GetLIDForPN(ctx, jid)
	case types.HiddenUserServer:
		other, err = c.client.Store.LIDs.GetPNForLID(ctx, jid)
	}
	if err != nil {
		return other, fmt.Errorf("read the other address: %w", err)
	}
	return other, nil
}

// durably runs a handler that must have written before WhatsApp is acked.
func (c *Conn) durably(what string, handle func(ctx context.Context) error) bool {
	c.begin()
	defer c.end()
	ctx := c.context()
	if err := handle(ctx); err != nil {
		c.logger.WarnContext(ctx, "not acked, will come again", "what", what, "error", err)
		return false
	}
	return true
}

// receipt keeps what lifts a message of ours: reports of the other side, not of our own devices.
func receipt(e *events.Receipt) (actor.Receipt, bool) {
	r := actor.Receipt{MessageIDs: e.MessageIDs}
	switch e.Type {
	case types.ReceiptTypeDelivered, types.ReceiptTypeInactive:
		r.Status = message.Delivered
	case types.ReceiptTypeRead:
		r.Status = message.Read
	case types.ReceiptTypePlayed:
		r.Status = message.Played
	default:
		return r, false
	}
	return r, !e.IsFromMe
}
