package batch

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"

	"github.com/jackc/pgx/v5"

	"wafleet/shared/problem"
	"wafleet/shared/store"
	"wafleet/shared/store/db"
)

// Creator stores batches. It is safe for concurrent use.
type Creator struct {
	store *store.Store
	queue Sender
	log   *slog.Logger
}

// NewCreator returns a creator that sends its jobs to the queue.
func NewCreator(s *store.Store, q Sender, log *slog.Logger) *Creator {
	return &Creator{store: s, queue: q, log: log}
}

// Created is the answer to a request.
type Created struct {
	Batch    db.Batch
	Invalid  []store.InvalidRow
	Replayed bool // it was created by an earlier request with the same key
}

// Create checks a batch and stores it. Nil means that it is durable, and that its rows become messages soon: a job that cannot
// be sent now is sent by the sweeper. An error is a problem of the catalogue where it is the caller's, and
// store.ErrNoCompany where there is no such company.
func (c *Creator) Create(ctx context.Context, r Request) (Created, error) {
	n, err := r.check()
	if err != nil {
		return Created{}, err
	}
	if first, found, err := c.first(ctx, n); found || err != nil {
		return first, err
	}
	n.BatchID = "bat_" + rand.Text()
	row, err := c.store.CreateBatch(ctx, n)
	if errors.Is(err, store.ErrBatchExists) { // a call with the same key was faster
		first, _, err := c.first(ctx, n)
		return first, err
	}
	if err != nil {
		return Created{}, fmt.Errorf("store batch: %w", err)
	}
	c.log.InfoContext(ctx, "batch.created", "company_id", row.CompanyID, "batch_id", row.BatchID, "rows", row.Total, "accepted", row.Accepted)
	if err := Enqueue(ctx, c.queue, Job{CompanyID: row.CompanyID, BatchID: row.BatchID}); err != nil {
		c.log.WarnContext(ctx, "batch.left_to_sweep", "company_id", row.CompanyID, "batch_id", row.BatchID, "error", err)
	}
	return Created{Batch: row, Invalid: n.Invalid}, nil
}

// first finds the batch that an earlier request with the same key made. That has to have asked for the same.
func (c *Creator) first(ctx context.Context, n store.NewBatch) (Created, bool, error) {
	if n.KeyHash == nil {
		return Created{}, false, nil
	}
	row, err := c.store.Queries().GetBatchByKey(ctx, c.store.Pool(), db.GetBatchByKeyParams{CompanyID: n.CompanyID, KeyHash: n.KeyHash})
	if errors.Is(err, pgx.ErrNoRows) {
		return Created{}, false, nil
	}
	if err != nil {
		return Created{}, false, fmt.Errorf("find batch by key: %w", err)
	}
	if !bytes.Equal(row.BodyHash, n.BodyHash) {
		return Created{}, false, problem.IdempotencyConflict.With("batchId", row.BatchID)
	}
	rows, err := c.store.Queries().ListInvalidRows(ctx, c.store.Pool(), db.ListInvalidRowsParams{
		CompanyID: row.CompanyID, Batch: row.ID, PageSize: MaxRecipients,
	})
	if err != nil {
		return Created{}, false, fmt.Errorf("list invalid rows: %w", err)
	}
	first := Created{Batch: row, Replayed: true}
	for _, r := range rows {
		first.Invalid = append(first.Invalid, store.InvalidRow{Row: r.BatchRow, Code: r.Code, Message: r.Message})
	}
	return first, true, nil
}
