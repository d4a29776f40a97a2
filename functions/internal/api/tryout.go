package api

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/google/uuid"

	contract "wafleet/shared/api"
	"wafleet/shared/problem"
	"wafleet/shared/store/db"
	"wafleet/shared/webhook"
)

const (
	// maxTryouts is how many tests of endpoints run at a time in a process, and maxTryoutsEach those of one company: an endpoint
	// that hangs holds its call for webhook.AttemptTimeout.
	maxTryouts, maxTryoutsEach = 32, 4
	// busyRetry is when a caller may try again who found no place.
	busyRetry = 2 * time.Second
)

// TestWebhook sends one event to an endpoint, there and then, and tells what came of it.
func (a *API) TestWebhook(ctx context.Context, r contract.TestWebhookRequestObject) (contract.TestWebhookResponseObject, error) {
	row, err := a.endpoint(ctx, r.ID, r.Params.CompanyID)
	if err != nil {
		return nil, err
	}
	leave, ok := a.tryouts.enter(row.CompanyID)
	if !ok {
		return nil, problem.RateLimited.Saying("Too many tests are running").RetryAfter(busyRetry)
	}
	defer leave()
	signer, err := a.signer(ctx, row)
	if err != nil {
		return nil, err
	}
	data, err := json.Marshal(map[string]string{"endpointId": row.ID})
	if err != nil {
		return nil, fmt.Errorf("encode test event: %w", err)
	}
	id := webhook.EventID(uuid.New())
	payload, err := webhook.Payload{
		ID: id, Type: webhook.WebhookTest, Timestamp: time.Now(), CompanyID: row.CompanyID, Data: data,
	}.Encode()
	if err != nil {
		return nil, fmt.Errorf("encode test event: %w", err)
	}
	client := webhook.NewClient(a.targets, webhook.ClientConfig{}) // tests are rare: no connection is kept for the next
	defer client.Close()
	outcome := client.Post(ctx, row.URL, signer, id, payload)
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("test endpoint: %w", err)
	}
	answer := contract.WebhookTest{
		EventID: id, Delivered: outcome.Delivered(), Error: outcome.Summary(), DurationMs: outcome.Took.Milliseconds(),
	}
	if outcome.Status != 0 {
		answer.Status = &outcome.Status
	}
	return contract.TestWebhook200JSONResponse{Success: true, Data: answer}, nil
}

// signer signs as deliveries to the endpoint are signed now.
func (a *API) signer(ctx context.Context, row db.WebhookEndpoint) (*webhook.Signer, error) {
	sealed := [][]byte{row.Secret}
	if row.PreviousUntil != nil && row.PreviousUntil.After(time.Now()) {
		sealed = append(sealed, row.PreviousSecret)
	}
	var secrets [2]webhook.Secret
	for i, s := range sealed {
		secret, err := a.vault.Open(ctx, row.CompanyID, webhook.SecretContext(row.ID), s)
		if err != nil {
			return nil, fmt.Errorf("open webhook secret: %w", err)
		}
		secrets[i] = webhook.Secret(secret)
	}
	signer, err := webhook.NewSigner(secrets[0], secrets[1], row.LegacySignature)
	if err != nil {
		return nil, fmt.Errorf("use webhook secret: %w", err)
	}
	return signer, nil
}
