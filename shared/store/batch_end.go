package store

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"wafleet/shared/message"
	"wafleet/shared/store/db"
)

// reasonBatchCanceled is why a row of a canceled batch is canceled.
const reasonBatchCanceled = "batch_canceled"

// CancelBatchRows cancels up to so many waiting messages of a batch and tells of them, in one transaction.
func (s *Store) CancelBatchRows(ctx context.Context, b db.Batch, most int) (canceled int, deliveries []Delivery, err error) {
	if err := s.openKey(ctx, b.CompanyID); err != nil {
		return 0, nil, err
	}
	err = s.InTx(ctx, func(tx pgx.Tx) error {
		rows, err := s.queries.CancelRows(ctx, tx, db.CancelRowsParams{
			CompanyID: b.CompanyID, Batch: b.ID, Reason: reasonBatchCanceled, PageSize: most,
		})
		if err != nil {
			return fmt.Errorf("cancel rows: %w", err)
		}
		if canceled = len(rows); canceled == 0 {
			return nil
		}
		told := db.AppendEventsParams{CompanyID: b.CompanyID, Type: message.Canceled.EventType()}
		for _, row := range rows {
			m := Move{CompanyID: b.CompanyID, MessageID: row.MessageID, To: message.Canceled, Reason: reasonBatchCanceled}
			about := Subject{Phone: row.Phone, Kind: row.Kind, ClientRef: row.ClientRef, At: row.At}
			id, sealed, err := s.sealEvent(ctx, Event{CompanyID: b.CompanyID, Data: progress(about, m)})
			if err != nil {
				return err
			}
			told.Ids, told.Datas = append(told.Ids, id.String()), append(told.Datas, sealed)
		}
		appended, err := s.queries.AppendEvents(ctx, tx, told)
		if err != nil {
			return fmt.Errorf("append events: %w", err)
		}
		for _, d := range appended {
			deliveries = append(deliveries, Delivery(d))
		}
		return nil
	})
	return canceled, deliveries, err
}

// batchEnds is the namespace of the ids of batch.completed events: one per batch, whoever writes it.
var batchEnds = uuid.MustParse("4f4c2a7e-6a0b-5d0f-9a52-0c9f6a1d7b11")

// EndBatch says, once, that nothing of a batch can be sent any more. ErrNotMoved: something can, or it was said.
func (s *Store) EndBatch(ctx context.Context, companyID string, batch int64) (deliveries []Delivery, err error) {
	if err := s.openKey(ctx, companyID); err != nil {
		return nil, err
	}
	err = s.InTx(ctx, func(tx pgx.Tx) error {
		row, err := s.queries.EndBatch(ctx, tx, db.EndBatchParams{CompanyID: companyID, Batch: batch})
		if errors.Is(err, pgx.ErrNoRows) {
			return ErrNotMoved
		}
		if err != nil {
			return fmt.Errorf("end batch: %w", err)
		}
		counts, err := s.queries.CountRows(ctx, tx, db.CountRowsParams{CompanyID: companyID, Batch: batch})
		if err != nil {
			return fmt.Errorf("count rows: %w", err)
		}
		end := message.BatchEnd{
			BatchID: row.BatchID, Status: row.Status, Total: row.Total, Accepted: row.Accepted, Invalid: row.Total - row.Accepted,
			Counts: make(map[message.Status]int64, len(counts)), CreatedAt: row.CreatedAt.UTC(), EndedAt: row.EndedAt.UTC(),
		}
		if row.Name != nil {
			end.Name = *row.Name
		}
		for _, c := range counts {
			end.Counts[message.Status(c.Status)] = c.Messages
		}
		deliveries, err = s.AppendEvent(ctx, tx, Event{
			CompanyID: companyID, Type: message.BatchEndType, Data: end, ID: uuid.NewSHA1(batchEnds, []byte(row.BatchID)),
		})
		return err
	})
	return deliveries, err
}
