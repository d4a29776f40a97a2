package api

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	contract "wafleet/shared/api"
	"wafleet/shared/problem"
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
	endpoint := contract.CreatedWebhook{
		ID: "wh_" + strings.ReplaceAll(uuid.NewString(), "-", ""), CompanyID: companyID, URL: r.Body.URL, Events: events,
		Secret: string(webhook.NewSecret()), LegacySignature: r.Body.LegacySignature != nil && *r.Body.LegacySignature, Enabled: true,
	}
	sealed, err := a.vault.Seal(ctx, companyID, webhook.SecretContext(endpoint.ID), []byte(endpoint.Secret))
	if err != nil {
		return nil, fmt.Errorf("seal webhook secret: %w", err)
	}
	made := creation{company: companyID, operation: "createWebhook", key: r.Params.IdempotencyKey, body: r.Body, secret: true}
	answer, replayed, err := once(ctx, a, made, contract.CreateWebhookResponse{Success: true, Data: endpoint}, func(tx pgx.Tx) error {
		if err := a.roomForEndpoint(ctx, tx, companyID); err != nil {
			return err
		}
		_, err := a.queries.CreateEndpoint(ctx, tx, db.CreateEndpointParams{
			ID: endpoint.ID, CompanyID: companyID, URL: endpoint.URL, Events: words(events), Secret: sealed,
			LegacySignature: endpoint.LegacySignature,
		})
		if err != nil {
			return fmt.Errorf("store webhook endpoint: %w", err)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return contract.CreateWebhook201JSONResponse{
		Body: answer, Headers: contract.CreateWebhook201ResponseHeaders{IdempotentReplayed: replayedHeader(replayed)},
	}, nil
}

// roomForEndpoint refuses one too many. The company's row is locked, so that calls at the same time count one another.
func (a *API) roomForEndpoint(ctx context.Context, tx pgx.Tx, companyID string) error {
	if _, err := a.queries.HoldCompany(ctx, tx, companyID); err != nil {
		return companyError("hold company", companyID, err)
	}
	endpoints, err := a.queries.CountEndpoints(ctx, tx, companyID)
	if err != nil {
		return fmt.Errorf("count endpoints: %w", err)
	}
	if endpoints >= maxEndpoints {
		return problem.LimitReached.Saying(fmt.Sprintf("A company can have %d webhooks", maxEndpoints)).With("limit", maxEndpoints)
	}
	return nil
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
