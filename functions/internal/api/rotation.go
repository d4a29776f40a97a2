package api

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	contract "wafleet/shared/api"
	"wafleet/shared/store/db"
	"wafleet/shared/webhook"
)

// How long the secret so far is used beside a new one, in seconds.
const defaultOverlap, maxOverlap = 24 * 3600, 7 * 24 * 3600

// RotateWebhookSecret gives an endpoint a new secret; the one so far goes on signing beside it for a while.
func (a *API) RotateWebhookSecret(ctx context.Context, r contract.RotateWebhookSecretRequestObject) (contract.RotateWebhookSecretResponseObject, error) {
	row, err := a.endpoint(ctx, r.ID, r.Params.CompanyID)
	if err != nil {
		return nil, err
	}
	overlap := defaultOverlap
	if r.Body != nil && r.Body.OverlapSeconds != nil {
		overlap = *r.Body.OverlapSeconds
	}
	if overlap < 0 || overlap > maxOverlap {
		return nil, invalid("overlapSeconds", fmt.Sprintf("overlapSeconds must be between 0 and %d", maxOverlap))
	}
	if err := checkIdempotencyKey(r.Params.IdempotencyKey); err != nil {
		return nil, err
	}
	fresh := contract.RotatedSecret{
		ID: row.ID, Secret: string(webhook.NewSecret()),
		PreviousSecretUntil: time.Now().Add(time.Duration(overlap) * time.Second).UTC().Truncate(time.Millisecond),
	}
	sealed, err := a.vault.Seal(ctx, row.CompanyID, webhook.SecretContext(row.ID), []byte(fresh.Secret))
	if err != nil {
		return nil, fmt.Errorf("seal webhook secret: %w", err)
	}
	made := creation{
		company: row.CompanyID, operation: "rotateWebhookSecret", key: r.Params.IdempotencyKey,
		body: []any{row.ID, overlap}, secret: true,
	}
	answer, replayed, err := once(ctx, a, made, contract.RotatedSecretResponse{Success: true, Data: fresh}, func(tx pgx.Tx) error {
		_, err := a.queries.RotateEndpointSecret(ctx, tx, db.RotateEndpointSecretParams{
			CompanyID: row.CompanyID, ID: row.ID, Secret: sealed, Overlap: float64(overlap),
		})
		if err != nil {
			return noEndpoint("rotate secret", row.ID, err)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return contract.RotateWebhookSecret200JSONResponse{
		Body: answer, Headers: contract.RotateWebhookSecret200ResponseHeaders{IdempotentReplayed: replayedHeader(replayed)},
	}, nil
}
