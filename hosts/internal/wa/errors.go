package wa

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"go.mau.fi/whatsmeow"

	"wafleet/hosts/internal/actor"
)

var (
	errNoDevices = errors.New("the number has no devices")
	errPreKeys   = errors.New("keys of the recipient's devices could not be had")
)

// stage is how far a send had come when it failed.
type stage int

const (
	beforeFrame stage = iota // asking for devices
	aroundFrame              // inside SendMessage
)

// classify is the table from whatsmeow's errors to what is known about the message. The rule for what is not
// listed: before the frame nothing was written, around it anything may have been.
func classify(err, storeErr error, at stage) error {
	if err == nil {
		return nil
	}
	e := &actor.SendError{Outcome: actor.Unknown, Reason: "no_ack", Err: err}
	var disconnected *whatsmeow.DisconnectedError
	var query *whatsmeow.IQError
	switch {
	case storeErr != nil:
		// The device store failed while encrypting. Its wrapper ended the send before the frame; left alone,
		// whatsmeow would have skipped that device and reported success (send.go, encryptMessageForDevices).
		e.Outcome, e.Reason, e.Err = actor.NotWritten, "device_store", storeErr
	case errors.Is(err, errNoDevices):
		e.Outcome, e.Reason, e.Final = actor.Refused, "recipient_not_on_whatsapp", true
	case errors.Is(err, whatsmeow.ErrNotInGroup):
		e.Outcome, e.Reason, e.Final = actor.Refused, "not_in_group", true
	case errors.Is(err, whatsmeow.ErrGroupNotFound):
		e.Outcome, e.Reason, e.Final = actor.Refused, "group_not_found", true
	case errors.Is(err, errPreKeys):
		e.Outcome, e.Reason = actor.NotWritten, "prekeys_unavailable"
	case errors.Is(err, whatsmeow.ErrNotConnected), errors.Is(err, whatsmeow.ErrNotLoggedIn):
		e.Outcome, e.Reason = actor.NotWritten, "connection_lost"
	case errors.As(err, &disconnected):
		e.Reason = "connection_lost"
		if disconnected.Action == whatsmeow.ErrIQDisconnected.Action {
			e.Outcome = actor.NotWritten // a query that precedes the frame
		}
	case errors.Is(err, whatsmeow.ErrIQTimedOut):
		e.Outcome, e.Reason = actor.NotWritten, "query_timeout"
	case errors.As(err, &query):
		e.Outcome, e.Reason = actor.NotWritten, fmt.Sprintf("query_refused_%d", query.Code)
	case errors.Is(err, whatsmeow.ErrServerReturnedError):
		refused(e)
	case errors.Is(err, whatsmeow.ErrMessageTimedOut):
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		e.Reason = "timeout"
		if at == beforeFrame {
			e.Outcome = actor.NotWritten
		}
	case at == beforeFrame:
		e.Outcome, e.Reason = actor.NotWritten, "query_failed"
	}
	return e
}

// refused reads the code that the server's ack carried. whatsmeow only prints it into the error's text.
func refused(e *actor.SendError) {
	var code int
	text := e.Err.Error()
	if _, err := fmt.Sscanf(text[strings.LastIndexByte(text, ' ')+1:], "%d", &code); err != nil {
		code = 0
	}
	e.Outcome, e.Reason = actor.Refused, fmt.Sprintf("server_refused_%d", code)
	switch {
	case code == 463:
		// Two meanings: a missing contact token, or the whole account locked for cold contacts. Neither gets
		// better by trying again.
		e.Reason, e.Final = "account_reachout_locked", true
	case code == 429 || code >= 500:
		e.Outcome = actor.NotWritten // the server did not take it and says that it is about the moment
	}
}
