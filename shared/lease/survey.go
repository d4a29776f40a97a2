package lease

import (
	"context"
	"fmt"

	"wafleet/shared/store/db"
)

// Survey is the state of all leases, as far as a host needs it to take its share.
type Survey struct {
	Shards int    // how many there are
	Free   int    // held by nobody, and not kept for another host
	Handed int    // those of them that were handed over to the asking host
	Late   int    // held by a host that has not renewed them in time
	Moving int    // on their way: released for a host, or taken by another one that has yet to bring their sessions online
	Hosts  []Host // alive, by id; the asking one included
}

// Host is a host that has given a sign of life within the time to live of a lease.
type Host struct {
	ID       string
	Peer     string // host:port where its death can be noticed; empty: nowhere
	Draining bool   // it gives its shards away
	Shards   int    // that it holds or is about to be given
}

// Survey looks at all leases and all hosts.
func (t *Table) Survey(ctx context.Context) (Survey, error) {
	row, err := t.queries.SurveyLeases(ctx, t.pool, t.config.HostID)
	if err != nil {
		return Survey{}, fmt.Errorf("survey leases: %w", err)
	}
	hosts, err := t.queries.ListLiveHosts(ctx, t.pool, t.config.TTL.Seconds())
	if err != nil {
		return Survey{}, fmt.Errorf("survey hosts: %w", err)
	}
	survey := Survey{
		Shards: row.Shards, Free: row.Free, Handed: row.Handed, Late: row.Late, Moving: row.Moving,
		Hosts: make([]Host, len(hosts)),
	}
	for i, h := range hosts {
		survey.Hosts[i] = hostOf(h)
	}
	return survey, nil
}

func hostOf(row db.ListLiveHostsRow) Host {
	return Host{ID: row.HostID, Peer: row.Peer, Draining: row.Draining, Shards: row.Shards}
}
