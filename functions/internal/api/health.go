package api

import (
	"context"
	"fmt"
	"maps"
	"runtime/metrics"
	"slices"
	"time"

	contract "wafleet/shared/api"
	"wafleet/shared/session"
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
	}
	answer := contract.HealthResponse{Success: health.Initialized, Data: health}
	if !health.Initialized {
		return contract.GetHealth503JSONResponse(answer), nil
	}
	return contract.GetHealth200JSONResponse(answer), nil
}

// sessionsHealth are the sessions of one company, or of all for an admin key.
func sessionsHealth(rows []db.ListSessionsRow, companyID string) map[string]contract.SessionHealth {
	all := make(map[string]contract.SessionHealth, len(rows))
	for _, row := range rows {
		if companyID == "" || row.CompanyID == companyID {
			all[row.CompanyID] = contract.SessionHealth{
				Connected: session.State(row.State) == session.Connected, Uptime: since(row.ConnectedAt),
			}
		}
	}
	return all
}

// memoryUsage is what the process has of the machine's memory, as the predecessor wrote it.
func memoryUsage() string {
	samples := []metrics.Sample{{Name: "/memory/classes/total:bytes"}, {Name: "/memory/classes/heap/released:bytes"}}
	metrics.Read(samples)
	return fmt.Sprintf("%dMB", (samples[0].Value.Uint64()-samples[1].Value.Uint64())>>20)
}
