package api

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"wafleet/functions/internal/delivery"
	contract "wafleet/shared/api"
	"wafleet/shared/problem"
	"wafleet/shared/store/db"
	"wafleet/shared/webhook"
)

const (
	// maxEndpoints is how many endpoints a company may have: each event is written once for every one that wants it.
	maxEndpoints = 100
	// disabledAsked is the reason of an endpoint that its company has disabled.
	disabledAsked = "asked"
)

// ListWebhooks lists the endpoints of a company.
func (a *API) ListWebhooks(ctx context.Context, r contract.ListWebhooksRequestObject) (contract.ListWebhooksResponseObject, error) {
	companyID, err := a.companyFor(ctx, r.Params.CompanyID)
	if err != nil {
		return nil, err
	}
	rows, err := a.queries.ListEndpoints(ctx, a.store.Pool(), companyID)
	if err != nil {
		return nil, fmt.Errorf("list endpoints: %w", err)
	}
	if err := a.unlessNobody(ctx, companyID, len(rows)); err != nil {
		return nil, err
	}
	answer := contract.ListWebhooks200JSONResponse{Success: true, Data: make([]contract.Webhook, len(rows))}
	for i, row := range rows {
		answer.Data[i] = endpointAnswer(row)
	}
	return answer, nil
}

// GetWebhook shows an endpoint.
func (a *API) GetWebhook(ctx context.Context, r contract.GetWebhookRequestObject) (contract.GetWebhookResponseObject, error) {
	row, err := a.endpoint(ctx, r.ID, r.Params.CompanyID)
	if err != nil {
		return nil, err
	}
	return contract.GetWebhook200JSONResponse{Success: true, Data: endpointAnswer(row)}, nil
}

// UpdateWebhook changes what the call names.
func (a *API) UpdateWebhook(ctx context.Context, r contract.UpdateWebhookRequestObject) (contract.UpdateWebhookResponseObject, error) {
	companyID, err := a.companyOfEndpoint(ctx, r.ID, r.Params.CompanyID)
	if err != nil {
		return nil, err
	}
	change := db.UpdateEndpointParams{
		CompanyID: companyID, ID: r.ID, URL: r.Body.URL, LegacySignature: r.Body.LegacySignature, Enabled: r.Body.Enabled,
		Reason: disabledAsked, Afresh: r.Body.URL != nil || value(r.Body.Enabled),
	}
	if r.Body.URL != nil {
		if err := a.targets.CheckURL(*r.Body.URL); err != nil {
			return nil, invalid("url", "url: "+err.Error())
		}
	}
	if r.Body.Events != nil {
		events, err := checkEvents(r.Body.Events)
		if err != nil {
			return nil, err
		}
		change.Events = words(events)
	}
	var row db.WebhookEndpoint
	var waiting []webhook.Job
	err = a.store.InTx(ctx, func(tx pgx.Tx) error {
		if row, err = a.queries.UpdateEndpoint(ctx, tx, change); err != nil {
			return noEndpoint("update endpoint", r.ID, err)
		}
		if !change.Afresh || !row.Enabled {
			return nil
		}
		called, err := a.queries.UnparkDeliveries(ctx, tx, db.UnparkDeliveriesParams{
			CompanyID: companyID, EndpointID: r.ID, Room: delivery.DefaultInFlight, Hold: delivery.JobPatience.Seconds(),
		})
		if err != nil {
			return fmt.Errorf("call what waits for the endpoint: %w", err)
		}
		waiting = webhook.Jobs(called)
		return nil
	})
	if err != nil {
		return nil, err
	}
	a.deliverSoon(ctx, companyID, waiting...)
	return contract.UpdateWebhook200JSONResponse{Success: true, Data: endpointAnswer(row)}, nil
}

// DeleteWebhook ends an endpoint.
func (a *API) DeleteWebhook(ctx context.Context, r contract.DeleteWebhookRequestObject) (contract.DeleteWebhookResponseObject, error) {
	companyID, err := a.companyOfEndpoint(ctx, r.ID, r.Params.CompanyID)
	if err != nil {
		return nil, err
	}
	deleted, err := a.queries.DeleteEndpoint(ctx, a.store.Pool(), db.DeleteEndpointParams{CompanyID: companyID, ID: r.ID})
	if err == nil && deleted == 0 {
		err = pgx.ErrNoRows
	}
	if err != nil {
		return nil, noEndpoint("delete endpoint", r.ID, err)
	}
	return contract.DeleteWebhook200JSONResponse{Success: true, Data: contract.Deleted{ID: r.ID, Deleted: true}}, nil
}

// endpoint reads an endpoint that the caller may see.
func (a *API) endpoint(ctx context.Context, id string, named *string) (db.WebhookEndpoint, error) {
	companyID, err := a.companyOfEndpoint(ctx, id, named)
	if err != nil {
		return db.WebhookEndpoint{}, err
	}
	row, err := a.queries.GetEndpoint(ctx, a.store.Pool(), db.GetEndpointParams{CompanyID: companyID, ID: id})
	if err != nil {
		return row, noEndpoint("read endpoint", id, err)
	}
	return row, nil
}

func (a *API) companyOfEndpoint(ctx context.Context, id string, named *string) (string, error) {
	companyID, err := a.companyOf(ctx, named, func() (string, error) {
		return a.queries.FindCompanyOfEndpoint(ctx, a.store.Pool(), id)
	})
	if err != nil {
		return "", noEndpoint("find endpoint", id, err)
	}
	return companyID, nil
}

// noEndpoint names the error of a statement on an endpoint.
func noEndpoint(what, id string, err error) error {
	if errors.Is(err, pgx.ErrNoRows) {
		return problem.NotFound.Saying("There is no such webhook").With("webhookId", id)
	}
	return fmt.Errorf("%s: %w", what, err)
}

// deliverSoon sends jobs on the fast path; what cannot be sent is left to the sweeper.
func (a *API) deliverSoon(ctx context.Context, companyID string, jobs ...webhook.Job) {
	if err := a.enqueuer.Enqueue(ctx, 0, jobs...); err != nil {
		a.logger.WarnContext(ctx, "webhook.left_to_sweep", "company_id", companyID, "deliveries", len(jobs), "error", err)
	}
}

func endpointAnswer(row db.WebhookEndpoint) contract.Webhook {
	events := make([]contract.EventType, len(row.Events))
	for i, e := range row.Events {
		events[i] = contract.EventType(e)
	}
	return contract.Webhook{
		ID: row.ID, CompanyID: row.CompanyID, URL: row.URL, Events: events, LegacySignature: row.LegacySignature,
		Enabled: row.Enabled, DisabledReason: row.DisabledReason, Failures: row.Failures, FailingSince: utc(row.FailingSince),
		PreviousSecretUntil: utc(row.PreviousUntil), CreatedAt: row.CreatedAt.UTC(),
	}
}
