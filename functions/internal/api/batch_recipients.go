package api

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"

	contract "wafleet/shared/api"
	"wafleet/shared/message"
	"wafleet/shared/store/db"
)

const defaultRecipientsPage, maxRecipientsPage = 100, 1000

// ListBatchRecipients tells what became of each row, in their order.
func (a *API) ListBatchRecipients(ctx context.Context, r contract.ListBatchRecipientsRequestObject) (contract.ListBatchRecipientsResponseObject, error) {
	page, err := recipientsPage(r.Params)
	if err != nil {
		return nil, err
	}
	row, err := a.batch(ctx, r.ID, r.Params.CompanyID)
	if err != nil {
		return nil, err
	}
	recipients, err := a.recipients(ctx, row, page)
	if err != nil {
		return nil, err
	}
	answer := contract.ListBatchRecipients200JSONResponse{Success: true, Data: recipients}
	if len(recipients) == page.limit {
		next := strconv.Itoa(recipients[len(recipients)-1].Row)
		answer.Next = &next
	}
	return answer, nil
}

// rowsPage is a part of a batch's rows.
type rowsPage struct {
	statuses []string // of messages
	invalid  bool     // also those that became none
	after    int
	limit    int
}

func recipientsPage(p contract.ListBatchRecipientsParams) (rowsPage, error) {
	wanted := rowsPage{statuses: words(message.Statuses()), invalid: true}
	if p.Status != nil {
		if !p.Status.Valid() {
			return rowsPage{}, invalid("status", "status is not one that a recipient can have")
		}
		wanted.invalid = *p.Status == contract.RecipientStatusInvalid
		wanted.statuses = []string{string(*p.Status)} // no message is invalid
	}
	if p.After != nil && *p.After != "" {
		after, err := strconv.ParseInt(*p.After, 10, 32)
		if err != nil || after < 0 {
			return rowsPage{}, invalid("after", "after must be the next of an earlier call")
		}
		wanted.after = int(after)
	}
	var err error
	wanted.limit, err = limited(p.Limit, defaultRecipientsPage, maxRecipientsPage)
	return wanted, err
}

// recipients merges the rows that became messages with those that were refused.
func (a *API) recipients(ctx context.Context, b db.Batch, p rowsPage) ([]contract.BatchRow, error) {
	rows, err := a.queries.ListRows(ctx, a.store.Pool(), db.ListRowsParams{
		CompanyID: b.CompanyID, Batch: b.ID, Statuses: p.statuses, After: p.after, PageSize: p.limit,
	})
	if err != nil {
		return nil, fmt.Errorf("list rows: %w", err)
	}
	all := make([]contract.BatchRow, 0, len(rows))
	for _, row := range rows {
		all = append(all, contract.BatchRow{
			Row: row.BatchRow, Status: contract.RecipientStatus(row.Status), To: &row.Phone, MessageID: &row.MessageID,
			Reason: optional(row.Reason), SentAt: utc(row.SentAt), DeliveredAt: utc(row.DeliveredAt), ReadAt: utc(row.ReadAt),
		})
	}
	if !p.invalid {
		return all, nil
	}
	refused, err := a.queries.ListInvalidRows(ctx, a.store.Pool(), db.ListInvalidRowsParams{
		CompanyID: b.CompanyID, Batch: b.ID, After: p.after, PageSize: p.limit,
	})
	if err != nil {
		return nil, fmt.Errorf("list invalid rows: %w", err)
	}
	for _, row := range refused {
		code := contract.ErrorCode(row.Code)
		all = append(all, contract.BatchRow{Row: row.BatchRow, Status: contract.RecipientStatusInvalid, Code: &code, Message: &row.Message})
	}
	slices.SortFunc(all, func(x, y contract.BatchRow) int { return cmp.Compare(x.Row, y.Row) })
	return all[:min(len(all), p.limit)], nil
}
