package devicestore

import (
	"context"
	"fmt"
	"time"
)

const (
	// tombstonePeriod is how long the keys of a device outlive its deletion by whatsmeow.
	tombstonePeriod = 30 * 24 * time.Hour
	// eventPeriod is how long WhatsApp keeps what was not acked: after it, nothing comes again.
	eventPeriod = 14 * 24 * time.Hour
)

const (
	allowSweepQuery      = `SET LOCAL statement_timeout = '15min'`
	deleteOldEventsQuery = `
		DELETE FROM whatsmeow_event_buffer
		WHERE insert_timestamp < (extract(epoch FROM now() - make_interval(secs => $1)) * 1000)::bigint`
	deleteOldPrivacyQuery = `
		DELETE FROM whatsmeow_privacy_tokens WHERE our_jid IN
		(SELECT jid FROM wafleet_tombstones WHERE deleted_at < now() - make_interval(secs => $1))`
	deleteOldDevicesQuery = `
		DELETE FROM whatsmeow_device WHERE jid IN
		(SELECT jid FROM wafleet_tombstones WHERE deleted_at < now() - make_interval(secs => $1))`
)

// CleanUp deletes, for all devices, the buffer of messages of more than 14 days ago, and the devices with tombstones of
// more than 30. It reads whole tables, for up to 15 minutes each: once a day, by one process of the fleet, is enough; more
// do no harm.
func (s *Store) CleanUp(ctx context.Context) error {
	for _, sweep := range []struct {
		what, query string
		age         time.Duration
	}{
		{"buffered events", deleteOldEventsQuery, eventPeriod},
		{"privacy tokens", deleteOldPrivacyQuery, tombstonePeriod},
		{"devices", deleteOldDevicesQuery, tombstonePeriod},
	} {
		deleted, err := s.sweep(ctx, sweep.query, sweep.age)
		if err != nil {
			return fmt.Errorf("clean up %s: %w", sweep.what, err)
		}
		if deleted > 0 {
			s.logger.InfoContext(ctx, "device_store.cleaned", "what", sweep.what, "rows", deleted)
		}
	}
	return nil
}

// sweep runs a statement that may take longer than those of a message.
func (s *Store) sweep(ctx context.Context, query string, age time.Duration) (deleted int64, err error) {
	err = s.db.DoTxn(ctx, nil, func(ctx context.Context) error {
		if _, err := s.db.Exec(ctx, allowSweepQuery); err != nil {
			return fmt.Errorf("set timeout: %w", err)
		}
		result, err := s.db.Exec(ctx, query, age.Seconds())
		if err != nil {
			return fmt.Errorf("delete: %w", err)
		}
		deleted, err = result.RowsAffected()
		return err //nolint:wrapcheck // never an error in Postgres
	})
	return deleted, err //nolint:wrapcheck // CleanUp says what was swept
}
