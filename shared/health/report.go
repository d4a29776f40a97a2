package health

import (
	"context"
	"time"

	"wafleet/shared/session"
)

// Lifetime is how long a report is believed: a host that reports no more is gone from the boards after it.
const Lifetime = 30 * time.Second

// Report is what one host says of itself.
type Report struct {
	HostID      string                `json:"hostId"`
	Version     string                `json:"version"`
	Draining    bool                  `json:"draining"`    // hands its companies over and takes no new ones
	Shards      int                   `json:"shards"`      // owned
	Sockets     int                   `json:"sockets"`     // connections that are logged in
	Sessions    map[session.State]int `json:"sessions"`    // looked after, by state
	Load        float64               `json:"load"`        // processors in use since the report before
	MemoryBytes int64                 `json:"memoryBytes"` // held by the process
	StartedAt   time.Time             `json:"startedAt"`
	ReportedAt  time.Time             `json:"reportedAt"` // by the host's clock
}

// Board is where reports are put up.
type Board interface {
	// Put replaces the host's report. It is taken down by itself after Lifetime.
	Put(ctx context.Context, r Report) error
	// Withdraw takes the host's report down. One that is not there is no error.
	Withdraw(ctx context.Context, hostID string) error
	// Reports returns the reports of all living hosts in the order of their ids.
	Reports(ctx context.Context) ([]Report, error)
}
