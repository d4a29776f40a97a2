package actor

import (
	"context"
	"fmt"

	"wafleet/shared/rpc"
)

// CheckContacts asks WhatsApp, over a company's own connection, which numbers it knows. rpc.ErrOffline: the company is not
// connected on this host; rpc.ErrWhatsApp: WhatsApp answered with an error, or not in time.
func (f *Fleet) CheckContacts(ctx context.Context, companyID string, phones []string) ([]rpc.ContactFound, error) {
	a := f.actor(companyID)
	if a == nil {
		return nil, rpc.ErrOffline
	}
	conn, _ := a.sender.current()
	if conn == nil {
		return nil, rpc.ErrOffline
	}
	found, err := conn.CheckContacts(ctx, phones)
	if err != nil {
		a.logger.WarnContext(ctx, "check contacts", "contacts", len(phones), "error", err)
		return nil, fmt.Errorf("check contacts: %w: %w", rpc.ErrWhatsApp, err)
	}
	return found, nil
}
