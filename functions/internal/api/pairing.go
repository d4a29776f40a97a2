package api

import (
	"context"
	"errors"
	"fmt"
	"time"

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
		return problem.QRNotAvailable.Saying(fmt.Sprintf("The session is %s: initialize it again", state)).
			With("reason", row.Reason).With("userAction", row.UserAction).Final()
	}
	return nil
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
	if row.JID != nil {
		return nil, problem.Session.Saying("The session is linked already").With("state", row.State)
	}
	// A code that is still on show would be dead once the owner asks for another one.
	if code, err := a.shownCode(ctx, row.CompanyID, number); err == nil && time.Until(code.ExpiresAt) > useful {
		return codeAnswer(code), nil
	}
	if _, err := a.declare(ctx, row.CompanyID, session.DesiredRunning, linking{method: session.PairingCode, phone: number}); err != nil {
		return nil, err
	}
	code, err := a.awaitCode(ctx, row.CompanyID, number)
	if err != nil {
		return nil, err
	}
	return codeAnswer(code), nil
}

// awaitCode looks at the board until it shows a code for the number.
func (a *API) awaitCode(ctx context.Context, companyID, number string) (rpc.PairingCode, error) {
	ctx, cancel := context.WithTimeout(ctx, codeWait)
	defer cancel()
	for pause := firstLook; ; pause = min(pause*3/2, longestLook) {
		code, err := a.shownCode(ctx, companyID, number)
		if err == nil && time.Until(code.ExpiresAt) > 0 {
			return code, nil
		}
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return code, problem.NoPairingCode.Saying("No pairing code came in time: the session's owner has not shown one").
				RetryAfter(5 * time.Second).Because(err)
		}
	}
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
