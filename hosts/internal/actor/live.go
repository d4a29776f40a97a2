package actor

import (
	"context"
	"fmt"

	"wafleet/shared/rpc"
)

// CheckContacts asks WhatsApp, over a company's own connection, which numbers it knows. rpc.ErrOffline: the company is not
// connected on this host; rpc.ErrWhatsApp: WhatsApp answered with an error, or not in time.
func (f *Fleet) CheckContacts(ctx context.Context, companyID string, phones []string) ([]rpc.ContactFound, error) {
	a, conn, err := f.connected(companyID)
	if err != nil {
		return nil, err
	}
	found, err := conn.CheckContacts(ctx, phones)
	if err != nil {
		a.logger.WarnContext(ctx, "check contacts", "contacts", len(phones), "error", err)
		return nil, fmt.Errorf("check contacts: %w: %w", rpc.ErrWhatsApp, err)
	}
	return found, nil
}

// MarkRead tells the sender of a message that it was read. The errors are those of CheckContacts.
func (f *Fleet) MarkRead(ctx context.Context, companyID string, m rpc.ReadMark) error {
	a, conn, err := f.connected(companyID)
	if err != nil {
		return err
	}
	return a.shown(ctx, "mark read", conn.MarkRead(ctx, m))
}

// ShowTyping shows a chat that somebody writes. The errors are those of CheckContacts.
func (f *Fleet) ShowTyping(ctx context.Context, companyID string, t rpc.Typing) error {
	a, conn, err := f.connected(companyID)
	if err != nil {
		return err
	}
	return a.shown(ctx, "show typing", conn.ShowTyping(ctx, t))
}

func (a *Actor) shown(ctx context.Context, what string, err error) error {
	if err == nil {
		return nil
	}
	a.logger.WarnContext(ctx, "live question", "what", what, "error", err)
	return fmt.Errorf("%w: %w", rpc.ErrWhatsApp, err)
}

// connected returns a company's actor and its connection, or rpc.ErrOffline.
func (f *Fleet) connected(companyID string) (*Actor, Conn, error) {
	a := f.actor(companyID)
	if a == nil {
		return nil, nil, rpc.ErrOffline
	}
	conn, _ := a.sender.current()
	if conn == nil {
		return nil, nil, rpc.ErrOffline
	}
	return a, conn, nil
}
