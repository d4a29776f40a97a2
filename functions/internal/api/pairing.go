package api

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	contract "wafleet/shared/api"
	"wafleet/shared/phone"
	"wafleet/shared/problem"
	"wafleet/shared/rpc"
	"wafleet/shared/session"
	"wafleet/shared/store/db"
)

const (
	// codeWait is how long a call waits for WhatsApp to give a pairing code.
	codeWait = 15 * time.Second
	// The pauses between two looks at the board grow from the first to the longest.
	firstLook, longestLook = 50 * time.Millisecond, 500 * time.Millisecond
	// useful is how long a code must still be good for to be handed out again.
	useful = 15 * time.Second
	// ownerPause is about how long it takes until another host looks after a company.
	ownerPause = 5 * time.Second
)

// GetSessionQR shows the QR code that a phone can scan now.
func (a *API) GetSessionQR(ctx context.Context, r contract.GetSessionQRRequestObject) (contract.GetSessionQRResponseObject, error) {
	row, err := a.session(ctx, r.CompanyID)
	if err != nil {
		return nil, err
	}
	if why := noQR(row); why != nil {
		return nil, why
	}
	owner, err := a.owner(ctx, row.CompanyID)
	if err != nil {
		return nil, err
	}
	if !owner.Live {
		return nil, problem.QRNotAvailable.Saying("No connection host looks after the company at the moment: try again shortly").
			RetryAfter(ownerPause)
	}
	qr, err := a.board.QR(ctx, row.CompanyID)
	left := time.Until(qr.ExpiresAt)
	switch {
	case errors.Is(err, rpc.ErrNotPublished), err == nil && left <= 0:
		return nil, problem.QRNotAvailable.Saying("The QR code is not there yet: the session's owner has not shown one").RetryAfter(2 * time.Second)
	case err != nil:
		return nil, problem.Connection.Saying("The QR code could not be read").RetryAfter(time.Second).Because(err)
	}
	switch preferred(callOf(ctx).accept, "application/json", "image/png", "image/svg+xml") {
	case "image/png":
		return qrPNG(qr.Code)
	case "image/svg+xml":
		return qrSVG(qr.Code)
	}
	return contract.GetSessionQR200JSONResponse{Success: true, Data: contract.QRCode{
		QR: qr.Code, Attempts: qr.Attempt, ExpiresIn: wholeSeconds(left),
	}}, nil
}

// noQR says why a session cannot have a QR code now, or nil if it may.
func noQR(row db.WhatsappSession) error {
	state, desired := session.State(row.State), session.Desired(row.DesiredState)
	pending := row.ObservedGeneration < row.DesiredGeneration
	switch {
	case state == session.Connected:
		return problem.QRNotAvailable.Saying("The session is connected already").Final()
	case desired != session.DesiredRunning:
		return problem.QRNotAvailable.Saying("The session is not started: initialize it first").Final()
	case session.PairingMethod(row.PairingMethod) == session.PairingCode && row.JID == nil:
		return problem.QRNotAvailable.Saying("The session is linked by a pairing code").Final()
	case state == session.Connecting, state == session.Reconnecting:
		return problem.QRNotAvailable.Saying("The session is linked and connecting").RetryAfter(5 * time.Second)
	case !pending && (state == session.Banned || state == session.Failed || state == session.LoggedOut):
		return problem.QRNotAvailable.Saying(whyDown(row)).With("reason", row.Reason).With("userAction", row.UserAction).Final()
	}
	return nil
}

// whyDown says in words why a session is down and does not come back by itself.
func whyDown(row db.WhatsappSession) string {
	if text := session.Text(row.Reason); text != "" {
		return text
	}
	return fmt.Sprintf("The session is %s: initialize it again", row.State)
}

// RequestPairingCode asks for a code for this number and waits until the session's owner shows it.
func (a *API) RequestPairingCode(ctx context.Context, r contract.RequestPairingCodeRequestObject) (contract.RequestPairingCodeResponseObject, error) {
	number, err := phone.Normalize(r.Body.PhoneNumber)
	if err != nil {
		return nil, invalid("phoneNumber", "phoneNumber: "+err.Error())
	}
	row, err := a.session(ctx, r.CompanyID)
	if err != nil {
		return nil, err
	}
	if row.JID != nil && (session.State(row.State) != session.Failed || row.Reason != session.ReasonDeviceUnreadable) {
		return nil, problem.Session.Saying("The session is linked already").With("state", row.State)
	}
	// A code that is still on show would be dead once the owner asks for another one.
	if code, err := a.shownCode(ctx, row.CompanyID, number); err == nil && time.Until(code.ExpiresAt) > useful {
		return codeAnswer(code), nil
	}
	if err := a.checkUnlinked(ctx, row.CompanyID, number); err != nil {
		return nil, err
	}
	if ok, wait := a.codes.Check(ctx, number); !ok {
		return nil, problem.PairingTooOften.Saying(session.Text(session.ReasonPairingRateLimited)).RetryAfter(wait)
	}
	row, err = a.declare(ctx, row.CompanyID, session.DesiredRunning, linking{method: session.PairingCode, phone: number})
	if err != nil {
		return nil, err
	}
	code, err := a.awaitCode(ctx, row.CompanyID, number, row.DesiredGeneration)
	if err != nil {
		return nil, err
	}
	return codeAnswer(code), nil
}

// checkUnlinked refuses a number that another company's session is linked to. It never says which.
func (a *API) checkUnlinked(ctx context.Context, companyID, number string) error {
	owner, err := a.queries.FindCompanyByNumber(ctx, a.store.Pool(), number)
	switch {
	case errors.Is(err, pgx.ErrNoRows), err == nil && owner == companyID:
		return nil
	case err != nil:
		return fmt.Errorf("find company of number: %w", err)
	}
	return problem.NoPairingCode.Saying(session.Text(session.ReasonNumberTaken)).With("reason", session.ReasonNumberTaken).Final()
}

// awaitCode looks at the board until it shows a code for the number, or the owner gives up on what was asked.
func (a *API) awaitCode(ctx context.Context, companyID, number string, generation int64) (rpc.PairingCode, error) {
	waiting, cancel := context.WithTimeout(ctx, codeWait)
	defer cancel()
	for pause := firstLook; ; pause = min(pause*3/2, longestLook) {
		code, err := a.shownCode(waiting, companyID, number)
		if err == nil && time.Until(code.ExpiresAt) > 0 {
			return code, nil
		}
		if refused := a.refusedCode(waiting, companyID, number, generation); refused != nil {
			return code, refused
		}
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-waiting.Done():
			timer.Stop()
			return code, a.noCode(ctx, companyID).Because(err)
		}
	}
}

// refusedCode returns why the owner will show no code, or nil while it may. What it said about earlier pairings does not count.
func (a *API) refusedCode(ctx context.Context, companyID, number string, generation int64) error {
	row, err := a.queries.GetSession(ctx, a.store.Pool(), companyID)
	if err != nil || row.ObservedGeneration < generation || !session.State(row.State).NeedsUser() {
		return nil //nolint:nilerr // what cannot be read now may be read at the next look
	}
	p := problem.NoPairingCode
	after := time.Duration(0)
	if row.Reason == session.ReasonPairingRateLimited {
		p = problem.PairingTooOften
		_, after = a.codes.Check(ctx, number)
	}
	return p.Saying(whyDown(row)).With("reason", row.Reason).With("userAction", row.UserAction).RetryAfter(after)
}

// noCode is what is said when the time is up.
func (a *API) noCode(ctx context.Context, companyID string) *problem.Problem {
	p := problem.NoPairingCode.RetryAfter(ownerPause)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	if owner, err := a.owner(ctx, companyID); err == nil && !owner.Live {
		return p.Saying("No connection host looks after the company at the moment: try again shortly")
	}
	return p.Saying("No pairing code came in time: the session's owner has not shown one")
}

func (a *API) shownCode(ctx context.Context, companyID, number string) (rpc.PairingCode, error) {
	code, err := a.board.PairingCode(ctx, companyID)
	if err != nil {
		return code, fmt.Errorf("look for pairing code: %w", err)
	}
	if code.Phone != number {
		return code, rpc.ErrNotPublished
	}
	return code, nil
}

func codeAnswer(code rpc.PairingCode) contract.RequestPairingCode200JSONResponse {
	return contract.RequestPairingCode200JSONResponse{Success: true, Data: contract.PairingCode{
		Code: code.Code, ExpiresIn: wholeSeconds(time.Until(code.ExpiresAt)), PhoneNumber: code.Phone,
	}}
}

func wholeSeconds(d time.Duration) int { return int(d.Round(time.Second).Seconds()) }
