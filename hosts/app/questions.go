package app

import (
	"context"
	"encoding/json"
	"fmt"

	"wafleet/hosts/internal/actor"
	"wafleet/shared/rpc"
	"wafleet/shared/store"
)

// newResponder answers live questions about the companies of this host. Whether a lease holds is asked of the database: what
// is done for a company over its connection must not be done twice.
func newResponder(deps Deps, durable *store.Store, fleet *actor.Fleet) *rpc.Responder {
	holds := func(ctx context.Context, owner rpc.Owner) error {
		return durable.CheckFence(ctx, store.Fence{Shard: owner.Shard, Term: owner.Term})
	}
	return rpc.NewResponder(deps.Redis, deps.Logger, holds, func(ctx context.Context, _ rpc.Owner, q rpc.Question) (any, error) {
		return answer(ctx, fleet, q)
	})
}

func answer(ctx context.Context, fleet *actor.Fleet, q rpc.Question) (any, error) {
	switch q.Kind {
	case rpc.CheckContacts:
		var asked rpc.ContactsAsked
		if err := json.Unmarshal(q.Body, &asked); err != nil {
			return nil, fmt.Errorf("read question: %w", err)
		}
		return fleet.CheckContacts(ctx, q.CompanyID, asked.Phones)
	case rpc.MarkRead:
		var m rpc.ReadMark
		if err := json.Unmarshal(q.Body, &m); err != nil {
			return nil, fmt.Errorf("read question: %w", err)
		}
		return struct{}{}, fleet.MarkRead(ctx, q.CompanyID, m)
	case rpc.ShowTyping:
		var t rpc.Typing
		if err := json.Unmarshal(q.Body, &t); err != nil {
			return nil, fmt.Errorf("read question: %w", err)
		}
		return struct{}{}, fleet.ShowTyping(ctx, q.CompanyID, t)
	}
	return nil, rpc.ErrUnknown
}
