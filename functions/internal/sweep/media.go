package sweep

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"wafleet/shared/media"
	"wafleet/shared/store/db"
)

const (
	// mediaAge is for how long a file is kept that nobody sends or asks for: longer than any message can wait for its turn,
	// which is 30 days to its time and 30 more until it expires.
	mediaAge = 90 * 24 * time.Hour
	// mediaEvery is how often unused files are looked for.
	mediaEvery = time.Hour
)

// errUsed says that a file was used after it had been found to be unused.
var errUsed = errors.New("used meanwhile")

// dropUnusedMedia deletes files that nobody has used in a long time. Row and file go together: where the file cannot be
// deleted the row stays, and the next run tries again.
func (s *Sweeper) dropUnusedMedia(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.media == nil || time.Since(s.mediaLooked) < mediaEvery {
		return nil
	}
	for ctx.Err() == nil {
		rows, err := s.queries.ListUnusedMedia(ctx, s.store.Pool(), db.ListUnusedMediaParams{Age: mediaAge.Seconds(), PageSize: s.page})
		if err != nil {
			return fmt.Errorf("list unused media: %w", err)
		}
		for _, row := range rows {
			if err := s.dropMedia(ctx, row.CompanyID, row.MediaID); err != nil && !errors.Is(err, errUsed) {
				return fmt.Errorf("media %s of %s: %w", row.MediaID, row.CompanyID, err)
			}
		}
		if len(rows) < s.page {
			s.mediaLooked = time.Now()
			return nil
		}
	}
	return nil
}

func (s *Sweeper) dropMedia(ctx context.Context, companyID, mediaID string) error {
	err := s.store.InTx(ctx, func(tx pgx.Tx) error {
		dropped, err := s.queries.DropMedia(ctx, tx, db.DropMediaParams{CompanyID: companyID, MediaID: mediaID, Age: mediaAge.Seconds()})
		if err != nil {
			return fmt.Errorf("drop row: %w", err)
		}
		if dropped == 0 {
			return errUsed
		}
		return s.media.Delete(ctx, media.Key(companyID, mediaID))
	})
	if err == nil {
		s.swept.WithLabelValues(labelMedia).Inc()
	}
	return err
}
