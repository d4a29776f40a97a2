package wa

import (
	"context"
	"crypto/sha256"

	"go.mau.fi/whatsmeow/types"
	"go.mau.fi/whatsmeow/types/events"

	"wafleet/hosts/internal/actor"
	"wafleet/shared/message"
)

// called is a call as a message: nobody here can answer it, and the company should know.
func (d decoder) called(ctx context.Context, meta types.BasicCallMeta, ring message.Ring) (actor.Incoming, error) {
	caller := meta.CallCreator
	if caller.IsEmpty() {
		caller = meta.From
	}
	info := types.MessageInfo{
		MessageSource: types.MessageSource{
			Chat: caller.ToNonAD(), Sender: caller.ToNonAD(), SenderAlt: meta.CallCreatorAlt, IsFromMe: d.isOwn(caller),
		},
		ID: meta.CallID, Timestamp: meta.Timestamp,
	}
	if !meta.GroupJID.IsEmpty() {
		info.Chat, info.IsGroup, ring.Group = meta.GroupJID, true, true
	}
	in, err := d.addressed(ctx, info)
	digest := sha256.Sum256([]byte(meta.CallID))
	in.Digest, in.Said = digest[:], message.Said{Kind: message.Call, Call: &ring}
	return in, err
}

// undecryptable stands in for a message that could not be decrypted. Its sender was asked for it again, or the company's
// own phone was.
func (d decoder) undecryptable(ctx context.Context, e *events.UndecryptableMessage) (actor.Incoming, error) {
	in, err := d.addressed(ctx, e.Info)
	in.Said = message.Said{Kind: message.Undecryptable, Reason: "waiting_for_sender"}
	switch {
	case e.UnavailableType == events.UnavailableTypeViewOnce:
		in.Said.ViewOnce, in.Said.Reason = true, "only_on_the_phone"
	case e.IsUnavailable:
		in.Said.Reason = "waiting_for_phone"
	}
	in.Silent = e.DecryptFailMode == events.DecryptFailHide
	return in, err
}
