package actor

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"wafleet/shared/store"
	"wafleet/shared/store/db"
	"wafleet/shared/vault"
)

// reupload hears of a file that the sender's phone has uploaded again, or has not.
func (a *Actor) reupload(ctx context.Context, r Reupload) error {
	err := a.whileUp(ctx, func(ctx context.Context) error { return a.renewFiles(ctx, r) })
	a.files.kick()
	return err
}

func (a *Actor) renewFiles(ctx context.Context, r Reupload) error {
	rows, err := a.store.Queries().ListAskedMedia(ctx, a.store.Pool(), db.ListAskedMediaParams{CompanyID: a.companyID, WaMessageID: r.WAMessageID})
	if err != nil {
		return fmt.Errorf("list files that were asked for: %w", err)
	}
	for _, row := range rows {
		file, err := a.reference(ctx, row.MediaID, row.SealedReference)
		if errors.Is(err, vault.ErrCannotOpen) {
			continue
		}
		if err != nil {
			return err
		}
		if file.DirectPath, err = r.Open(file.Key); err != nil {
			a.logger.InfoContext(ctx, "file is not on its sender's phone either", "media_id", row.MediaID, "error", err)
			if err := a.settleFile(ctx, &db.ListWantedMediaRow{MediaID: row.MediaID}, "failed", reasonGone, failedPause); err != nil {
				return err
			}
			continue
		}
		if err := a.redirect(ctx, row.MediaID, file); err != nil {
			return err
		}
	}
	return nil
}

// redirect has a file fetched from another place.
func (a *Actor) redirect(ctx context.Context, mediaID string, file File) error {
	plain, err := json.Marshal(file)
	if err != nil {
		return fmt.Errorf("encode reference: %w", err)
	}
	sealed, err := a.vault.Seal(ctx, a.companyID, store.MediaContext(mediaID), plain)
	if err != nil {
		return fmt.Errorf("seal reference: %w", err)
	}
	held, err := a.store.Queries().RenewMedia(ctx, a.store.Pool(), db.RenewMediaParams{
		Shard: a.fence.Shard, Term: a.fence.Term, CompanyID: a.companyID, MediaID: mediaID, SealedReference: sealed,
	})
	if err != nil {
		return fmt.Errorf("renew file: %w", err)
	}
	if !held {
		return fmt.Errorf("renew file: %w", store.ErrFenced)
	}
	return nil
}
