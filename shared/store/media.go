package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"wafleet/shared/message"
	"wafleet/shared/store/db"
	"wafleet/shared/vault"
)

var (
	// ErrNoMedia says that a company has no file of an id.
	ErrNoMedia = errors.New("no such media")
	// ErrMediaPending says that a file was announced, and nobody has looked at it yet.
	ErrMediaPending = errors.New("media is announced only")
)

// mediaContext is the associated data that is sealed of a file.
func mediaContext(mediaID string) string { return "media.about|" + mediaID }

// KeepMedia records a file that is in the media store. The same file again is no error.
func (s *Store) KeepMedia(ctx context.Context, companyID string, m message.Media) error {
	return s.keepMedia(ctx, companyID, m, m.MimeType)
}

// AnnounceMedia records a file that its sender will put into the media store. One that is there already stays as it is.
func (s *Store) AnnounceMedia(ctx context.Context, companyID string, m message.Media) error {
	return s.keepMedia(ctx, companyID, m, announcedType)
}

// announcedType is in the place of the type of a file that nobody has looked at.
const announcedType = ""

func (s *Store) keepMedia(ctx context.Context, companyID string, m message.Media, mimeType string) error {
	about, err := s.sealJSON(ctx, companyID, mediaContext(m.ID), m)
	if err != nil {
		return fmt.Errorf("keep media: %w", err)
	}
	err = s.queries.KeepMedia(ctx, s.pool, db.KeepMediaParams{
		MediaID: m.ID, CompanyID: companyID, MimeType: mimeType, Size: m.Size, About: about,
	})
	if err != nil {
		return fmt.Errorf("keep media: %w", err)
	}
	return nil
}

// UseMedia returns what is known of a company's file, or ErrNoMedia, and notes that it was asked for. With ErrMediaPending it
// returns what was announced.
func (s *Store) UseMedia(ctx context.Context, companyID, mediaID string) (message.Media, error) {
	var m message.Media
	row, err := s.queries.UseMedia(ctx, s.pool, db.UseMediaParams{CompanyID: companyID, MediaID: mediaID})
	if errors.Is(err, pgx.ErrNoRows) {
		return m, ErrNoMedia
	}
	if err != nil {
		return m, fmt.Errorf("use media: %w", err)
	}
	if err := s.openJSON(ctx, companyID, mediaContext(mediaID), row.About, &m); err != nil {
		return m, fmt.Errorf("use media: %w", err)
	}
	if row.MimeType == announcedType {
		return m, ErrMediaPending
	}
	return m, nil
}

// MediaUpload returns where WhatsApp has a file for messages of this kind; nil if it has to be uploaded.
func (s *Store) MediaUpload(ctx context.Context, companyID, mediaID string, kind message.Kind) (*message.Upload, error) {
	sealed, err := s.queries.GetMediaUpload(ctx, s.pool, db.GetMediaUploadParams{
		CompanyID: companyID, MediaID: mediaID, Kind: string(kind),
	})
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, nil //nolint:nilnil // none is a valid answer
	}
	if err != nil {
		return nil, fmt.Errorf("read upload: %w", err)
	}
	var up message.Upload
	err = s.openJSON(ctx, companyID, message.UploadContext(mediaID, kind), sealed, &up)
	if errors.Is(err, vault.ErrCannotOpen) {
		return nil, nil //nolint:nilnil // it is only a short cut
	}
	if err != nil {
		return nil, fmt.Errorf("read upload: %w", err)
	}
	return &up, nil
}

// KeepMediaUpload notes where WhatsApp has a file.
func (s *Store) KeepMediaUpload(ctx context.Context, companyID, mediaID string, kind message.Kind, up message.Upload) error {
	sealed, err := s.sealJSON(ctx, companyID, message.UploadContext(mediaID, kind), up)
	if err != nil {
		return fmt.Errorf("keep upload: %w", err)
	}
	err = s.queries.KeepMediaUpload(ctx, s.pool, db.KeepMediaUploadParams{
		Kind: string(kind), Upload: sealed, CompanyID: companyID, MediaID: mediaID,
	})
	if err != nil {
		return fmt.Errorf("keep upload: %w", err)
	}
	return nil
}

func (s *Store) sealJSON(ctx context.Context, companyID, place string, v any) ([]byte, error) {
	text, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("encode: %w", err)
	}
	return s.vault.Seal(ctx, companyID, place, text)
}

func (s *Store) openJSON(ctx context.Context, companyID, place string, sealed []byte, into any) error {
	text, err := s.vault.Open(ctx, companyID, place, sealed)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(text, into); err != nil {
		return fmt.Errorf("decode: %w", err)
	}
	return nil
}
