package api

import (
	"context"
	"fmt"

	contract "wafleet/shared/api"
	"wafleet/shared/session"
	"wafleet/shared/store/db"
)

// InitializeSession declares that a company's session should be up, and keeps what the call says about the company.
func (a *API) InitializeSession(ctx context.Context, r contract.InitializeSessionRequestObject) (contract.InitializeSessionResponseObject, error) {
	row, err := a.session(ctx, r.CompanyID)
	if err != nil {
		return nil, err
	}
	wanted := contract.InitializeRequest{}
	if r.Body != nil {
		wanted = *r.Body
	}
	profile, err := a.profile(row.CompanyID, wanted)
	if err != nil {
		return nil, err
	}
	pairing, err := a.pairing(ctx, row.CompanyID, wanted)
	if err != nil {
		return nil, err
	}
	if pairing.method == "" && row.JID == nil && !comesUp(row) {
		pairing.method = session.PairingQR // the way that a former pairing went is no wish for this one
	}
	if pairing.method == session.PairingCode && row.JID == nil {
		if err := a.checkUnlinked(ctx, row.CompanyID, pairing.phone); err != nil {
			return nil, err
		}
	}
	if profile.Title != nil || profile.Phone != nil || profile.Config != nil {
		if err := a.queries.UpdateCompanyProfile(ctx, a.store.Pool(), profile); err != nil {
			return nil, fmt.Errorf("store profile: %w", err)
		}
	}
	if !comesUp(row) || pairing.differs(row) {
		row, err = a.declare(ctx, row.CompanyID, session.DesiredRunning, pairing)
		if err != nil {
			return nil, err
		}
	}
	return contract.InitializeSession200JSONResponse{Success: true, Data: sessionAnswer(row)}, nil
}

// DisconnectSession declares that a company's session should be down. Its device stays linked.
func (a *API) DisconnectSession(ctx context.Context, r contract.DisconnectSessionRequestObject) (contract.DisconnectSessionResponseObject, error) {
	row, err := a.session(ctx, r.CompanyID)
	if err != nil {
		return nil, err
	}
	if session.Desired(row.DesiredState) == session.DesiredRunning {
		if row, err = a.declare(ctx, row.CompanyID, session.DesiredStopped, linking{}); err != nil {
			return nil, err
		}
	}
	return contract.DisconnectSession200JSONResponse{Success: true, Data: sessionAnswer(row)}, nil
}

// linking is how a device should be linked; the zero value leaves that as it is.
type linking struct {
	method session.PairingMethod
	phone  string
}

// differs says that the session would not be linked this way; one that is linked is not linked anew.
func (l linking) differs(row db.WhatsappSession) bool {
	if l.method == "" || row.JID != nil {
		return false
	}
	samePhone := l.phone == "" || (row.PairingPhone != nil && *row.PairingPhone == l.phone)
	return string(l.method) != row.PairingMethod || !samePhone
}

// pairing reads how a call wants the device to be linked.
func (a *API) pairing(ctx context.Context, companyID string, r contract.InitializeRequest) (linking, error) {
	number, err := checkPhone("phoneNumber", r.PhoneNumber)
	if err != nil {
		return linking{}, err
	}
	if r.UsePairingCode != nil && !*r.UsePairingCode {
		return linking{method: session.PairingQR}, nil
	}
	if r.UsePairingCode == nil && !a.config.UsePairingCode {
		return linking{}, nil
	}
	if number == nil {
		if number, err = a.numberOf(ctx, companyID, r.Phone); err != nil {
			return linking{}, err
		}
	}
	switch {
	case number != nil:
		return linking{method: session.PairingCode, phone: *number}, nil
	case r.UsePairingCode == nil: // only a setting's wish
		return linking{}, nil
	}
	return linking{}, invalid("phoneNumber", "phoneNumber is required: the company's number is not known")
}

// numberOf finds the number of a company's phone: given in the call, known from before, or that of the settings.
func (a *API) numberOf(ctx context.Context, companyID string, given *string) (*string, error) {
	if given != nil {
		return checkPhone("phone", given)
	}
	row, err := a.queries.GetCompany(ctx, a.store.Pool(), companyID)
	if err != nil {
		return nil, fmt.Errorf("read company: %w", err)
	}
	if row.WhatsappPhone == nil && companyID == a.config.DefaultCompany {
		return optional(a.config.CompanyPhone), nil
	}
	return row.WhatsappPhone, nil
}

// profile is what a call says about the company.
func (a *API) profile(companyID string, r contract.InitializeRequest) (db.UpdateCompanyProfileParams, error) {
	p := db.UpdateCompanyProfileParams{CompanyID: companyID}
	var err error
	if p.Title, err = checkText("name", r.Name); err != nil {
		return p, err
	}
	if p.Phone, err = checkPhone("phone", r.Phone); err != nil {
		return p, err
	}
	p.Config, err = checkConfig(r.Config)
	return p, err
}

// comesUp says that the session is up or on its way, so that declaring it again would only restart it.
func comesUp(row db.WhatsappSession) bool {
	if session.Desired(row.DesiredState) != session.DesiredRunning {
		return false
	}
	return !session.State(row.State).NeedsUser() || row.ObservedGeneration < row.DesiredGeneration
}
