package api

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strconv"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"wafleet/functions/internal/delivery"
	contract "wafleet/shared/api"
	"wafleet/shared/problem"
	"wafleet/shared/store/db"
	"wafleet/shared/webhook"
)

const (
	maxDeliveriesPage = 500
	// deliveriesWindow is how many of an endpoint's deliveries one call looks at for those in a state. Dead letters are found
	// without looking.
	deliveriesWindow = 5_000
)

// ListDeliveries lists what was sent to an endpoint, the newest first.
func (a *API) ListDeliveries(ctx context.Context, r contract.ListDeliveriesRequestObject) (contract.ListDeliveriesResponseObject, error) {
	state := contract.DeliveryState("")
	if r.Params.State != nil {
		if state = *r.Params.State; !state.Valid() {
			return nil, invalid("state", "state must be pending, delivered or dead")
		}
	}
	size, err := pageSize(r.Params.Limit, maxDeliveriesPage)
	if err != nil {
		return nil, err
	}
	before := int64(math.MaxInt64)
	if after := value(r.Params.After); after != "" {
		if before, err = strconv.ParseInt(after, 10, 64); err != nil || before < 1 {
			return nil, invalid("after", "after must be the next of an earlier call")
		}
	}
	endpoint, err := a.endpoint(ctx, r.ID, r.Params.CompanyID)
	if err != nil {
		return nil, err
	}
	rows, next, err := a.deliveries(ctx, db.ListDeliveriesParams{
		CompanyID: endpoint.CompanyID, EndpointID: endpoint.ID, Before: before, State: string(state), PageSize: size,
	})
	if err != nil {
		return nil, err
	}
	answer := contract.ListDeliveries200JSONResponse{Success: true, Data: make([]contract.Delivery, len(rows)), Next: next}
	for i, row := range rows {
		answer.Data[i] = deliveryAnswer(row)
	}
	return answer, nil
}

// deliveries reads a page and where the next one begins; nil: there is none.
func (a *API) deliveries(ctx context.Context, p db.ListDeliveriesParams) ([]db.WebhookDelivery, *string, error) {
	cursor := func(row db.WebhookDelivery) string { return strconv.FormatInt(row.EventSeq, 10) }
	if p.State == string(contract.DeliveryStateDead) {
		rows, err := a.queries.ListDeadDeliveries(ctx, a.store.Pool(), db.ListDeadDeliveriesParams{
			CompanyID: p.CompanyID, EndpointID: p.EndpointID, Before: p.Before, PageSize: p.PageSize,
		})
		if err != nil {
			return nil, nil, fmt.Errorf("list dead deliveries: %w", err)
		}
		rows, next := page(rows, p.PageSize, cursor)
		return rows, next, nil
	}
	if p.State != "" {
		end, err := a.queries.EndOfWindow(ctx, a.store.Pool(), db.EndOfWindowParams{
			CompanyID: p.CompanyID, EndpointID: p.EndpointID, Before: p.Before, Size: deliveriesWindow,
		})
		if err != nil && !errors.Is(err, pgx.ErrNoRows) {
			return nil, nil, fmt.Errorf("find end of window: %w", err)
		}
		p.Floor = end // 0 without one: down to the first
	}
	rows, err := a.queries.ListDeliveries(ctx, a.store.Pool(), p)
	if err != nil {
		return nil, nil, fmt.Errorf("list deliveries: %w", err)
	}
	rows, next := page(rows, p.PageSize, cursor)
	if next == nil && p.Floor > 0 {
		end := strconv.FormatInt(p.Floor, 10)
		next = &end
	}
	return rows, next, nil
}

// ReplayDelivery has a delivery sent once more.
func (a *API) ReplayDelivery(ctx context.Context, r contract.ReplayDeliveryRequestObject) (contract.ReplayDeliveryResponseObject, error) {
	id, err := uuid.Parse(r.ID)
	if err != nil {
		return nil, noDelivery("", r.ID, pgx.ErrNoRows)
	}
	companyID, err := a.companyOf(ctx, r.Params.CompanyID, func() (string, error) {
		return a.queries.FindCompanyOfDelivery(ctx, a.store.Pool(), id)
	})
	if err != nil {
		return nil, noDelivery("find delivery", r.ID, err)
	}
	row, err := a.queries.GetDelivery(ctx, a.store.Pool(), db.GetDeliveryParams{CompanyID: companyID, ID: id})
	if err != nil {
		return nil, noDelivery("read delivery", r.ID, err)
	}
	endpoint, err := a.endpoint(ctx, row.EndpointID, &companyID)
	if err != nil {
		return nil, err
	}
	if !endpoint.Enabled {
		return nil, problem.WebhookDisabled.With("webhookId", endpoint.ID)
	}
	fresh, err := a.queries.ReplayDelivery(ctx, a.store.Pool(), db.ReplayDeliveryParams{
		CompanyID: companyID, ID: id, CreatedAt: row.CreatedAt, Hold: delivery.JobPatience.Seconds(),
	})
	switch {
	case err == nil:
		row = fresh
		a.deliverSoon(ctx, companyID, webhook.Job{CompanyID: companyID, DeliveryID: id, CreatedAt: row.CreatedAt.UTC()})
	case !errors.Is(err, pgx.ErrNoRows): // no rows: it is on the wire at this moment
		return nil, fmt.Errorf("replay delivery: %w", err)
	}
	return contract.ReplayDelivery202JSONResponse{Success: true, Data: deliveryAnswer(row)}, nil
}

// noDelivery names the error of a statement on a delivery.
func noDelivery(what, id string, err error) error {
	if errors.Is(err, pgx.ErrNoRows) {
		return problem.NotFound.Saying("There is no such delivery").With("deliveryId", id)
	}
	return fmt.Errorf("%s: %w", what, err)
}

func deliveryAnswer(row db.WebhookDelivery) contract.Delivery {
	d := contract.Delivery{
		ID: row.ID.String(), WebhookID: row.EndpointID, EventID: webhook.EventID(row.EventID), Type: contract.EventType(row.EventType),
		Sequence: row.EventSeq, State: contract.DeliveryState(row.State), Attempts: row.Attempts, LastError: row.LastError,
		DeliveredAt: utc(row.DeliveredAt), CreatedAt: row.CreatedAt.UTC(),
	}
	if row.LastStatus != nil {
		status := int(*row.LastStatus)
		d.LastStatus = &status
	}
	if d.State == contract.DeliveryStatePending {
		d.NextAttemptAt = utc(&row.NextAttemptAt)
	}
	return d
}
