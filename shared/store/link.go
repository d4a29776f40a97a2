package store

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"wafleet/shared/session"
	"wafleet/shared/store/db"
)

var (
	// ErrLinked says that a company's session has a device already.
	ErrLinked = errors.New("the company's session is linked to a device")
	// ErrRunning says that a company's session is asked to run, or waits for a phone.
	ErrRunning = errors.New("the company's session is running: disconnect it first")
)

// NewLink is a device that was linked elsewhere.
type NewLink struct {
	CompanyID          string
	JID, LID, PushName string
	// Keys stores the device's keys, in the same transaction. Its error undoes everything.
	Keys func(ctx context.Context, tx pgx.Tx) error
	// DryRun undoes everything at the end.
	DryRun bool
}

var errDryRun = errors.New("dry run")

// Link gives a session that nobody runs a device: ErrNoCompany, ErrLinked, ErrRunning or ErrNumberTaken where that cannot be.
// Until the transaction ends whoever is to run the session waits. It does not run until somebody asks for it.
func (s *Store) Link(ctx context.Context, l NewLink) error {
	err := s.InTx(ctx, func(tx pgx.Tx) error {
		// Keys may be read from a database that is slow; a timeout of the role is for hosts that were stopped.
		if _, err := tx.Exec(ctx, "SET LOCAL idle_in_transaction_session_timeout = 0"); err != nil {
			return fmt.Errorf("set timeout: %w", err)
		}
		if err := s.checkLinkable(ctx, tx, l.CompanyID); err != nil {
			return err
		}
		err := s.queries.LinkSession(ctx, tx, db.LinkSessionParams{
			CompanyID: l.CompanyID, JID: l.JID, LID: l.LID, PushName: l.PushName, Status: session.Stopped.Status(),
		})
		if violates(err, "one_company_per_number") {
			return ErrNumberTaken
		}
		if err != nil {
			return fmt.Errorf("link session: %w", err)
		}
		if err := l.Keys(ctx, tx); err != nil {
			return err
		}
		if l.DryRun {
			return errDryRun
		}
		return nil
	})
	if errors.Is(err, errDryRun) {
		return nil
	}
	return err
}

func (s *Store) checkLinkable(ctx context.Context, tx pgx.Tx, companyID string) error {
	row, err := s.queries.LockSession(ctx, tx, companyID)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return ErrNoCompany
	case err != nil:
		return fmt.Errorf("lock session: %w", err)
	case row.JID != nil:
		return ErrLinked
	case session.Desired(row.DesiredState) == session.DesiredRunning, row.DesiredGeneration != row.ObservedGeneration:
		return ErrRunning
	}
	return nil
}
