package api

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"wafleet/functions/internal/batch"
	contract "wafleet/shared/api"
	"wafleet/shared/message"
	"wafleet/shared/problem"
	"wafleet/shared/store/db"
)

// CreateBatch stores a batch. Its rows become messages soon after.
func (a *API) CreateBatch(ctx context.Context, r contract.CreateBatchRequestObject) (contract.CreateBatchResponseObject, error) {
	companyID, err := a.companyFor(ctx, r.Body.CompanyID)
	if err != nil {
		return nil, err
	}
	created, err := a.batches.Create(ctx, batch.Request{
		CompanyID: companyID, Key: r.Params.IdempotencyKey, Name: r.Body.Name, Template: r.Body.Template,
		Recipients: r.Body.Recipients, TTL: r.Body.TTL,
	})
	if err != nil {
		return nil, err
	}
	data := contract.CreatedBatch{
		// As it was answered the first time, whatever became of it since.
		BatchID: created.Batch.BatchID, Status: contract.BatchStatusRunning, Total: created.Batch.Total, Accepted: created.Batch.Accepted,
		Invalid: make([]contract.InvalidRow, len(created.Invalid)),
	}
	for i, row := range created.Invalid {
		data.Invalid[i] = contract.InvalidRow{Row: row.Row, Code: contract.ErrorCode(row.Code), Message: row.Message}
	}
	return contract.CreateBatch202JSONResponse{
		Body:    contract.CreateBatchResponse{Success: true, Data: data},
		Headers: contract.CreateBatch202ResponseHeaders{IdempotentReplayed: replayedHeader(created.Replayed)},
	}, nil
}

// GetBatch tells how far a batch is.
func (a *API) GetBatch(ctx context.Context, r contract.GetBatchRequestObject) (contract.GetBatchResponseObject, error) {
	row, err := a.batch(ctx, r.ID, r.Params.CompanyID)
	if err != nil {
		return nil, err
	}
	answer, err := a.batchAnswer(ctx, row)
	return contract.GetBatch200JSONResponse{BatchAnswerJSONResponse: answer}, err
}

// batch finds a batch that the caller may see. One of another company is not found, like one that never was.
func (a *API) batch(ctx context.Context, id string, named *string) (db.Batch, error) {
	companyID, err := a.companyOfBatch(ctx, id, named)
	if err != nil {
		return db.Batch{}, err
	}
	row, err := a.queries.GetBatch(ctx, a.store.Pool(), db.GetBatchParams{CompanyID: companyID, BatchID: id})
	if errors.Is(err, pgx.ErrNoRows) {
		return row, noBatch(id)
	}
	if err != nil {
		return row, fmt.Errorf("read batch: %w", err)
	}
	return row, nil
}

// companyOfBatch spares an admin key from naming the company of a batch: the id leads to it.
func (a *API) companyOfBatch(ctx context.Context, id string, named *string) (string, error) {
	if c := callOf(ctx); c.principal == nil || !c.principal.IsAdmin() || named != nil {
		return a.companyFor(ctx, named)
	}
	owner, err := a.queries.FindCompanyOfBatch(ctx, a.store.Pool(), id)
	if errors.Is(err, pgx.ErrNoRows) {
		return "", noBatch(id)
	}
	if err != nil {
		return "", fmt.Errorf("find company of batch: %w", err)
	}
	return a.companyFor(ctx, &owner)
}

func noBatch(id string) error {
	return problem.NotFound.Saying("There is no such batch").With("batchId", id)
}

// batchAnswer counts the rows of a batch, out of an index that has their states.
func (a *API) batchAnswer(ctx context.Context, row db.Batch) (contract.BatchAnswerJSONResponse, error) {
	counts, err := a.queries.CountRows(ctx, a.store.Pool(), db.CountRowsParams{CompanyID: row.CompanyID, Batch: row.ID})
	if err != nil {
		return contract.BatchAnswerJSONResponse{}, fmt.Errorf("count rows: %w", err)
	}
	byStatus := make(map[string]int64, len(counts))
	fed := int64(0)
	for _, c := range counts {
		byStatus[c.Status] = c.Messages
		fed += c.Messages
	}
	if row.FedAt == nil { // afterwards a row that is not there was deleted, for its age
		if unfed := int64(row.Accepted) - fed; unfed > 0 {
			byStatus[string(message.Accepted)] += unfed
		}
	}
	ended := endedRows(byStatus)
	progress := 1.0
	if row.Accepted > 0 && row.EndedAt == nil {
		progress = float64(ended) / float64(row.Accepted)
	}
	return contract.BatchAnswerJSONResponse{Success: true, Data: contract.Batch{
		BatchID: row.BatchID, CompanyID: row.CompanyID, Name: row.Name, Status: contract.BatchStatus(row.Status), Total: row.Total,
		Accepted: row.Accepted, Invalid: row.Total - row.Accepted, Counts: byStatus, Progress: progress,
		CreatedAt: row.CreatedAt.UTC(), EstimatedEnd: estimatedEnd(row, ended, time.Now()), EndedAt: utc(row.EndedAt),
	}}, nil
}

// endedRows counts the rows of which no sending is left to do.
func endedRows(byStatus map[string]int64) (ended int64) {
	open := []message.Status{message.Accepted, message.Queued, message.Sending, message.Unconfirmed}
	for status, rows := range byStatus {
		if !slices.Contains(open, message.Status(status)) {
			ended += rows
		}
	}
	return ended
}

// estimatedEnd goes by the pace since the batch last began to run; nil while there is none to go by.
func estimatedEnd(row db.Batch, ended int64, now time.Time) *time.Time {
	took, done, left := now.Sub(row.RunningSince), ended-row.EndedBefore, int64(row.Accepted)-ended
	if row.Status != string(contract.BatchStatusRunning) || took <= 0 || done <= 0 || left <= 0 {
		return nil
	}
	end := now.Add(time.Duration(float64(took) / float64(done) * float64(left))).UTC().Truncate(time.Second)
	return &end
}
