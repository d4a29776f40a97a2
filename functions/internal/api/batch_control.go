package api

import (
	"context"
	"fmt"

	"wafleet/functions/internal/batch"
	contract "wafleet/shared/api"
	"wafleet/shared/problem"
	"wafleet/shared/store"
	"wafleet/shared/store/db"
)

// PauseBatch holds a batch: claiming a message of it asks for the state that changes here.
func (a *API) PauseBatch(ctx context.Context, r contract.PauseBatchRequestObject) (contract.PauseBatchResponseObject, error) {
	answer, err := a.turn(ctx, r.ID, r.Params.CompanyID, contract.BatchStatusPaused, func(row db.Batch) (int64, error) {
		return a.queries.PauseBatch(ctx, a.store.Pool(), db.PauseBatchParams{CompanyID: row.CompanyID, BatchID: row.BatchID})
	})
	return contract.PauseBatch200JSONResponse{BatchAnswerJSONResponse: answer}, err
}

// ResumeBatch lets a paused batch go on.
func (a *API) ResumeBatch(ctx context.Context, r contract.ResumeBatchRequestObject) (contract.ResumeBatchResponseObject, error) {
	answer, err := a.turn(ctx, r.ID, r.Params.CompanyID, contract.BatchStatusRunning, func(row db.Batch) (int64, error) {
		rows, err := a.queries.ResumeBatch(ctx, a.store.Pool(), db.ResumeBatchParams{CompanyID: row.CompanyID, BatchID: row.BatchID})
		if err != nil {
			return 0, err
		}
		if err := a.board.NudgeOutbox(ctx, row.CompanyID); err != nil {
			a.logger.WarnContext(ctx, "batch.nudge", "error", err, "company_id", row.CompanyID)
		}
		return rows, nil
	})
	return contract.ResumeBatch200JSONResponse{BatchAnswerJSONResponse: answer}, err
}

// CancelBatch ends a batch. That nothing more of it is sent holds at once; a job tells of each message.
func (a *API) CancelBatch(ctx context.Context, r contract.CancelBatchRequestObject) (contract.CancelBatchResponseObject, error) {
	answer, err := a.turn(ctx, r.ID, r.Params.CompanyID, contract.BatchStatusCanceled, func(row db.Batch) (int64, error) {
		rows, err := a.queries.CancelBatch(ctx, a.store.Pool(), db.CancelBatchParams{
			CompanyID: row.CompanyID, BatchID: row.BatchID, JobPatience: store.BatchJobPatience.Seconds(),
		})
		if err != nil || rows == 0 {
			return rows, err
		}
		if err := batch.Enqueue(ctx, a.queue, batch.Job{CompanyID: row.CompanyID, BatchID: row.BatchID}); err != nil {
			a.logger.WarnContext(ctx, "batch.left_to_sweep", "company_id", row.CompanyID, "batch_id", row.BatchID, "error", err)
		}
		return rows, nil
	})
	return contract.CancelBatch200JSONResponse{BatchAnswerJSONResponse: answer}, err
}

// turn brings a batch into a state, unless it is in that already or over.
func (a *API) turn(
	ctx context.Context, id string, named *string, to contract.BatchStatus, change func(db.Batch) (int64, error),
) (contract.BatchAnswerJSONResponse, error) {
	row, err := a.batch(ctx, id, named)
	if err != nil {
		return contract.BatchAnswerJSONResponse{}, err
	}
	if row.Status != string(to) {
		if _, err := change(row); err != nil {
			return contract.BatchAnswerJSONResponse{}, fmt.Errorf("change batch: %w", err)
		}
		if row, err = a.batch(ctx, id, &row.CompanyID); err != nil {
			return contract.BatchAnswerJSONResponse{}, err
		}
	}
	if row.Status != string(to) {
		return contract.BatchAnswerJSONResponse{}, problem.BatchEnded.With("batchId", id).With("status", row.Status)
	}
	return a.batchAnswer(ctx, row)
}
