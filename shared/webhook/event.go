package webhook

import "slices"

// The types of events. The list is closed: it is what an endpoint may subscribe to.
const (
	MessageReceived    = "message.received"
	MessageSent        = "message.sent"
	MessageDelivered   = "message.delivered"
	MessageRead        = "message.read"
	MessagePlayed      = "message.played"
	MessageFailed      = "message.failed"
	MessageExpired     = "message.expired"
	MessageCanceled    = "message.canceled"
	MessageUnconfirmed = "message.unconfirmed"
	MessageEdited      = "message.edited"
	MessageRevoked     = "message.revoked"
	MessageReaction    = "message.reaction"

	SessionQR           = "session.qr"
	SessionPairingCode  = "session.pairing_code"
	SessionConnected    = "session.connected"
	SessionDisconnected = "session.disconnected"
	SessionLoggedOut    = "session.logged_out"
	SessionReplaced     = "session.replaced"
	SessionBanned       = "session.banned"

	AccountLimits   = "account.limits"
	WebhookDisabled = "webhook.disabled"
	BatchCompleted  = "batch.completed"
)

// WebhookTest is the type of what is sent to try an endpoint. It is no event: nothing happened, nobody can subscribe to it,
// and it is not in the log.
const WebhookTest = "webhook.test"

var eventTypes = []string{
	MessageReceived, MessageSent, MessageDelivered, MessageRead, MessagePlayed, MessageFailed, MessageExpired,
	MessageCanceled, MessageUnconfirmed, MessageEdited, MessageRevoked, MessageReaction,
	SessionQR, SessionPairingCode, SessionConnected, SessionDisconnected, SessionLoggedOut, SessionReplaced, SessionBanned,
	AccountLimits, WebhookDisabled, BatchCompleted,
}

// EventTypes lists every type of event.
func EventTypes() []string { return slices.Clone(eventTypes) }

// KnownEventType says whether an event of this type can occur.
func KnownEventType(name string) bool { return slices.Contains(eventTypes, name) }
