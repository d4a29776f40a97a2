package wa

import (
	"context"
	"encoding/hex"

	"go.mau.fi/whatsmeow/proto/waCommon"
	"go.mau.fi/whatsmeow/proto/waE2E"
	"go.mau.fi/whatsmeow/types"

	"wafleet/hosts/internal/devicestore"
	"wafleet/shared/message"
)

// reasonUnreadable says why a vote or a reaction is shown without what it says.
const reasonUnreadable = "cannot_be_decrypted"

// about reads the kinds that are about another message.
func (r *reading) about(ctx context.Context, m *waE2E.Message) (s message.Said, ok bool) {
	switch {
	case m.ReactionMessage != nil:
		return r.reacted(ctx, m.GetReactionMessage()), true
	case m.EncReactionMessage != nil:
		return r.reactedSecretly(ctx, m.GetEncReactionMessage()), true
	case m.PollUpdateMessage != nil:
		return r.voted(ctx, m.GetPollUpdateMessage()), true
	case m.ProtocolMessage != nil:
		return r.changed(ctx, m.GetProtocolMessage())
	}
	return s, false
}

func (r *reading) reacted(ctx context.Context, m *waE2E.ReactionMessage) message.Said {
	return message.Said{Kind: message.Reaction, Text: m.GetText(), Target: r.reference(ctx, m.GetKey())}
}

// reactedSecretly reads a reaction in the announcements of a community.
func (r *reading) reactedSecretly(ctx context.Context, m *waE2E.EncReactionMessage) message.Said {
	s := message.Said{Kind: message.Reaction, Target: r.reference(ctx, m.GetTargetMessageKey()), Reason: reasonUnreadable}
	if r.reaction == nil {
		return s
	}
	opened, err := r.reaction(ctx, r.event)
	if err != nil {
		r.mind(err)
		return s
	}
	s.Text, s.Reason = opened.GetText(), ""
	return s
}

// voted reads an answer to a poll: hashes of the options' names, which whoever has the poll can tell.
func (r *reading) voted(ctx context.Context, m *waE2E.PollUpdateMessage) message.Said {
	s := message.Said{
		Kind: message.Vote, Vote: &message.Ticks{Options: []string{}},
		Target: r.reference(ctx, m.GetPollCreationMessageKey()), Reason: reasonUnreadable,
	}
	if r.vote == nil {
		return s
	}
	opened, err := r.vote(ctx, r.event)
	if err != nil {
		r.mind(err)
		return s
	}
	s.Reason = ""
	for _, hash := range first(opened.GetSelectedOptions()) {
		s.Vote.Hashes = append(s.Vote.Hashes, hex.EncodeToString(hash))
	}
	return s
}

// mind keeps an error that passes, so that the message comes again. One that does not is the message's own.
func (r *reading) mind(err error) {
	if devicestore.Failed(err) {
		r.err = err
	}
}

// changed reads an edit or a revoke. What else travels as a protocol message is between devices, and no chat shows it.
func (r *reading) changed(ctx context.Context, m *waE2E.ProtocolMessage) (s message.Said, ok bool) {
	switch {
	case m.GetType() == waE2E.ProtocolMessage_MESSAGE_EDIT && m.Key != nil:
		inner := reading{decoder: r.decoder, event: r.event, depth: r.depth + 1}
		if inner.depth < maxDepth {
			s = inner.said(ctx, m.GetEditedMessage())
			r.err = inner.err
		}
		return message.Said{
			Kind: message.Edit, Text: s.Text, Preview: s.Preview, Mentions: s.Mentions, Target: r.reference(ctx, m.GetKey()),
		}, true
	case m.GetType() == waE2E.ProtocolMessage_REVOKE && m.Key != nil: // REVOKE is the zero value
		return message.Said{Kind: message.Revoke, Target: r.reference(ctx, m.GetKey())}, true
	}
	return s, false
}

// reference names the message of a key, which is written from the sender's point of view.
func (r *reading) reference(ctx context.Context, key *waCommon.MessageKey) *message.Reference {
	ref := &message.Reference{WAMessageID: key.GetID()}
	info := r.event.Info
	var author types.JID
	switch {
	case key.GetFromMe():
		author = info.Sender
		ref.FromMe = info.IsFromMe
	case info.IsGroup:
		author, _ = types.ParseJID(key.GetParticipant())
		ref.FromMe = r.isOwn(author)
	default: // between two, it is the other one's
		ref.FromMe = !info.IsFromMe
		author = info.Chat
	}
	if !ref.FromMe && author.User != "" {
		ref.From = new(r.somebody(ctx, author))
	}
	return ref
}
