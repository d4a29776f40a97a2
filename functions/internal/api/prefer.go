package api

import (
	"context"
	"strconv"
	"strings"
	"time"

	contract "wafleet/shared/api"
	"wafleet/shared/message"
	"wafleet/shared/store/db"
)

const (
	maxAckWait = 10 * time.Second
	// firstAckLook and lastAckLook are the pauses between two looks at a message: short at first, because most messages
	// are acked within a few hundredths of a second.
	firstAckLook, lastAckLook = 10 * time.Millisecond, 250 * time.Millisecond
)

// preferredWait is how long a caller wants to wait for WhatsApp's ack: wait=n of RFC 7240, at most 10 s. What is not
// understood is ignored, as the RFC asks.
func preferredWait(header *string) time.Duration {
	for preference := range strings.SplitSeq(value(header), ",") {
		name, seconds, _ := strings.Cut(strings.TrimSpace(preference), "=")
		if !strings.EqualFold(strings.TrimSpace(name), "wait") {
			continue
		}
		n, err := strconv.ParseUint(strings.TrimSpace(seconds), 10, 32)
		if err != nil {
			return 0
		}
		return min(time.Duration(n)*time.Second, maxAckWait)
	}
	return 0
}

// statusAfter is the status that an accepted message is answered with: at once accepted, later what it is by then.
func (a *API) statusAfter(ctx context.Context, companyID, messageID string, prefer *string) contract.MessageStatus {
	wait := preferredWait(prefer)
	if wait == 0 {
		return contract.MessageStatusAccepted
	}
	return a.awaitAck(ctx, companyID, messageID, wait)
}

// awaitAck returns the message's status once it is decided, or the one that it has when the wait is over. A status that
// cannot be read is what the message was accepted with: the call is answered in any case.
func (a *API) awaitAck(ctx context.Context, companyID, messageID string, wait time.Duration) contract.MessageStatus {
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	status := contract.MessageStatusAccepted
	for pause := firstAckLook; ; pause = min(pause*3/2, lastAckLook) {
		now, err := a.queries.GetMessageStatus(ctx, a.store.Pool(), db.GetMessageStatusParams{CompanyID: companyID, MessageID: messageID})
		if err == nil {
			status = contract.MessageStatus(now)
			if decided(message.Status(now)) {
				return status
			}
		}
		select {
		case <-ctx.Done():
			return status
		case <-time.After(pause):
		}
	}
}

// decided says that WhatsApp has the message, or will not get it.
func decided(s message.Status) bool {
	switch s {
	case message.Accepted, message.Queued, message.Sending, message.Unconfirmed:
		return false
	case message.Sent, message.Delivered, message.Read, message.Played, message.Failed, message.Expired, message.Canceled, message.Received:
	}
	return true
}
