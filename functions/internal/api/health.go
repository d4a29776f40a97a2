package api

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	contract "wafleet/shared/api"
	fleet "wafleet/shared/health"
	"wafleet/shared/store/db"
)

// GetHealth tells whether sends can be accepted, and what the fleet looks like.
func (a *API) GetHealth(ctx context.Context, _ contract.GetHealthRequestObject) (contract.GetHealthResponseObject, error) {
	seen := a.vitals.look(ctx)
	total, connected := sum(seen.counts)
	health := contract.Health{
		Initialized: seen.acceptsSends(), Provider: a.config.Provider,
		TotalSessions: total, ConnectedSessions: connected,
		Uptime: int64(time.Since(a.started).Seconds()), MemoryUsage: memoryUsage(),
		Metrics: contract.Traffic{
			MessagesSent: seen.traffic.Sent, MessagesReceived: seen.traffic.Received,
			AverageResponseTime: millis(seen.traffic.ResponseSeconds),
		},
		Hosts: seen.fleet.Hosts, Shards: contract.ShardCounts{Total: seen.fleet.Shards, Owned: seen.fleet.OwnedShards},
		Degraded: slices.Sorted(maps.Keys(seen.degraded)),
	}
	if health.Degraded == nil {
		health.Degraded = []string{}
	}
	if !seen.degraded[databaseDown] {
		health.QueueDepth = &seen.fleet.HandedOver
	}
	if p := callOf(ctx).principal; p != nil {
		var def *string
		if d := a.config.DefaultCompany; d != "" && (p.IsAdmin() || p.CompanyID == d) {
			def = &d
		}
		health.DefaultCompany = &def
		health.Sessions = sessionsHealth(seen.sessions, p.CompanyID)
		if p.IsAdmin() {
			health.HostReports = hostReports(seen.reports)
		}
	}
	answer := contract.HealthResponse{Success: health.Initialized, Data: health}
	if !health.Initialized {
		return contract.GetHealth503JSONResponse(answer), nil
	}
	return contract.GetHealth200JSONResponse(answer), nil
}

// sessionsHealth are the sessions of one company, or of all for an admin key.
func sessionsHealth(rows []db.ListConnectionsRow, companyID string) map[string]contract.SessionHealth {
	all := make(map[string]contract.SessionHealth, len(rows))
	for _, row := range rows {
		if companyID == "" || row.CompanyID == companyID {
			all[row.CompanyID] = contract.SessionHealth{
				Connected: row.ConnectedAt != nil, Uptime: since(row.ConnectedAt),
			}
		}
	}
	return all
}

// hostReports are what living hosts say of themselves.
func hostReports(reports []fleet.Report) []contract.HostReport {
	all := make([]contract.HostReport, 0, len(reports))
	for _, r := range reports {
		sessions := make(map[string]int, len(r.Sessions))
		for state, n := range r.Sessions {
			sessions[string(state)] = n
		}
		all = append(all, contract.HostReport{
			HostID: r.HostID, Version: r.Version, Draining: r.Draining, Sockets: r.Sockets, Shards: r.Shards, Sessions: sessions,
			Load: r.Load, MemoryBytes: r.MemoryBytes, Uptime: int64(r.ReportedAt.Sub(r.StartedAt).Seconds()), ReportedAt: r.ReportedAt.UTC(),
		})
	}
	return all
}

// memoryUsage is what the process has of the machine's memory, as the predecessor wrote it.
func memoryUsage() string {
	return fmt.Sprintf("%dMB", fleet.Memory()>>20)
}
