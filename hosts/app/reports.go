package app

import (
	"context"
	"maps"
	"sync/atomic"
	"time"

	"wafleet/shared/health"
	"wafleet/shared/session"
	"wafleet/shared/store/db"
)

// measureTimeout bounds the counting, so that a database that hangs does not keep the host from reporting.
const measureTimeout = 2 * time.Second

// reports is what the host says of itself.
type reports struct {
	*health.Reporter

	draining atomic.Bool
	deps     Deps
	process  *health.Process
	last     health.Report // the reporter's goroutine alone
}

func newReports(deps Deps, cfg Config) *reports {
	boards := map[string]health.Board{"redis": health.NewRedisBoard(deps.Redis)}
	maps.Copy(boards, deps.Boards)
	r := &reports{deps: deps, process: health.NewProcess()}
	r.last = health.Report{HostID: cfg.HostID, Version: cfg.Version, StartedAt: r.process.StartedAt().UTC()}
	r.Reporter = health.NewReporter(r.measure, boards, deps.Logger)
	return r
}

// drain makes the reports say that the host hands its companies over.
func (r *reports) drain() { r.draining.Store(true) }

// measure counts what the host owns. While the database does not answer, the counts are those of the report before.
func (r *reports) measure(ctx context.Context) health.Report {
	r.last.Draining = r.draining.Load()
	r.last.Load, r.last.MemoryBytes, r.last.ReportedAt = r.process.Load(), health.Memory(), time.Now().UTC()
	ctx, cancel := context.WithTimeout(ctx, measureTimeout)
	defer cancel()
	rows, err := db.New().CountSessionsOfHost(ctx, r.deps.Pool, r.last.HostID)
	if err != nil {
		r.deps.Logger.DebugContext(ctx, "count sessions of host", "error", err)
		return r.last
	}
	shards, sessions := make(map[int]bool), make(map[session.State]int)
	for _, row := range rows {
		shards[row.Shard] = true
		if row.State != "" {
			sessions[session.State(row.State)] += int(row.Sessions)
		}
	}
	r.last.Shards, r.last.Sessions, r.last.Sockets = len(shards), sessions, sessions[session.Connected]
	return r.last
}
