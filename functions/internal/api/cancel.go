package api

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	contract "wafleet/shared/api"
	"wafleet/shared/message"
	"wafleet/shared/problem"
	"wafleet/shared/store"
	"wafleet/shared/store/db"
	"wafleet/shared/webhook"
)

// reasonCanceled is the reason of a message that its sender took back before it was sent.
const reasonCanceled = "by_caller"

// CancelMessage ends a message that is not sent yet.
func (a *API) CancelMessage(ctx context.Context, r contract.CancelMessageRequestObject) (contract.CancelMessageResponseObject, error) {
	companyID, err := a.companyOfMessage(ctx, r.ID, r.Params.CompanyID)
	if err != nil {
		return nil, err
	}
	status, err := a.queries.GetMessageStatus(ctx, a.store.Pool(), db.GetMessageStatusParams{CompanyID: companyID, MessageID: r.ID})
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, noMessage(r.ID)
	}
	if err != nil {
		return nil, fmt.Errorf("read message: %w", err)
	}
	if message.Status(status) == message.Canceled {
		return canceled(r.ID), nil
	}
	var deliveries []store.Delivery
	err = a.store.InTx(ctx, func(tx pgx.Tx) (err error) {
		deliveries, err = a.store.MoveInTx(ctx, tx, "", store.Move{
			CompanyID: companyID, MessageID: r.ID, To: message.Canceled,
			From: []message.Status{message.Accepted, message.Queued}, Reason: reasonCanceled,
		})
		return err
	})
	if errors.Is(err, store.ErrNotMoved) {
		return a.notCanceled(ctx, companyID, r.ID)
	}
	if err != nil {
		return nil, fmt.Errorf("cancel message: %w", err)
	}
	a.tell(ctx, deliveries)
	return canceled(r.ID), nil
}

func canceled(id string) contract.CancelMessage200JSONResponse {
	return contract.CancelMessage200JSONResponse{
		Success: true, Data: contract.AcceptedMessage{MessageID: id, Status: contract.MessageStatusCanceled},
	}
}

// notCanceled answers for a message that went on before it could be canceled.
func (a *API) notCanceled(ctx context.Context, companyID, id string) (contract.CancelMessageResponseObject, error) {
	status, err := a.queries.GetMessageStatus(ctx, a.store.Pool(), db.GetMessageStatusParams{CompanyID: companyID, MessageID: id})
	if err != nil {
		return nil, fmt.Errorf("read message: %w", err)
	}
	if message.Status(status) == message.Canceled { // another call was faster
		return canceled(id), nil
	}
	return nil, problem.NotCancelable.Saying("The message is "+status).With("messageId", id).With("status", status)
}

// tell has the webhooks told of an event at once. What it misses the sweeper finds.
func (a *API) tell(ctx context.Context, deliveries []store.Delivery) {
	if err := webhook.EnqueueDeliveries(ctx, a.queue, deliveries); err != nil {
		a.logger.WarnContext(ctx, "webhook.left_to_sweep", "deliveries", len(deliveries), "error", err)
	}
}
