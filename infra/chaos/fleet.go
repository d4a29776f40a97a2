package main

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"time"

	"wafleet/infra/internal/load"
	"wafleet/infra/internal/rig"
	"wafleet/infra/internal/tenants"
)

const (
	// readyWithin bounds the wait for hosts to share the shards, and for companies to be online.
	readyWithin = 2 * time.Minute
	perCompany  = 500 * time.Millisecond
	readyPoll   = 200 * time.Millisecond
)

// fleet is the hosts under test, and the rest of the system.
type fleet struct {
	rig       *rig.Rig
	companies int
	random    *rand.Rand
	notes     io.Writer
	start     time.Time

	hosts    []*rig.Host
	started  int // hosts so far, to name the next
	settings []string
}

// say shows progress: plain lines, so that a pipe gets them as well.
func (f *fleet) say(format string, args ...any) {
	_, _ = fmt.Fprintf(f.notes, "%6.1fs  %s\n", time.Since(f.start).Seconds(), fmt.Sprintf(format, args...))
}

// grow starts hosts until there are so many, with these settings; hosts with others are replaced.
func (f *fleet) grow(ctx context.Context, hosts int, settings []string) error {
	if !slices.Equal(settings, f.settings) {
		for len(f.hosts) > 0 {
			if err := f.take().Stop(ctx); err != nil {
				return err
			}
		}
		f.settings = settings
	}
	for len(f.hosts) < hosts {
		f.started++
		name := fmt.Sprintf("host-%d", f.started)
		host, err := f.rig.AddHost(ctx, name, append([]string{"HOST_ID=" + name}, settings...)...)
		if err != nil {
			return err
		}
		f.hosts = append(f.hosts, host)
	}
	for _, host := range f.hosts {
		if err := host.Await(ctx); err != nil {
			return err
		}
	}
	return f.awaitShares(ctx)
}

// awaitShares returns when every shard is held and no host has more than its share.
func (f *fleet) awaitShares(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, readyWithin, fmt.Errorf("shards are not shared after %s", readyWithin))
	defer cancel()
	for {
		shares, err := f.rig.Shares(ctx)
		if err != nil {
			return err
		}
		total, most := 0, 0
		for _, n := range shares {
			total += n
			most = max(most, n)
		}
		if shares[""] == 0 && len(shares) == len(f.hosts) && most <= (total+len(f.hosts)-1)/len(f.hosts) {
			return nil
		}
		if err := load.Pause(ctx, readyPoll); err != nil {
			return fmt.Errorf("%v: %w", shares, err)
		}
	}
}

// link pairs all companies and waits until they are online.
func (f *fleet) link(ctx context.Context, journal *journal) error {
	limit := readyWithin + time.Duration(f.companies)*perCompany
	ctx, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("companies are not linked after %s", limit))
	defer cancel()
	if err := tenants.Link(ctx, f.rig.API(), f.rig.Simulator(), f.companies); err != nil {
		return err
	}
	return f.awaitOnline(ctx, journal)
}

// awaitOnline returns when every company is logged in.
func (f *fleet) awaitOnline(ctx context.Context, journal *journal) error {
	ctx, cancel := context.WithTimeoutCause(ctx, readyWithin, fmt.Errorf("companies are not online after %s", readyWithin))
	defer cancel()
	for {
		online := journal.online()
		if online == f.companies {
			return nil
		}
		if err := load.Pause(ctx, readyPoll); err != nil {
			return fmt.Errorf("%d of %d: %w", online, f.companies, err)
		}
	}
}

// pick chooses a host.
func (f *fleet) pick() *rig.Host { return f.hosts[f.random.IntN(len(f.hosts))] }

// take chooses a host that will be gone.
func (f *fleet) take() *rig.Host {
	host := f.pick()
	f.hosts = slices.DeleteFunc(f.hosts, func(other *rig.Host) bool { return other == host })
	return host
}
