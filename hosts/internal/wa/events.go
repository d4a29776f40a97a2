package wa

import (
	"context"
	"fmt"
	"time"

	"go.mau.fi/whatsmeow/types"
	"go.mau.fi/whatsmeow/types/events"

	"wafleet/hosts/internal/actor"
	"wafleet/shared/message"
	"wafleet/shared/session"
	"wafleet/shared/webhook"
)

const (
	// replacedPause is how long the socket that was replaced stays away: two that fight would both lose.
	replacedPause = 30 * time.Second
	// refusedPause is the least wait after a connect was refused for a reason that will not pass at once.
	refusedPause = time.Minute
	// deadPings is how many unanswered pings make a socket dead. whatsmeow pings every 20 to 30 s.
	deadPings = 2
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
		return c.durably("message", func(ctx context.Context) error { return c.handlers.Receive(ctx, decode(e)) })
	case *events.Receipt:
		if r, relevant := receipt(e); relevant {
			return c.durably("receipt", func(ctx context.Context) error { return c.handlers.Receipt(ctx, r) })
		}
		return true
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

// signal is the table from whatsmeow's events to the session's state (whatsmeow types/events/events.go).
func (c *Conn) signal(event any) (actor.Signal, bool) {
	switch e := event.(type) {
	case *events.QR:
		return actor.Signal{Then: actor.ShowQR, Codes: e.Codes}, true
	case *events.PairSuccess:
		// No state: the restart that follows may overtake this event.
		return actor.Signal{JID: e.ID.String(), LID: e.LID.ToNonAD().String()}, true
	case *events.PairError:
		return actor.Signal{
			State: session.Failed, Reason: "pairing_failed", Action: session.ActionRelink,
			Event: webhook.SessionDisconnected, Then: actor.Halt,
		}, true
	case *events.ManualLoginReconnect: // 515 after pairing
		return actor.Signal{Then: actor.Redial}, true
	case *events.Connected:
		own := c.client.Store
		return actor.Signal{
			State: session.Connected, Event: webhook.SessionConnected, Then: actor.Drain,
			JID: own.GetJID().String(), LID: own.GetLID().ToNonAD().String(), Name: own.PushName,
		}, true
	case *events.OfflineSyncCompleted:
		return actor.Signal{Then: actor.Settle}, true
	case *events.Disconnected:
		return lost("connection_lost", 0), true
	case *events.KeepAliveTimeout:
		if e.ErrorCount < deadPings {
			return actor.Signal{}, false
		}
		return lost("keepalive_timeout", 0), true
	case *events.StreamReplaced:
		s := lost("stream_replaced", replacedPause)
		s.Event = webhook.SessionReplaced
		return s, true
	case *events.LoggedOut:
		return actor.Signal{
			State: session.LoggedOut, Reason: loggedOutReason(e), Action: session.ActionRelink,
			Event: webhook.SessionLoggedOut, Then: actor.Halt,
		}, true
	case *events.TemporaryBan:
		return actor.Signal{
			State: session.Banned, Reason: fmt.Sprintf("temporary_ban_%d", e.Code), Action: session.ActionWait,
			Event: webhook.SessionBanned, Then: actor.Retry, After: e.Expire,
		}, true
	case *events.ClientOutdated:
		return actor.Signal{
			State: session.Failed, Reason: "client_outdated", Action: session.ActionUpdate,
			Event: webhook.SessionDisconnected, Then: actor.Halt,
		}, true
	case *events.ConnectFailure:
		return lost(fmt.Sprintf("connect_failure_%d", int(e.Reason)), refusedPause), true
	case *events.StreamError:
		return lost("stream_error_"+e.Code, 0), true
	}
	return actor.Signal{}, false
}

func lost(reason string, after time.Duration) actor.Signal {
	return actor.Signal{
		State: session.Reconnecting, Reason: reason, Event: webhook.SessionDisconnected, Then: actor.Retry, After: after,
	}
}

func loggedOutReason(e *events.LoggedOut) string {
	switch {
	case !e.OnConnect:
		return "device_removed"
	case e.Reason == events.ConnectFailureMainDeviceGone:
		return "main_device_gone"
	case e.Reason == events.ConnectFailureUnknownLogout:
		return "unknown_logout"
	}
	return "logged_out"
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
