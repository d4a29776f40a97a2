package actor

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"

	"wafleet/shared/message"
	"wafleet/shared/store"
	"wafleet/shared/store/db"
	"wafleet/shared/vault"
)

// refer gives the messages that an incoming one is about the ids that this company knows them by, and returns what it
// changes about one of them.
func (a *Actor) refer(ctx context.Context, in *Incoming) (*store.Amendment, error) {
	if ref := in.Said.ReplyTo; ref != nil {
		found, err := a.referred(ctx, *in, ref)
		if err != nil {
			return nil, err
		}
		if found != nil {
			in.Said.ReplyTo = withID(ref, found.MessageID)
		}
	}
	ref := in.Said.Target
	if ref == nil {
		return nil, nil //nolint:nilnil // most messages change nothing
	}
	found, err := a.referred(ctx, *in, ref)
	if err != nil || found == nil {
		return nil, err
	}
	in.Said.Target = withID(ref, found.MessageID)
	switch in.Said.Kind {
	case message.Vote:
		return nil, a.tick(ctx, in, found)
	case message.Edit, message.Revoke:
		return a.amend(ctx, *in, found)
	default:
		return nil, nil //nolint:nilnil // as above
	}
}

// withID copies a reference: a handler's second attempt begins with what the first one was given.
func withID(ref *message.Reference, id string) *message.Reference {
	named := *ref
	named.MessageID = id
	return &named
}

// referred finds the message of a reference; nil if this company has never seen it.
func (a *Actor) referred(ctx context.Context, in Incoming, ref *message.Reference) (*db.FindReferredRow, error) {
	rows, err := a.store.Queries().FindReferred(ctx, a.store.Pool(), db.FindReferredParams{CompanyID: a.companyID, WaMessageID: ref.WAMessageID})
	if err != nil {
		return nil, fmt.Errorf("find referred message: %w", err)
	}
	for _, row := range rows {
		if row.Direction == "outgoing" {
			if ref.FromMe {
				return &row, nil
			}
			continue
		}
		// WhatsApp's ids are made by the senders: only together with a chat they mean something.
		if !ref.FromMe && slices.Contains(addresses(in.Chat), row.Chat) {
			return &row, nil
		}
	}
	return nil, nil //nolint:nilnil // not knowing it is an answer
}

// addresses are all that a contact may be known by.
func addresses(c message.Contact) (all []string) {
	for _, address := range []string{c.LID, c.Phone, c.Group} {
		if address != "" {
			all = append(all, address)
		}
	}
	return all
}

// amend is what an edit or a revoke changes. Only whoever wrote a message may change it; in a group its admins may revoke,
// which WhatsApp sees to.
func (a *Actor) amend(ctx context.Context, in Incoming, found *db.FindReferredRow) (*store.Amendment, error) {
	own := found.Sender != nil && slices.Contains(addresses(in.Sender), *found.Sender)
	switch {
	case found.Direction != "incoming":
		return nil, nil //nolint:nilnil // what we sent says what we sent
	case in.Said.Kind == message.Revoke && (own || in.Chat.Group != ""):
		return &store.Amendment{MessageID: found.MessageID, Status: "revoked"}, nil
	case in.Said.Kind == message.Edit && own:
		said, ok, err := a.opened(ctx, found)
		if err != nil || !ok {
			return nil, err
		}
		if said.Original == "" {
			said.Original = said.Text
		}
		said.Text, said.Preview, said.Mentions = in.Said.Text, in.Said.Preview, in.Said.Mentions
		return &store.Amendment{MessageID: found.MessageID, Status: "edited", Said: &said}, nil
	}
	return nil, nil //nolint:nilnil // a forgery, which is shown and changes nothing
}

// tick names the options that a vote is for, by the poll.
func (a *Actor) tick(ctx context.Context, in *Incoming, poll *db.FindReferredRow) error {
	if in.Said.Vote == nil || poll.Body == nil || poll.Kind != string(message.Poll) {
		return nil
	}
	asked, ok, err := a.opened(ctx, poll)
	if err != nil || !ok || asked.Poll == nil {
		return err
	}
	ticks := &message.Ticks{Options: []string{}}
	for _, hash := range in.Said.Vote.Hashes {
		i := slices.IndexFunc(asked.Poll.Options, func(option string) bool {
			sum := sha256.Sum256([]byte(option))
			return hex.EncodeToString(sum[:]) == hash
		})
		if i < 0 {
			ticks.Hashes = append(ticks.Hashes, hash)
			continue
		}
		ticks.Options = append(ticks.Options, asked.Poll.Options[i])
	}
	in.Said.Vote = ticks
	return nil
}

// opened is what a stored message says; not ok if that will never be known. Such a row must not hold up the messages about it.
func (a *Actor) opened(ctx context.Context, row *db.FindReferredRow) (said message.Said, ok bool, err error) {
	plain, err := a.vault.Open(ctx, a.companyID, message.BodyContext(row.MessageID), row.Body)
	if errors.Is(err, vault.ErrCannotOpen) {
		return said, false, nil
	}
	if err != nil {
		return said, false, fmt.Errorf("open referred message: %w", err)
	}
	said, err = message.DecodeSaid(plain)
	return said, err == nil, nil
}

// known says that a message has been here, under whichever digest.
func (a *Actor) known(ctx context.Context, in Incoming) (bool, error) {
	found, err := a.referred(ctx, in, &message.Reference{WAMessageID: in.WAMessageID})
	return found != nil && found.Kind != string(message.Undecryptable), err
}
