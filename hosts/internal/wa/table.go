package wa

import (
	"errors"
	"fmt"
	"time"

	"go.mau.fi/whatsmeow/types/events"

	"wafleet/hosts/internal/actor"
	"wafleet/shared/session"
	"wafleet/shared/store"
	"wafleet/shared/webhook"
)

const (
	// replacedPause is how long the socket that was replaced stays away: two that fight would both lose.
	replacedPause = 30 * time.Second
	// refusedPause is the least wait after a connect was refused for a reason that will not pass at once, refusedLimit what
	// it grows to.
	refusedPause = time.Minute
	refusedLimit = time.Hour
	// deadPings is how many unanswered pings make a socket dead. The first one gets a second opinion, which is usually faster
	// than the next ping.
	deadPings = 2
)

// signal is the table from whatsmeow's events to a session's state and what is done about it. Every event that
// whatsmeow knows is in it (types/events of v0.0.0-20251217143725): an unknown one is a defect that a test finds.
func (c *Conn) signal(event any) (s actor.Signal, relevant bool) {
	switch e := event.(type) {
	// Pairing.
	case *events.QR:
		return actor.Signal{Then: actor.ShowQR, Codes: e.Codes}, true
	case *events.QRScannedWithoutMultidevice: // the code stays valid
		return actor.Signal{Reason: "phone_without_multidevice", Then: actor.Hint}, true
	case *events.PairSuccess:
		// No state: the restart that follows may overtake this event.
		return actor.Signal{JID: e.ID.String(), LID: e.LID.ToNonAD().String()}, true
	case *events.PairError:
		return failed(c.pairingReason(e.Error), session.ActionRelink), true
	case *events.ManualLoginReconnect: // 515 after pairing
		return actor.Signal{Then: actor.Redial}, true

	// The life of a socket.
	case *events.Connected:
		own := c.client.Store
		return actor.Signal{
			State: session.Connected, Event: webhook.SessionConnected, Then: actor.Drain,
			JID: own.GetJID().String(), LID: own.GetLID().ToNonAD().String(), Name: own.PushName,
		}, true
	case *events.OfflineSyncCompleted:
		return actor.Signal{Then: actor.Settle}, true
	case *events.KeepAliveTimeout:
		if e.ErrorCount < deadPings {
			return actor.Signal{Then: actor.Suspect}, true
		}
		return lost("keepalive_timeout"), true
	case *events.Disconnected: // also what follows on 500 and 503, which have no event of their own
		return lost("connection_lost"), true
	case *events.StreamError:
		return lost("stream_error_" + e.Code), true

	// Refusals. PermanentDisconnect is their interface.
	case *events.StreamReplaced:
		s := lost("stream_replaced")
		s.Event, s.Then, s.After = webhook.SessionReplaced, actor.Yield, replacedPause
		return s, true
	case *events.LoggedOut: // 401, 403, 406
		return actor.Signal{
			State: session.LoggedOut, Reason: loggedOutReason(e), Action: session.ActionRelink,
			Event: webhook.SessionLoggedOut, Then: actor.Halt,
		}, true
	case *events.TemporaryBan: // 402
		return actor.Signal{
			State: session.Banned, Reason: fmt.Sprintf("temporary_ban_%d", e.Code), Action: session.ActionWait,
			Event: webhook.SessionBanned, Then: actor.Pause, After: max(e.Expire, refusedPause),
		}, true
	case *events.ClientOutdated: // 405
		s := lost("client_outdated")
		s.Then, s.Version = actor.Renew, c.introduced()
		return s, true
	case *events.ConnectFailure: // 400, 409, 415, 418, 501 and what nobody has seen yet
		s := lost(fmt.Sprintf("connect_failure_%d", int(e.Reason)))
		s.After, s.UpTo = refusedPause, refusedLimit
		return s, true

	// Said for information only.
	case *events.KeepAliveRestored, *events.OfflineSyncPreview:
	case *events.CATRefreshError: // Messenger's
	// Stored by handle, which does not ask this table.
	case *events.Message, *events.Receipt, *events.UndecryptableMessage, *events.MediaRetry,
		*events.CallOffer, *events.CallOfferNotice:
	// What happens to messages, contacts and chats, and is not kept.
	case *events.HistorySync, *events.FBMessage, *events.ChatPresence,
		*events.Presence, *events.JoinedGroup, *events.GroupInfo, *events.Picture, *events.UserAbout, *events.IdentityChange,
		*events.PrivacySettings, *events.Blocklist, *events.NewsletterJoin, *events.NewsletterLeave,
		*events.NewsletterMuteChange, *events.NewsletterLiveUpdate:
	case *events.Contact, *events.PushName, *events.BusinessName, *events.Pin, *events.Star, *events.DeleteForMe,
		*events.Mute, *events.Archive, *events.MarkChatAsRead, *events.ClearChat, *events.DeleteChat,
		*events.PushNameSetting, *events.UnarchiveChatsSetting, *events.UserStatusMute, *events.LabelEdit,
		*events.LabelAssociationChat, *events.LabelAssociationMessage, *events.AppState, *events.AppStateSyncComplete:
	case *events.CallAccept, *events.CallPreAccept, *events.CallTransport, *events.CallRelayLatency,
		*events.CallTerminate, *events.CallReject, *events.UnknownCallEvent:
	}
	return actor.Signal{}, false
}

func lost(reason string) actor.Signal {
	return actor.Signal{State: session.Reconnecting, Reason: reason, Event: webhook.SessionDisconnected, Then: actor.Retry}
}

func failed(reason string, action session.UserAction) actor.Signal {
	return actor.Signal{
		State: session.Failed, Reason: reason, Action: action, Event: webhook.SessionDisconnected, Then: actor.Halt,
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

// pairingReason says why a pairing failed, as far as it was this side that refused.
func (c *Conn) pairingReason(err error) string {
	if reason := c.refusal(); reason != "" {
		return reason
	}
	if errors.Is(err, store.ErrNumberTaken) { // found by bind: somebody else was faster
		return "number_taken"
	}
	return "pairing_failed"
}
