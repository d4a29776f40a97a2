package api

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"wafleet/shared/health"
	"wafleet/shared/queue"
	"wafleet/shared/store/db"
)

// The reasons in health's degraded. The first two stop sends.
const (
	databaseDown  = "database"
	queueDown     = "queue"
	redisDown     = "redis"
	uncounted     = "traffic" // there are too many messages to count in time
	noHosts       = "no_hosts"
	shardsUnowned = "shards_unowned"
)

// A look at the parts is cached, so that health costs the same for 10,000 companies and for many who ask.
const (
	lookEvery = time.Second
	// Counting messages takes as long as there are messages: it may take at most this part of the time.
	countingShare = 20
	lookTimeout   = 2 * time.Second
	pingTimeout   = 50 * time.Millisecond
)

// vitals looks after the parts of the system that the API depends on.
type vitals struct {
	api     *API
	fleet   *cached[db.MeasureFleetRow]
	counts  *cached[[]db.CountSessionsRow]
	list    *cached[[]db.ListConnectionsRow]
	traffic *cached[db.MeasureTrafficRow]
	reports *cached[[]health.Report]
	queue   *cached[struct{}]
	redis   *cached[struct{}]

	mu   sync.Mutex
	down map[string]bool // parts whose failure was logged and that have not answered since
}

// seen is what a look found.
type seen struct {
	fleet    db.MeasureFleetRow
	counts   []db.CountSessionsRow
	sessions []db.ListConnectionsRow
	traffic  db.MeasureTrafficRow
	reports  []health.Report
	degraded map[string]bool
}

func (s seen) acceptsSends() bool { return !s.degraded[databaseDown] && !s.degraded[queueDown] }

func newVitals(a *API) *vitals {
	pool, q := a.store.Pool(), a.queries
	return &vitals{
		api: a, down: make(map[string]bool),
		fleet: newCached(func(ctx context.Context) (db.MeasureFleetRow, error) {
			return q.MeasureFleet(ctx, pool)
		}),
		counts: newCached(func(ctx context.Context) ([]db.CountSessionsRow, error) {
			return q.CountSessions(ctx, pool, nil)
		}),
		list: newCached(func(ctx context.Context) ([]db.ListConnectionsRow, error) {
			return q.ListConnections(ctx, pool)
		}),
		traffic: newCached(func(ctx context.Context) (db.MeasureTrafficRow, error) {
			return q.MeasureTraffic(ctx, pool)
		}),
		reports: newCached(func(ctx context.Context) ([]health.Report, error) {
			return a.hosts.Reports(ctx)
		}),
		queue: newCached(func(ctx context.Context) (struct{}, error) {
			return struct{}{}, a.askQueue(ctx)
		}),
		redis: newCached(func(ctx context.Context) (struct{}, error) {
			ctx, cancel := context.WithTimeout(ctx, pingTimeout)
			defer cancel()
			return struct{}{}, a.redis.Ping(ctx).Err()
		}),
	}
}

// look returns the state of the parts, at most about a second old.
func (v *vitals) look(ctx context.Context) seen {
	s := seen{degraded: map[string]bool{}}
	var errs [3]error
	s.fleet, errs[0] = v.fleet.get(ctx)
	s.counts, errs[1] = v.counts.get(ctx)
	p := callOf(ctx).principal
	if p != nil {
		s.sessions, errs[2] = v.list.get(ctx)
	}
	v.note(ctx, &s, databaseDown, errors.Join(errs[:]...))
	var err error
	if !s.degraded[databaseDown] {
		s.traffic, err = v.traffic.get(ctx)
		v.note(ctx, &s, uncounted, err)
	}
	_, err = v.queue.get(ctx)
	v.note(ctx, &s, queueDown, err)
	_, err = v.redis.get(ctx)
	if err == nil && p != nil && p.IsAdmin() {
		s.reports, err = v.reports.get(ctx)
	}
	v.note(ctx, &s, redisDown, err)
	switch {
	case s.degraded[databaseDown]:
	case s.fleet.OwnedShards == 0:
		s.degraded[noHosts] = true
	case s.fleet.OwnedShards < s.fleet.Shards:
		s.degraded[shardsUnowned] = true
	}
	return s
}

// note records whether a part answered, and logs when that changes.
func (v *vitals) note(ctx context.Context, s *seen, part string, err error) {
	if err != nil {
		s.degraded[part] = true
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	switch {
	case err != nil && !v.down[part]:
		v.api.logger.WarnContext(ctx, "health.degraded", "part", part, "error", err)
	case err == nil && v.down[part]:
		v.api.logger.InfoContext(ctx, "health.restored", "part", part)
	}
	v.down[part] = err != nil
}

// askQueue makes a call that changes nothing: about a delivery that there never was. A queue that answers so is well.
func (a *API) askQueue(ctx context.Context) error {
	err := a.queue.Extend(ctx, queue.Sends(0), []string{"health"}, 0)
	if err == nil || errors.Is(err, queue.ErrReceiptExpired) {
		return nil
	}
	return fmt.Errorf("ask queue: %w", err)
}
