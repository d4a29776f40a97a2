package wa

import (
	"context"
	"crypto/sha256"
	"fmt"

	"go.mau.fi/whatsmeow/proto/waE2E"
	"go.mau.fi/whatsmeow/types"
	"go.mau.fi/whatsmeow/types/events"
	"google.golang.org/protobuf/proto"

	"wafleet/hosts/internal/actor"
	"wafleet/shared/message"
)

// decoder reads what WhatsApp brought. What it cannot tell from the message itself it asks for; its zero value asks nobody.
// An error is the database's, and passes: whatever a sender wrote can be read somehow.
type decoder struct {
	// own are the company's own addresses.
	own []types.JID
	// other finds somebody's other address: the LID of a number, the number of a LID; empty if it is not known.
	other func(ctx context.Context, jid types.JID) (types.JID, error)
	// vote and reaction open what is encrypted once more; nil if they cannot.
	vote     func(ctx context.Context, e *events.Message) (*waE2E.PollVoteMessage, error)
	reaction func(ctx context.Context, e *events.Message) (*waE2E.ReactionMessage, error)
}

// decode turns a decrypted message into ours.
func (d decoder) decode(ctx context.Context, e *events.Message) (actor.Incoming, error) {
	in, err := d.addressed(ctx, e.Info)
	if err != nil {
		return in, err
	}
	// Deterministic, so that a redelivered message has the digest of the first one.
	plain, _ := proto.MarshalOptions{Deterministic: true}.Marshal(e.Message)
	digest := sha256.Sum256(plain)
	in.Digest = digest[:]
	r := reading{decoder: d, event: e}
	in.Said = r.said(ctx, e.Message)
	in.Said.ViewOnce = in.Said.ViewOnce || e.IsViewOnce
	in.File, in.Silent = r.file, r.silent
	return in, r.err
}

// addressed is a message of which only the outside is known.
func (d decoder) addressed(ctx context.Context, info types.MessageInfo) (actor.Incoming, error) {
	in := actor.Incoming{WAMessageID: info.ID, FromMe: info.IsFromMe, Timestamp: info.Timestamp}
	var err error
	if in.Sender, err = d.person(ctx, info.Sender, info.SenderAlt); err != nil {
		return in, err
	}
	in.Sender.Name = info.PushName
	in.Chat, err = d.person(ctx, info.Chat, counterpart(info.Chat, info))
	return in, err
}

// counterpart is the chat's other address: in a chat between two, the sender's or the recipient's.
func counterpart(chat types.JID, info types.MessageInfo) types.JID {
	switch {
	case info.IsGroup:
		return types.EmptyJID
	case chat.User == info.Sender.User:
		return info.SenderAlt
	}
	return info.RecipientAlt
}

// person names somebody by both addresses, as far as they are known to anybody.
func (d decoder) person(ctx context.Context, jid, alt types.JID) (message.Contact, error) {
	if alt.IsEmpty() && d.other != nil && !jid.IsEmpty() {
		var err error
		if alt, err = d.other(ctx, jid); err != nil {
			return message.Contact{}, fmt.Errorf("look up other address: %w", err)
		}
	}
	return contact(jid, alt), nil
}

// contact names a person by whatever addresses are given, or a chat of many.
func contact(addresses ...types.JID) message.Contact {
	var c message.Contact
	for _, j := range addresses {
		switch j.Server {
		case types.DefaultUserServer, types.HostedServer:
			c.Phone = j.User
		case types.HiddenUserServer, types.HostedLIDServer:
			c.LID = j.User
		case types.GroupServer, types.BroadcastServer, types.NewsletterServer:
			c.Group = j.ToNonAD().String()
		case types.BotServer:
			c.Phone = j.User
		}
	}
	return c
}

// isOwn says that an address is the company's.
func (d decoder) isOwn(jid types.JID) bool {
	for _, own := range d.own {
		if own.User == jid.User && own.Server == jid.Server {
			return true
		}
	}
	return false
}
