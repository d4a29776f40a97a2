package api

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	contract "wafleet/shared/api"
	"wafleet/shared/problem"
	"wafleet/shared/store/db"
)

// pendingPause is when to ask again for a file that is being fetched; the answer of a phone takes longer.
const pendingPause, askedPause = 1, 30

// fetchFile has the owner of the session fetch the file of a message, and answers that it is on its way.
func (a *API) fetchFile(ctx context.Context, companyID, id string) (contract.GetMediaResponseObject, error) {
	row, err := a.queries.WantMedia(ctx, a.store.Pool(), db.WantMediaParams{CompanyID: companyID, MediaID: id})
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, noMedia(id)
	}
	if err != nil {
		return nil, fmt.Errorf("want media: %w", err)
	}
	pending := contract.GetMedia202JSONResponse{
		Body:    contract.MediaPendingResponse{Success: true, Data: contract.PendingMedia{MediaID: id, Status: "fetching"}},
		Headers: contract.GetMedia202ResponseHeaders{RetryAfter: new(pendingPause)},
	}
	switch row.State {
	case "wanted":
		// A nudge that gets lost costs seconds: the owner also polls.
		if err := a.board.Nudge(ctx, companyID); err != nil {
			a.logger.WarnContext(ctx, "media.nudge", "error", err, "company_id", companyID)
		}
		return pending, nil
	case "asked":
		pending.Body.Data.Status, pending.Headers.RetryAfter = "asked", new(askedPause)
		return pending, nil
	case "failed":
		if row.Reason == "unreachable" {
			return nil, problem.Provider.Saying("WhatsApp's media servers do not give the file at the moment").With("mediaId", id)
		}
		return nil, problem.NotFound.Saying("The file of this message cannot be had").With("mediaId", id).With("reason", row.Reason)
	}
	return nil, noMedia(id)
}
