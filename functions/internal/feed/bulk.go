package feed

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"wafleet/functions/internal/batch"
	contract "wafleet/shared/api"
	"wafleet/shared/problem"
	"wafleet/shared/store"
	"wafleet/shared/store/db"
	"wafleet/shared/vault"
)

// What became of a message of the bulk queue, as the label of its metric.
const (
	resultAccepted   = "accepted"
	resultReplayed   = "replayed"
	resultRefused    = "refused"
	resultUnreadable = "unreadable"
)

// HandleBulk stores a batch that a producer wrote to the bulk queue. What is wrong with it goes to the company's quarantine with
// the reason and is done with; where no company can be found for it the error lets it come back, and end as a dead letter.
func (f *Feeder) HandleBulk(ctx context.Context, body []byte) error {
	var b contract.BulkBatch
	err := contract.Decode(body, &b)
	if err == nil {
		err = f.create(ctx, b)
	}
	if bad := badBatch(err); bad == nil {
		return err
	}
	return f.quarantine(ctx, body, err)
}

// create stores the batch, or returns what is wrong with it as a problem.
func (f *Feeder) create(ctx context.Context, b contract.BulkBatch) error {
	// Without a key a redelivery would be another batch, and it is checked like any other.
	created, err := f.creator.Create(ctx, batch.Request{
		CompanyID: b.CompanyID, Key: &b.IdempotencyKey, Name: b.Name, Template: b.Template, Recipients: b.Recipients, TTL: b.TTL,
	})
	if err != nil {
		return fmt.Errorf("take bulk: %w", err)
	}
	result := resultAccepted
	if created.Replayed {
		result = resultReplayed
	}
	f.bulk.WithLabelValues(result).Inc()
	return nil
}

// badBatch is what is wrong with the batch itself; nil for what another attempt may get through.
func badBatch(err error) error {
	if body, ok := errors.AsType[*contract.BodyError](err); ok {
		return body
	}
	if p, ok := errors.AsType[*problem.Problem](err); ok {
		return p
	}
	if errors.Is(err, store.ErrNoCompany) {
		return store.ErrNoCompany
	}
	return nil
}

// quarantine keeps a bad message for the company that it names.
func (f *Feeder) quarantine(ctx context.Context, body []byte, reason error) error {
	var named struct {
		CompanyID string `json:"companyId"`
	}
	_ = json.Unmarshal(body, &named) // as much of it as can be read
	sealed, err := f.vault.Seal(ctx, named.CompanyID, "quarantine.body", body)
	if errors.Is(err, vault.ErrNoKey) {
		f.bulk.WithLabelValues(resultUnreadable).Inc()
		return errors.Join(reason, fmt.Errorf("find company of bulk: %w", err))
	}
	if err != nil {
		return fmt.Errorf("seal bulk: %w", err)
	}
	err = f.queries.Quarantine(ctx, f.store.Pool(), db.QuarantineParams{
		CompanyID: named.CompanyID, Source: "bulk", Reason: badBatch(reason).Error(), Body: sealed,
	})
	if err != nil {
		return fmt.Errorf("quarantine bulk: %w", err)
	}
	f.bulk.WithLabelValues(resultRefused).Inc()
	f.log.WarnContext(ctx, "bulk.refused", "company_id", named.CompanyID, "error", reason)
	return nil
}
