package api

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	contract "wafleet/shared/api"
	"wafleet/shared/store/db"
	"wafleet/shared/webhook"
)

// CreateWebhook has the events of a company sent to a URL from now on.
func (a *API) CreateWebhook(ctx context.Context, r contract.CreateWebhookRequestObject) (contract.CreateWebhookResponseObject, error) {
	companyID, err := a.companyFor(ctx, r.Body.CompanyID)
	if err != nil {
		return nil, err
	}
	if err := a.targets.CheckURL(r.Body.URL); err != nil {
		return nil, invalid("url", "url: "+err.Error())
	}
	events, err := checkEvents(r.Body.Events)
	if err != nil {
		return nil, err
	}
	if err := checkIdempotencyKey(r.Params.IdempotencyKey); err != nil {
		return nil, err
	}
	made := creation{company: companyID, operation: "createWebhook", key: r.Params.IdempotencyKey, body: r.Body, secret: true}
	answer, replayed, err := once(ctx, a, made, func(tx pgx.Tx) (contract.CreateWebhookResponse, error) {
		created, err := a.createEndpoint(ctx, tx, companyID, r.Body, events)
		return contract.CreateWebhookResponse{Success: true, Data: created}, err
	})
	if err != nil {
		return nil, err
	}
	return contract.CreateWebhook201JSONResponse{
		Body: answer, Headers: contract.CreateWebhook201ResponseHeaders{IdempotentReplayed: replayedHeader(replayed)},
	}, nil
}

func (a *API) createEndpoint(ctx context.Context, tx pgx.Tx, companyID string, wanted *contract.CreateWebhookRequest,
	events []contract.EventType,
) (contract.CreatedWebhook, error) {
	id := "wh_" + strings.ReplaceAll(uuid.NewString(), "-", "")
	secret := webhook.NewSecret()
	sealed, err := a.vault.Seal(ctx, companyID, webhook.SecretContext(id), []byte(secret))
	if err != nil {
		return contract.CreatedWebhook{}, fmt.Errorf("seal webhook secret: %w", err)
	}
	legacy := wanted.LegacySignature != nil && *wanted.LegacySignature
	row, err := a.queries.CreateEndpoint(ctx, tx, db.CreateEndpointParams{
		ID: id, CompanyID: companyID, URL: wanted.URL, Events: words(events), Secret: sealed, LegacySignature: legacy,
	})
	if err != nil {
		return contract.CreatedWebhook{}, fmt.Errorf("store webhook endpoint: %w", err)
	}
	return contract.CreatedWebhook{
		ID: id, CompanyID: companyID, URL: wanted.URL, Events: events, Secret: string(secret),
		LegacySignature: legacy, Enabled: row.Enabled,
	}, nil
}

func checkEvents(events []contract.EventType) ([]contract.EventType, error) {
	for _, e := range events {
		if !webhook.KnownEventType(string(e)) {
			return nil, invalid("events", fmt.Sprintf("events: there is no event %q", string(e)))
		}
	}
	unique := slices.Sorted(slices.Values(events))
	return slices.Compact(append([]contract.EventType{}, unique...)), nil
}
