package actor

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"wafleet/shared/store"
)

const (
	// claimedPause is how long to wait for the host that is asking WhatsApp, before looking again.
	claimedPause = time.Second
	// claimedTries bounds that.
	claimedTries = 40
	// outdatedFor is how long a version without a successor is not looked into again.
	outdatedFor = time.Minute
)

// versions finds a new version to introduce connections as, once for all sessions of a host that were refused with the
// old one, and once for all hosts.
type versions struct {
	dialer Dialer
	store  *store.Store
	logger *slog.Logger
	turn   chan struct{} // holds one token: whoever has it may look, and owns the fields below

	outdated string // has no successor
	until    time.Time
}

func newVersions(dialer Dialer, s *store.Store, logger *slog.Logger) *versions {
	return &versions{dialer: dialer, store: s, logger: logger, turn: make(chan struct{}, 1)}
}

// renew says whether connections introduce themselves as another version than the refused one now.
func (v *versions) renew(ctx context.Context, refused string) bool {
	select {
	case v.turn <- struct{}{}:
		defer func() { <-v.turn }()
	case <-ctx.Done():
		return false
	}
	if v.dialer.Version() != refused {
		return true
	}
	if v.outdated == refused && time.Now().Before(v.until) {
		return false
	}
	version, err := v.fetch(ctx, refused)
	if err == nil && version != "" && version != refused {
		err = v.dialer.UseVersion(version)
		if err == nil {
			v.logger.WarnContext(ctx, "WhatsApp refused the version; another one is used", "refused", refused, "version", version)
			return true
		}
	}
	v.outdated, v.until = refused, time.Now().Add(outdatedFor)
	v.logger.ErrorContext(ctx, "WhatsApp refuses the version, and there is no other", "refused", refused, "error", err)
	return false
}

func (v *versions) fetch(ctx context.Context, refused string) (version string, err error) {
	for range claimedTries {
		version, err = v.store.RenewVersion(ctx, refused, v.dialer.FetchVersion)
		if !errors.Is(err, store.ErrClaimed) || !sleep(ctx, claimedPause) {
			return version, err
		}
	}
	return version, err
}
