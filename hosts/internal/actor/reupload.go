package actor

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

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

// renewFiles looks after the files of all messages that go by this id.
func (a *Actor) renewFiles(ctx context.Context, r Reupload) error {
	rows, err := a.store.Queries().FindReferred(ctx, a.store.Pool(), db.FindReferredParams{CompanyID: a.companyID, WaMessageID: r.WAMessageID})
	if err != nil {
		return fmt.Errorf("find message of file: %w", err)
	}
	for _, row := range rows {
		if err := a.renewFile(ctx, store.MediaID(row.MessageID), r); err != nil {
			return err
		}
	}
	return nil
}

func (a *Actor) renewFile(ctx context.Context, mediaID string, r Reupload) error {
	sealed, err := a.store.Queries().GetAskedMedia(ctx, a.store.Pool(), db.GetAskedMediaParams{CompanyID: a.companyID, MediaID: mediaID})
	if errors.Is(err, pgx.ErrNoRows) {
		return nil // nobody asked
	}
	if err != nil {
		return fmt.Errorf("find file that was asked for: %w", err)
	}
	file, err := a.reference(ctx, mediaID, sealed)
	if errors.Is(err, vault.ErrCannotOpen) {
		return nil
	}
	if err != nil {
		return err
	}
	if file.DirectPath, err = r.Open(file.Key); err != nil {
		a.logger.InfoContext(ctx, "file is not on its sender's phone either", "media_id", mediaID, "error", err)
		return a.settleFile(ctx, &db.ListWantedMediaRow{MediaID: mediaID}, "failed", reasonGone, failedPause)
	}
	return a.redirect(ctx, mediaID, file)
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
