package message

import "slices"

// Status is a rung of the ladder.
type Status string

// The states of an outgoing message, and Received for an incoming one.
const (
	Accepted    Status = "accepted"    // recorded under its final id
	Queued      Status = "queued"      // durable at the host's side, waits for its turn
	Sending     Status = "sending"     // an attempt is under way
	Sent        Status = "sent"        // acked by WhatsApp's server
	Delivered   Status = "delivered"   // acked by a device of the other side
	Read        Status = "read"        // seen
	Played      Status = "played"      // a voice note or a view-once was opened
	Failed      Status = "failed"      // given up; see the reason
	Expired     Status = "expired"     // its time to live ended first
	Canceled    Status = "canceled"    // withdrawn before it was sent
	Unconfirmed Status = "unconfirmed" // may or may not have gone out
	Received    Status = "received"    // incoming
)

// ReasonNotEnqueued marks a message that was recorded but, as far as anybody knew, never queued:
// the one failure that can be lifted again.
const ReasonNotEnqueued = "not_enqueued"

// Statuses lists every state of an outgoing message.
func Statuses() []Status {
	return []Status{Accepted, Queued, Sending, Sent, Delivered, Read, Played, Failed, Expired, Canceled, Unconfirmed}
}

// sources is the transition table: for every state, the states it may be reached from.
var sources = map[Status][]Status{
	Accepted:    {Failed}, // only failed(not_enqueued), by a retried call
	Queued:      {Accepted, Sending, Failed},
	Sending:     {Queued, Unconfirmed},
	Sent:        {Sending, Unconfirmed},
	Delivered:   {Accepted, Queued, Sending, Sent, Failed, Expired, Unconfirmed},
	Read:        {Accepted, Queued, Sending, Sent, Delivered, Failed, Expired, Unconfirmed},
	Played:      {Accepted, Queued, Sending, Sent, Delivered, Read, Failed, Expired, Unconfirmed},
	Failed:      {Accepted, Queued, Sending, Unconfirmed},
	Expired:     {Accepted, Queued},
	Canceled:    {Accepted, Queued},
	Unconfirmed: {Sending},
}

// Sources returns the states from which a message may move to this one.
func (s Status) Sources() []Status { return slices.Clone(sources[s]) }

// CanMoveTo says whether the ladder has a step from s to next. Steps out of Failed that lead to
// Accepted or Queued exist only for ReasonNotEnqueued.
func (s Status) CanMoveTo(next Status, reason string) bool {
	if s == Failed && (next == Queued || next == Accepted) && reason != ReasonNotEnqueued {
		return false
	}
	return slices.Contains(sources[next], s)
}

// Final says that nothing but a receipt will move the message any more.
func (s Status) Final() bool {
	switch s {
	case Failed, Expired, Canceled, Played:
		return true
	case Accepted, Queued, Sending, Sent, Delivered, Read, Unconfirmed, Received:
	}
	return false
}

// EventType is the type of the event that tells of arriving at this state; empty if none is due.
func (s Status) EventType() string {
	switch s {
	case Sent, Delivered, Read, Played, Failed, Expired, Canceled, Unconfirmed, Received:
		return "message." + string(s)
	case Accepted, Queued, Sending:
	}
	return ""
}
