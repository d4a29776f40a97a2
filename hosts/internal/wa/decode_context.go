package wa

import (
	"context"

	"go.mau.fi/whatsmeow/proto/waE2E"
	"go.mau.fi/whatsmeow/types"
	"google.golang.org/protobuf/reflect/protoreflect"

	"wafleet/shared/message"
)

// inContext adds what a message says besides its kind: what it answers, whom it names, where it comes from.
func (r *reading) inContext(ctx context.Context, m *waE2E.Message, s message.Said) message.Said {
	c := contextIn(m)
	if c == nil {
		return s
	}
	s.Forwarded = c.GetIsForwarded()
	s.ExpiresInSeconds = int(c.GetExpiration())
	if c.GetStanzaID() != "" {
		s.ReplyTo = r.quoted(ctx, c)
	}
	for _, text := range first(c.GetMentionedJID()) {
		if jid, err := types.ParseJID(text); err == nil && contact(jid) != (message.Contact{}) {
			s.Mentions = append(s.Mentions, r.somebody(ctx, jid))
		}
	}
	return s
}

// contextIn finds the context of whatever kind a message is.
func contextIn(m *waE2E.Message) (found *waE2E.ContextInfo) {
	if m == nil {
		return nil
	}
	m.ProtoReflect().Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		if f.Kind() != protoreflect.MessageKind || f.IsList() {
			return true
		}
		if carrier, ok := v.Message().Interface().(interface{ GetContextInfo() *waE2E.ContextInfo }); ok {
			found = carrier.GetContextInfo()
		}
		return found == nil
	})
	return found
}

// quoted is the message that this one answers, with as much of it as the sender quoted.
func (r *reading) quoted(ctx context.Context, c *waE2E.ContextInfo) *message.Reference {
	ref := &message.Reference{WAMessageID: c.GetStanzaID()}
	if author, err := types.ParseJID(c.GetParticipant()); err == nil && author.User != "" {
		if ref.FromMe = r.isOwn(author); !ref.FromMe {
			ref.From = new(r.somebody(ctx, author))
		}
	}
	if c.QuotedMessage == nil {
		return ref
	}
	// Read without its own context and references: a quote of a quote of a quote is not shown, and would cost.
	inner := reading{event: r.event, depth: r.depth}
	m := inner.unwrap(c.GetQuotedMessage())
	said, ok := inner.attached(m)
	if !ok {
		said, ok = chosen(m)
	}
	if !ok {
		said, ok = written(m)
	}
	if !ok {
		said = message.Said{Kind: message.Unsupported}
	}
	ref.Kind, ref.Text = said.Kind, said.Text
	return ref
}

// somebody names a person that a message is about. Not knowing the other address is no reason to refuse the message.
func (r *reading) somebody(ctx context.Context, jid types.JID) message.Contact {
	c, err := r.person(ctx, jid.ToNonAD(), types.EmptyJID)
	if err != nil {
		r.err = err
		return contact(jid)
	}
	return c
}
