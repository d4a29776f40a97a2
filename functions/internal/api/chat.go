package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	contract "wafleet/shared/api"
	"wafleet/shared/message"
	"wafleet/shared/problem"
	"wafleet/shared/rpc"
	"wafleet/shared/session"
)

// showTimeout is how long a caller waits for something to be shown in a chat.
const showTimeout = 5 * time.Second

// MarkRead tells the sender of a message that it was read.
func (a *API) MarkRead(ctx context.Context, r contract.MarkReadRequestObject) (contract.MarkReadResponseObject, error) {
	companyID, err := a.companyOfMessage(ctx, r.ID, r.Params.CompanyID)
	if err != nil {
		return nil, err
	}
	row, err := a.referred(ctx, companyID, r.ID)
	if err != nil {
		return nil, err
	}
	if row.Direction != string(contract.Incoming) {
		return nil, invalid("id", "only a received message can be read")
	}
	ref := refOf(row)
	err = a.show(ctx, companyID, rpc.MarkRead, rpc.ReadMark{Chat: ref.Chat, Sender: ref.Sender, WAMessageID: ref.WAMessageID})
	if err != nil {
		return nil, err
	}
	return contract.MarkRead200JSONResponse{Success: true}, nil
}

// ShowTyping shows a chat that somebody writes.
func (a *API) ShowTyping(ctx context.Context, r contract.ShowTypingRequestObject) (contract.ShowTypingResponseObject, error) {
	companyID, err := a.companyFor(ctx, r.Body.CompanyID)
	if err != nil {
		return nil, err
	}
	chat, err := message.ParseRecipient(r.Phone)
	if err != nil {
		return nil, invalid("phone", "phone "+err.Error())
	}
	state := rpc.Composing
	if r.Body.State != nil {
		state = rpc.TypingState(*r.Body.State)
	}
	switch state {
	case rpc.Composing, rpc.Recording, rpc.Paused:
	default:
		return nil, invalid("state", "state must be composing, recording or paused")
	}
	if err := a.show(ctx, companyID, rpc.ShowTyping, rpc.Typing{Chat: chat, State: state}); err != nil {
		return nil, err
	}
	return contract.ShowTyping200JSONResponse{Success: true}, nil
}

// show asks the owner of a company to show something in a chat, over a connection that has to be there.
func (a *API) show(ctx context.Context, companyID, kind string, what any) error {
	row, err := a.session(ctx, companyID)
	if err != nil {
		return err
	}
	if state := session.State(row.State); state != session.Connected {
		p := problem.Session.Saying("The session is not connected").With("state", row.State)
		if state.NeedsUser() || state == session.Pairing {
			return p
		}
		return p.RetryAfter(connectPause)
	}
	owner, err := a.owner(ctx, companyID)
	if err != nil {
		return err
	}
	if !owner.Live || owner.Term == nil {
		return noOwner
	}
	body, err := json.Marshal(what)
	if err != nil {
		return fmt.Errorf("encode %s: %w", kind, err)
	}
	ctx, cancel := context.WithTimeout(ctx, showTimeout)
	defer cancel()
	var nothing struct{}
	err = a.live.Ask(ctx, rpc.Owner{Shard: owner.Shard, Term: *owner.Term}, rpc.Question{Kind: kind, CompanyID: companyID, Body: body}, &nothing)
	if errors.Is(err, rpc.ErrWhatsApp) {
		return problem.Provider.Saying("WhatsApp was not told").RetryAfter(connectPause).Because(err)
	}
	return unanswered(err)
}
