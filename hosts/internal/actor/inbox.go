package actor

import (
	"cmp"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"wafleet/shared/message"
	"wafleet/shared/session"
	"wafleet/shared/store"
	"wafleet/shared/store/db"
)

const (
	// inboundTimeout bounds one handler: beyond it the message is left unacked and comes again after the next connect. It
	// is longer than a restart of Postgres: what is behind this message could not be stored meanwhile either.
	inboundTimeout = 90 * time.Second
	// retryInbound is how long a handler waits before it tries the database again.
	retryInbound = 200 * time.Millisecond
)

// incomingSpace is the namespace of incoming message ids. Stored ids depend on it.
var incomingSpace = uuid.MustParse("5b4ad4a2-2f0e-4b1c-9d0c-5f1f0a0c7a11")

// handlers is what the connection calls. They run on the connection's goroutines, not on the actor's.
func (a *Actor) handlers(ctx context.Context) Handlers {
	return Handlers{
		Signal:  func(s Signal) { a.post(ctx, said{s, a.socket.Load()}) },
		Receive: a.receive,
		Receipt: a.receipt, Reupload: a.reupload,
		Admit: a.admit,
		Bind:  a.bind,
		Wire:  a.wire,
	}
}

// receive stores an incoming message together with its event. Nil means that WhatsApp may be acked: the
// message is durable, or known already, or in quarantine.
func (a *Actor) receive(ctx context.Context, in Incoming) error {
	switch {
	case in.FromMe:
		a.metrics.inbound("from_me")
		return nil // the company's own phone wrote it; history of own devices is not kept
	case in.Silent:
		a.metrics.inbound("silent")
		return nil
	}
	var fresh bool
	err := a.whileUp(ctx, func(ctx context.Context) error {
		arrival, err := a.arrival(ctx, in)
		if err != nil || arrival == nil {
			return err
		}
		var deliveries []store.Delivery
		fresh, deliveries, err = a.store.Receive(ctx, a.fence, *arrival)
		if err == nil {
			a.announce(ctx, deliveries)
		}
		return err
	})
	switch {
	case err == nil && fresh:
		a.metrics.inbound("received")
	case err == nil:
		a.metrics.inbound("duplicate")
	case poison(err):
		return a.quarantine(ctx, in, err)
	default:
		a.metrics.inbound("refused")
	}
	return err
}

// quarantine keeps what the inbox will not take, so that one bad message does not hold up the rest for ever.
func (a *Actor) quarantine(ctx context.Context, in Incoming, cause error) error {
	a.logger.ErrorContext(ctx, "incoming message goes to quarantine", "wa_message_id", in.WAMessageID, "error", cause)
	body, err := in.Said.Encode()
	if err == nil {
		err = a.store.Quarantine(ctx, a.fence, a.companyID, "message", cause.Error(), body)
	}
	if err != nil {
		a.metrics.inbound("refused")
		return fmt.Errorf("quarantine: %w", err)
	}
	a.metrics.inbound("quarantined")
	return nil
}

// arrival gives an incoming message the id that its dedup key fixes: redelivered, it is the same message. Nil: it is the
// placeholder of a message that has been here.
func (a *Actor) arrival(ctx context.Context, in Incoming) (*store.Arrival, error) {
	amends, err := a.refer(ctx, &in)
	if err != nil {
		return nil, err
	}
	id, placeholder := a.incomingID(in, hex.EncodeToString(in.Digest)), a.incomingID(in, placeholderKey)
	if in.Said.Kind == message.Undecryptable {
		known, err := a.known(ctx, in)
		if err != nil || known {
			return nil, err
		}
		id = placeholder
	}
	arrival := &store.Arrival{
		CompanyID: a.companyID, ID: id, Placeholder: placeholder, WAMessageID: in.WAMessageID,
		Phone: in.Sender.Phone, Chat: address(in.Chat), Sender: address(in.Sender), SenderName: in.Sender.Name,
		Digest: in.Digest, SentAt: in.Timestamp, Amends: amends, GreetTo: greetTo(in), Greeted: a.Kick, Wanted: a.files.kick,
		Event: message.Incoming{
			WAMessageID: in.WAMessageID, From: in.Sender, Chat: in.Chat, Timestamp: in.Timestamp, Said: in.Said,
		},
	}
	if in.File != nil {
		if arrival.File, err = json.Marshal(in.File); err != nil {
			return nil, fmt.Errorf("encode file: %w", err)
		}
	}
	return arrival, nil
}

// placeholderKey stands in the place of the digest of a plaintext that is not known.
const placeholderKey = "undecryptable"

func (a *Actor) incomingID(in Incoming, digest string) uuid.UUID {
	return uuid.NewSHA1(incomingSpace, []byte(strings.Join([]string{
		a.companyID, address(in.Chat), address(in.Sender), strconv.FormatBool(in.FromMe), in.WAMessageID, digest,
	}, "|")))
}

// greetTo is the number that a greeting for this message goes to, or empty: a person's who wrote, in a chat between two.
func greetTo(in Incoming) string {
	switch in.Said.Kind {
	case message.Call, message.Undecryptable, message.Reaction, message.Edit, message.Revoke, message.Vote:
		return ""
	default:
	}
	if in.FromMe || address(in.Chat) != address(in.Sender) || in.Chat.Group != "" {
		return ""
	}
	return in.Sender.Phone
}

// receipt lifts the messages that the other side reports on.
func (a *Actor) receipt(ctx context.Context, r Receipt) error {
	for _, id := range r.MessageIDs {
		waiting, cancel := context.WithTimeout(ctx, inboundTimeout)
		a.sender.awaitRecorded(waiting, id)
		cancel()
		err := a.whileUp(ctx, func(ctx context.Context) error {
			return a.move(ctx, store.Move{MessageID: id, To: r.Status})
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// whileUp repeats a handler's transaction for as long as a handler may take.
func (a *Actor) whileUp(ctx context.Context, do func(ctx context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, inboundTimeout)
	defer cancel()
	for attempt := 1; ; attempt++ {
		err := do(ctx)
		switch {
		case err == nil || poison(err):
			return err
		case errors.Is(err, store.ErrFenced):
			a.fenced(ctx, "inbound")
			return err
		}
		a.logger.WarnContext(ctx, "inbound write failed", "attempt", attempt, "error", err)
		if !sleep(ctx, min(backoff(retryInbound, attempt), maxWriteDelay)) {
			return err
		}
	}
}

// poison says that the database understood what it was given and will never take it, or that it cannot be written down.
func poison(err error) bool {
	if _, unwritable := errors.AsType[*json.UnsupportedValueError](err); unwritable {
		return true
	}
	var state interface{ SQLState() string }
	if !errors.As(err, &state) {
		return false
	}
	class := state.SQLState()
	// 22: data exception; 23: integrity constraint violation (Postgres, appendix A).
	return strings.HasPrefix(class, "22") || strings.HasPrefix(class, "23")
}

// bind records the link between the company and a device. It runs inside the pairing: an error fails it.
func (a *Actor) bind(ctx context.Context, jid, lid string) error {
	deliveries, err := a.store.ChangeSession(ctx, a.fence, store.SessionChange{
		CompanyID: a.companyID, State: session.Connecting, Action: session.ActionNone, JID: &jid, LID: optional(lid),
	})
	if err != nil {
		a.logger.WarnContext(ctx, "bind device", "error", err)
		return fmt.Errorf("bind device: %w", err)
	}
	a.announce(ctx, deliveries)
	return nil
}

// wire finds what was sent under an id, for a device that asks again.
func (a *Actor) wire(ctx context.Context, messageID string) []byte {
	row, err := a.store.Queries().GetWire(ctx, a.store.Pool(), db.GetWireParams{CompanyID: a.companyID, MessageID: messageID})
	if err != nil {
		a.logger.WarnContext(ctx, "message for a retry receipt", "message_id", messageID, "error", err)
		return nil
	}
	plain, err := a.vault.Open(ctx, a.companyID, message.WireContext(messageID), row.Wire)
	if err != nil {
		a.logger.ErrorContext(ctx, "open message for a retry receipt", "message_id", messageID, "error", err)
		return nil
	}
	return plain
}

// address is the canonical form of a contact: the LID where it is known, else the number; of a chat of many, its id.
func address(c message.Contact) string { return cmp.Or(c.LID, c.Phone, c.Group) }
