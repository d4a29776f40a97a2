package store

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"

	"wafleet/shared/message"
	"wafleet/shared/store/db"
)

// ErrBatchExists says that a company has a batch with this key already: nothing was written.
var ErrBatchExists = errors.New("batch exists already")

// BatchJobPatience is how long a job in the batches queue is trusted to be on its way or at work. After that the
// sweeper sends another, which may do the same at the same time: it is how long a crash holds up a batch.
const BatchJobPatience = time.Minute

// NewBatch describes a batch to be created. Texts are plain here, and sealed where they are stored.
type NewBatch struct {
	CompanyID, BatchID string
	Name               *string
	Kind               message.Kind
	KeyHash, BodyHash  []byte // of the idempotency key, nil without one, and of all that was asked for
	Template           []byte
	TTL                time.Duration // of its messages
	Total              int           // rows, the invalid ones included
	Chunks             []BatchChunk
	Invalid            []InvalidRow
}

// BatchChunk is some recipients of a batch, stored together until they become messages.
type BatchChunk struct {
	FirstRow, Rows int
	Recipients     []byte
}

// InvalidRow is a row of a batch that was refused.
type InvalidRow struct {
	Row           int
	Code, Message string
}

// BatchRow is a row of a batch as it becomes a message.
type BatchRow struct {
	Row       int
	MessageID string
	Phone     string
	Content   []byte
}

func templateContext(batchID string) string { return "batches.template|" + batchID }

func chunkContext(batchID string, firstRow int) string {
	return "batch_chunks.recipients|" + batchID + "|" + strconv.Itoa(firstRow)
}

// CreateBatch stores a batch with all its recipients in one transaction. ErrBatchExists: its key is taken; ErrNoCompany.
// A job has to be sent after that; if it is not, the sweeper sends one when BatchJobPatience is over.
func (s *Store) CreateBatch(ctx context.Context, n NewBatch) (db.Batch, error) {
	template, err := s.vault.Seal(ctx, n.CompanyID, templateContext(n.BatchID), n.Template)
	if err != nil {
		return db.Batch{}, companyGone("seal template", err)
	}
	params := db.CreateBatchParams{
		CompanyID: n.CompanyID, BatchID: n.BatchID, Name: n.Name, Kind: string(n.Kind), Template: template, KeyHash: n.KeyHash,
		BodyHash: n.BodyHash, Total: n.Total, Ttl: n.TTL.Seconds(), JobPatience: BatchJobPatience.Seconds(),
	}
	chunks := db.AddChunksParams{CompanyID: n.CompanyID}
	for _, c := range n.Chunks {
		sealed, err := s.vault.Seal(ctx, n.CompanyID, chunkContext(n.BatchID, c.FirstRow), c.Recipients)
		if err != nil {
			return db.Batch{}, companyGone("seal recipients", err)
		}
		params.Accepted += c.Rows
		chunks.FirstRows, chunks.Recipients = append(chunks.FirstRows, c.FirstRow), append(chunks.Recipients, sealed)
	}
	var row db.Batch
	err = s.InTx(ctx, func(tx pgx.Tx) (err error) {
		if row, err = s.queries.CreateBatch(ctx, tx, params); err != nil {
			return fmt.Errorf("insert batch: %w", err)
		}
		chunks.Batch = row.ID
		if err := s.queries.AddChunks(ctx, tx, chunks); err != nil {
			return fmt.Errorf("insert recipients: %w", err)
		}
		if err := s.queries.AddInvalidRows(ctx, tx, invalidParams(n.CompanyID, row.ID, n.Invalid)); err != nil {
			return fmt.Errorf("insert invalid rows: %w", err)
		}
		return nil
	})
	if errors.Is(err, pgx.ErrNoRows) { // the data key says that the company is there
		return row, ErrBatchExists
	}
	return row, err
}

// BatchTemplate opens the template of a batch.
func (s *Store) BatchTemplate(ctx context.Context, b db.Batch) ([]byte, error) {
	text, err := s.vault.Open(ctx, b.CompanyID, templateContext(b.BatchID), b.Template)
	if err != nil {
		return nil, companyGone("open template", err)
	}
	return text, nil
}

// ReadRows makes rows of stored recipients. Which of some addresses want nothing is told by suppressed.
type ReadRows func(recipients []byte, suppressed func(addresses []string) ([]string, error)) ([]BatchRow, []InvalidRow, error)

// FeedBatch makes the next recipients of a batch messages, in one transaction: they are either in a chunk or in the outbox,
// whatever happens. read turns a chunk into rows, and names those that may not be sent after all. more is false when there was
// no chunk left to take.
func (s *Store) FeedBatch(ctx context.Context, b db.Batch, read ReadRows) (more bool, err error) {
	if err := s.openKey(ctx, b.CompanyID); err != nil {
		return false, err
	}
	err = s.InTx(ctx, func(tx pgx.Tx) error {
		chunk, err := s.queries.TakeChunk(ctx, tx, db.TakeChunkParams{CompanyID: b.CompanyID, Batch: b.ID})
		if err != nil {
			return fmt.Errorf("take recipients: %w", err)
		}
		recipients, err := s.vault.Open(ctx, b.CompanyID, chunkContext(b.BatchID, chunk.FirstRow), chunk.Recipients)
		if err != nil {
			return fmt.Errorf("open recipients: %w", err)
		}
		rows, refused, err := read(recipients, func(addresses []string) ([]string, error) {
			return s.queries.ListSuppressed(ctx, tx, db.ListSuppressedParams{CompanyID: b.CompanyID, Addresses: addresses})
		})
		if err != nil {
			return err
		}
		if err := s.insertRows(ctx, tx, b, rows); err != nil {
			return err
		}
		return s.refuseRows(ctx, tx, b, refused)
	})
	if errors.Is(err, pgx.ErrNoRows) {
		return false, nil
	}
	return err == nil, err
}

func (s *Store) insertRows(ctx context.Context, tx pgx.Tx, b db.Batch, rows []BatchRow) error {
	params := db.InsertRowsParams{CompanyID: b.CompanyID, Batch: b.ID}
	for _, r := range rows {
		body, err := s.vault.Seal(ctx, b.CompanyID, message.BodyContext(r.MessageID), r.Content)
		if err != nil {
			return fmt.Errorf("seal row: %w", err)
		}
		params.MessageIds, params.Phones = append(params.MessageIds, r.MessageID), append(params.Phones, r.Phone)
		params.Bodies, params.BatchRows = append(params.Bodies, body), append(params.BatchRows, r.Row)
	}
	if _, err := s.queries.InsertRows(ctx, tx, params); err != nil {
		return fmt.Errorf("insert rows: %w", err)
	}
	return nil
}

func (s *Store) refuseRows(ctx context.Context, tx pgx.Tx, b db.Batch, refused []InvalidRow) error {
	if len(refused) == 0 {
		return nil
	}
	if err := s.queries.AddInvalidRows(ctx, tx, invalidParams(b.CompanyID, b.ID, refused)); err != nil {
		return fmt.Errorf("insert invalid rows: %w", err)
	}
	if err := s.queries.RefuseRows(ctx, tx, db.RefuseRowsParams{Refused: len(refused), CompanyID: b.CompanyID, Batch: b.ID}); err != nil {
		return fmt.Errorf("refuse rows: %w", err)
	}
	return nil
}

func invalidParams(companyID string, batch int64, rows []InvalidRow) db.AddInvalidRowsParams {
	p := db.AddInvalidRowsParams{CompanyID: companyID, Batch: batch}
	for _, r := range rows {
		p.BatchRows, p.Codes, p.Messages = append(p.BatchRows, r.Row), append(p.Codes, r.Code), append(p.Messages, r.Message)
	}
	return p
}
