package api

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	contract "wafleet/shared/api"
	"wafleet/shared/problem"
	"wafleet/shared/session"
	"wafleet/shared/store/db"
)

// RestartSession declares that a session should run on a new connection. Each call is a restart of its own.
func (a *API) RestartSession(ctx context.Context, r contract.RestartSessionRequestObject) (contract.RestartSessionResponseObject, error) {
	row, err := a.session(ctx, r.CompanyID)
	if err != nil {
		return nil, err
	}
	row, err = a.queries.RestartSession(ctx, a.store.Pool(), row.CompanyID)
	if row, err = a.declared(ctx, row, r.CompanyID, err); err != nil {
		return nil, err
	}
	return contract.RestartSession200JSONResponse{Success: true, Data: sessionAnswer(row)}, nil
}

// LogoutSession declares that a company's device should be unlinked.
func (a *API) LogoutSession(ctx context.Context, r contract.LogoutSessionRequestObject) (contract.LogoutSessionResponseObject, error) {
	row, err := a.session(ctx, r.CompanyID)
	if err != nil {
		return nil, err
	}
	if session.Desired(row.DesiredState) != session.DesiredLoggedOut {
		if row, err = a.declare(ctx, row.CompanyID, session.DesiredLoggedOut, linking{}); err != nil {
			return nil, err
		}
	}
	return contract.LogoutSession200JSONResponse{Success: true, Data: sessionAnswer(row)}, nil
}

// DeleteSession declares that a company's device should be unlinked and its keys be destroyed.
func (a *API) DeleteSession(ctx context.Context, r contract.DeleteSessionRequestObject) (contract.DeleteSessionResponseObject, error) {
	row, err := a.session(ctx, r.CompanyID)
	if err != nil {
		return nil, err
	}
	if !isDeleted(row) {
		row, err = a.queries.DeleteSession(ctx, a.store.Pool(), row.CompanyID)
		if row, err = a.declared(ctx, row, r.CompanyID, err); err != nil {
			return nil, err
		}
	}
	return contract.DeleteSession200JSONResponse{Success: true, Data: sessionAnswer(row)}, nil
}

// isDeleted says that a session is as new, or on its way there with nothing asked for since.
func isDeleted(row db.WhatsappSession) bool {
	desired := session.Desired(row.DesiredState)
	if row.DeleteAfterLogout {
		return desired == session.DesiredLoggedOut
	}
	asNew := session.State(row.State) == session.Created && row.JID == nil
	return asNew && desired != session.DesiredRunning && row.ObservedGeneration == row.DesiredGeneration
}

// declare writes what a session should be and wakes its owner.
func (a *API) declare(ctx context.Context, companyID string, desired session.Desired, l linking) (db.WhatsappSession, error) {
	row, err := a.queries.SetDesired(ctx, a.store.Pool(), db.SetDesiredParams{
		CompanyID: companyID, DesiredState: string(desired), PairingMethod: optional(string(l.method)), PairingPhone: optional(l.phone),
	})
	return a.declared(ctx, row, companyID, err)
}

// declared ends a declaration: it names the error, or wakes the owner. A nudge that gets lost costs seconds: the owner also
// looks by itself.
func (a *API) declared(ctx context.Context, row db.WhatsappSession, companyID string, err error) (db.WhatsappSession, error) {
	if errors.Is(err, pgx.ErrNoRows) {
		return row, problem.CompanyNotFound.With("companyId", companyID)
	}
	if err != nil {
		return row, fmt.Errorf("declare session: %w", err)
	}
	a.nudge(ctx, companyID)
	return row, nil
}

// nudge wakes the owner of a company, for its session.
func (a *API) nudge(ctx context.Context, companyID string) {
	if err := a.board.Nudge(ctx, companyID); err != nil {
		a.logger.WarnContext(ctx, "session.nudge", "error", err, "company_id", companyID)
	}
}
