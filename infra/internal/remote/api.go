package remote

import (
	"context"
	"errors"
	"net/http"
)

const base = "/api/whatsapp"

// ratePerMinute is the most that a company may be allowed: the benchmark measures the system, not its rate limit.
const ratePerMinute = 100_000

// API is wafleet's.
type API struct{ client }

// NewAPI returns a client of the API at an address, with an admin key.
func NewAPI(url, key string) *API { return &API{newClient(url, key)} }

// Healthy returns an error while the API cannot accept sends.
func (a *API) Healthy(ctx context.Context) error {
	return a.call(ctx, http.MethodGet, base+"/health", nil, nil)
}

// CreateCompany makes a company that may send as much as any may.
func (a *API) CreateCompany(ctx context.Context, companyID string) error {
	return a.call(ctx, http.MethodPost, base+"/companies", map[string]any{
		"companyId": companyID, "rateLimit": map[string]int{"perMinute": ratePerMinute, "burst": ratePerMinute},
	}, nil)
}

// Initialize asks for the company's session to be up.
func (a *API) Initialize(ctx context.Context, companyID string) error {
	return a.call(ctx, http.MethodPost, base+"/sessions/"+companyID+"/initialize", map[string]any{}, nil)
}

// QR returns the code that the company's phone has to scan, or "" if there is none yet.
func (a *API) QR(ctx context.Context, companyID string) (string, error) {
	var answer struct{ Data struct{ QR string } }
	err := a.call(ctx, http.MethodGet, base+"/sessions/"+companyID+"/qr", nil, &answer)
	var refused *StatusError
	if errors.As(err, &refused) && refused.Status == http.StatusConflict {
		return "", nil
	}
	return answer.Data.QR, err
}

// Send hands a text over to be sent and returns the id of the message.
func (a *API) Send(ctx context.Context, companyID, phone, text string) (messageID string, err error) {
	var answer struct{ Data struct{ MessageID string } }
	err = a.call(ctx, http.MethodPost, base+"/send", map[string]string{
		"companyId": companyID, "phone": phone, "message": text,
	}, &answer)
	return answer.Data.MessageID, err
}
