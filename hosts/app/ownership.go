package app

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"wafleet/hosts/internal/peer"
	"wafleet/hosts/internal/shard"
	"wafleet/shared/lease"
	"wafleet/shared/rpc"
	"wafleet/shared/store"
)

const (
	// openPause is the time between attempts to read the companies of a shard.
	openPause = 500 * time.Millisecond
	// coldGrace is how long the first host of an installation waits for others that start with it, rather than take
	// everything and give two thirds of it away again.
	coldGrace = 500 * time.Millisecond
	// releaseMargin is how long before the end of a drain the shards that nobody has taken yet are closed and released.
	releaseMargin = 15 * time.Second
	// arrivalTimeout is how long the host that handed a shard over is kept waiting for its sessions.
	arrivalTimeout = 3 * time.Second
)

// watch begins to notice the deaths of other hosts, and to let them notice this one's.
func (a *App) watch(ctx context.Context) error {
	a.watcher = peer.NewWatcher(func(hostID string) { a.keeper.Bury(hostID) }, a.deps.Logger)
	if a.cfg.PeerListen != "" {
		a.server = peer.NewServer(a.cfg.HostID, a.cfg.PeerListen)
		return a.server.Start(ctx)
	}
	return nil
}

func (a *App) unwatch(ctx context.Context) error {
	if a.server == nil {
		return nil
	}
	return a.server.Stop(ctx)
}

// claim begins to take shards.
func (a *App) claim(ctx context.Context) error {
	address, err := a.peerAddress(ctx)
	if err != nil {
		return err
	}
	a.leases, err = lease.New(a.deps.Pool, lease.Config{HostID: a.cfg.HostID, Version: a.cfg.Version, Peer: address})
	if err != nil {
		return err
	}
	a.keeper, err = shard.New(a.leases, shard.Config{
		HostID: a.cfg.HostID, Grace: coldGrace, Companies: a.fleet, Peers: a.watchPeers,
	}, a.deps.Logger)
	if err != nil {
		return err
	}
	if err := errors.Join(a.watcher.Start(ctx), a.keeper.Start(ctx)); err != nil {
		return err
	}
	listening, cancel := context.WithCancel(context.WithoutCancel(ctx))
	a.unlisten = cancel
	a.listening.Go(func() { a.leases.Listen(listening, a.deps.Logger, a.keeper.Hurry) })
	return nil
}

func (a *App) unclaim(ctx context.Context) error {
	a.unlisten()
	a.listening.Wait()
	return errors.Join(a.watcher.Stop(ctx), a.keeper.Stop(ctx))
}

func (a *App) watchPeers(others []lease.Host) {
	addresses := make(map[string]string, len(others))
	for _, host := range others {
		addresses[host.ID] = host.Peer
	}
	a.watcher.Watch(addresses)
}

// peerAddress is where other hosts reach this one's server: where it listens, or, if that is everywhere, at the address
// by which this host reaches Postgres.
func (a *App) peerAddress(ctx context.Context) (string, error) {
	if a.server == nil {
		return "", nil
	}
	address := a.server.Address()
	if !address.IP.IsUnspecified() {
		return address.String(), nil
	}
	ip, err := localIP(ctx, a.deps.Pool)
	if err != nil {
		return "", err
	}
	return net.JoinHostPort(ip.String(), strconv.Itoa(address.Port)), nil
}

// localIP is this machine's address on the way to the database; over a Unix socket, the loopback address.
func localIP(ctx context.Context, pool *pgxpool.Pool) (net.IP, error) {
	conn, err := pool.Acquire(ctx)
	if err != nil {
		return nil, fmt.Errorf("find this host's address: %w", err)
	}
	defer conn.Release()
	if local, ok := conn.Conn().PgConn().Conn().LocalAddr().(*net.TCPAddr); ok {
		return local.IP, nil
	}
	return net.IPv4(127, 0, 0, 1), nil
}

// route carries the keeper's events to whoever works for a shard.
func (a *App) route(ctx context.Context) error {
	ctx, a.cancel = context.WithCancel(context.WithoutCancel(ctx))
	a.routing.Go(func() {
		for {
			select {
			case <-ctx.Done():
				return
			case event, open := <-a.keeper.Events():
				if !open {
					return
				}
				a.onLease(ctx, event)
			}
		}
	})
	return nil
}

// unroute hands the shards over to other hosts, and closes what is left, so that its leases can be released after it.
func (a *App) unroute(ctx context.Context) error {
	a.reports.drain()
	if err := a.handOver(ctx); err != nil {
		a.deps.Logger.WarnContext(ctx, "some shards are released to whoever takes them", "error", err)
	}
	a.cancel()
	a.routing.Wait()
	return errors.Join(a.ingest.Stop(ctx), a.fleet.Stop(ctx))
}

// handOver leaves enough of the time that there is for what nobody takes.
func (a *App) handOver(ctx context.Context) error {
	deadline, limited := ctx.Deadline()
	if !limited {
		deadline = time.Now().Add(2 * releaseMargin)
	}
	ctx, cancel := context.WithDeadline(ctx, deadline.Add(-releaseMargin))
	defer cancel()
	return a.keeper.Drain(ctx)
}

func (a *App) onLease(ctx context.Context, event shard.Event) {
	switch e := event.(type) {
	case shard.Gained:
		a.open(ctx, e.Fence)
		if e.Handed {
			a.routing.Go(func() { a.settle(ctx, e.Fence) })
		}
	case shard.Lost:
		a.routing.Go(a.closeShard(ctx, e.Shard))
	case shard.Surplus:
		wait := a.closeShard(ctx, e.Fence.Shard)
		a.routing.Go(func() {
			wait()
			if err := a.keeper.Release(context.WithoutCancel(ctx), e.Fence); err != nil {
				a.deps.Logger.WarnContext(ctx, "a surplus shard runs out by itself", "shard", e.Fence.Shard, "error", err)
			}
		})
	}
}

// open starts to work for a shard, repeating until its companies could be read: without Postgres there is
// nothing else to do.
func (a *App) open(ctx context.Context, fence store.Fence) {
	if err := a.devices.Preload(ctx, fence); err != nil {
		a.deps.Logger.WarnContext(ctx, "devices are read one by one", "shard", fence.Shard, "error", err)
	}
	for ctx.Err() == nil {
		err := a.fleet.OpenShard(ctx, fence)
		if err == nil {
			a.ingest.OpenShard(ctx, fence.Shard)
			a.answers.Hold(ctx, rpc.Owner{Shard: fence.Shard, Term: fence.Term})
			return
		}
		a.deps.Logger.WarnContext(ctx, "open shard", "shard", fence.Shard, "error", err)
		pause(ctx, openPause)
	}
}

// settle tells the former holder of a shard when its sessions are online, or that it need not wait any longer.
func (a *App) settle(ctx context.Context, fence store.Fence) {
	arrival, cancel := context.WithTimeout(ctx, arrivalTimeout)
	a.fleet.AwaitArrival(arrival, fence.Shard)
	cancel()
	if err := a.keeper.Settle(ctx, fence); err != nil && ctx.Err() == nil {
		a.deps.Logger.WarnContext(ctx, "a hand-over waits longer than it has to", "shard", fence.Shard, "error", err)
	}
}

// closeShard ends the work for a shard; the function it returns waits for what is in hand.
func (a *App) closeShard(ctx context.Context, n int) (wait func()) {
	a.answers.Drop(ctx, n)
	ingested, stopped := a.ingest.CloseShard(n), a.fleet.CloseShard(n)
	return func() {
		ingested()
		stopped()
	}
}

// pause waits, or returns early with the context.
func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
