package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"

	"wafleet/hosts/internal/actor"
	"wafleet/hosts/internal/devicestore"
	"wafleet/hosts/internal/ingest"
	"wafleet/hosts/internal/peer"
	"wafleet/hosts/internal/shard"
	"wafleet/hosts/internal/wa"
	"wafleet/shared/config"
	"wafleet/shared/health"
	"wafleet/shared/lease"
	"wafleet/shared/media"
	"wafleet/shared/pace"
	"wafleet/shared/queue"
	"wafleet/shared/ratelimit"
	"wafleet/shared/rpc"
	"wafleet/shared/store"
	"wafleet/shared/vault"
	"wafleet/shared/webhook"
)

// announceTimeout bounds the fast path of webhooks. What it misses the sweeper finds.
const announceTimeout = 2 * time.Second

// pollInterval is how soon a lost nudge is made up for (architecture.md, "The data's way").
const pollInterval = 5 * time.Second

// WhatsApp says where WhatsApp is; the zero value means its own servers.
type WhatsApp = wa.Config

// Deps is what a host needs.
type Deps struct {
	Pool     *pgxpool.Pool
	Redis    redis.UniversalClient
	Queue    queue.Queue
	Media    media.Store // nil: messages with files cannot be sent
	Vault    *vault.Vault
	Registry prometheus.Registerer
	Logger   *slog.Logger // with the host_id in every line
	// Boards also get the host's health reports, beside Redis; by the name that they have in the log.
	Boards map[string]health.Board
}

// Config is how the host behaves.
type Config struct {
	HostID   string // new for every start of a process
	Version  string
	Sessions config.Sessions
	WhatsApp WhatsApp
	// PeerListen is the host:port where other hosts notice the death of this one; empty: nowhere, they wait for its leases.
	PeerListen string
	// Live asks WhatsApp for its current version before anything connects.
	Live bool
	// ShowQR draws QR codes where somebody is looking; may be nil.
	ShowQR func(companyID, code string)
}

// App is one connection host.
type App struct {
	deps    Deps
	cfg     Config
	devices *devicestore.Store
	dialer  *wa.Dialer
	fleet   *actor.Fleet
	ingest  *ingest.Ingester
	server  *peer.Server // nil: nobody can watch this host; made by Start, as the next three
	watcher *peer.Watcher
	leases  *lease.Table
	keeper  *shard.Keeper
	nudges  *rpc.Listener
	answers *rpc.Responder
	reports *reports
	janitor *janitor
	carer   *caretaker
	stops   []stop // what Start started, in order

	routing   sync.WaitGroup
	cancel    context.CancelFunc // ends routing
	listening sync.WaitGroup
	unlisten  context.CancelFunc
}

// stop is one step of ending the host.
type stop struct {
	name string
	do   func(ctx context.Context) error
}

// New wires a host. Nothing runs and nothing is dialled before Start.
func New(ctx context.Context, deps Deps, cfg Config) (*App, error) {
	a := &App{deps: deps, cfg: cfg}
	cfg.WhatsApp.HealthInterval = cfg.Sessions.HealthInterval.Duration()
	cfg.WhatsApp.Gates = func(fence store.Fence) wa.Gate { return a.keeper.Gate(fence) }
	devices := devicestore.Open(deps.Pool, deps.Vault, deps.Logger)
	dialer, err := wa.NewDialer(devices, cfg.WhatsApp, deps.Logger)
	if err != nil {
		return nil, fmt.Errorf("prepare connections: %w", err)
	}
	a.devices, a.dialer = devices, dialer
	durable := store.New(deps.Pool, deps.Vault)
	a.fleet = actor.NewFleet(actor.Deps{
		Store: durable, Vault: deps.Vault, Media: deps.Media, Dialer: dialer, Board: rpc.NewBoard(deps.Redis),
		Registry: deps.Registry, Logger: deps.Logger, Announce: a.announce, ShowQR: cfg.ShowQR,
		Pace:   pace.New(deps.Redis, paceConfig(cfg.Sessions), deps.Logger),
		Budget: ratelimit.NewPairing(deps.Redis, deps.Logger),
	}, actorConfig(cfg.Sessions))
	a.janitor = newJanitor(a.fleet.Logins)
	a.carer = newCaretaker(func(ctx context.Context) (bool, error) { return durable.CleanUp(ctx, devices.CleanUp) }, deps.Logger)
	a.ingest = ingest.New(ingest.Deps{
		Queue: deps.Queue, Store: durable, Vault: deps.Vault, HostID: cfg.HostID, Kick: a.fleet.Kick,
		Announce: a.announce, Registry: deps.Registry, Logger: deps.Logger,
	})
	a.nudges = rpc.NewListener(deps.Redis, deps.Logger, rpc.Hints{
		Session: func(companyID string) { a.fleet.Reconcile(context.WithoutCancel(ctx), companyID) },
		Outbox:  a.fleet.Kick,
	})
	a.answers = newResponder(deps, durable, a.fleet)
	a.reports = newReports(deps, cfg)
	return a, nil
}

// Start begins to take shards. It returns an error, with everything stopped again, when the host cannot work.
func (a *App) Start(ctx context.Context) error {
	if a.cfg.Live {
		version, err := a.dialer.UseLatestVersion(ctx)
		if err != nil {
			// The pinned version may still be accepted; a refusal is shown on every session.
			a.deps.Logger.WarnContext(ctx, "go on with the built-in version of WhatsApp", "error", err)
		} else {
			a.deps.Logger.InfoContext(ctx, "speaking as WhatsApp's current version", "version", version)
		}
	}
	for _, part := range []struct {
		name  string
		start func(ctx context.Context) error
		stop  func(ctx context.Context) error
	}{
		{"janitor", a.janitor.Start, a.janitor.Stop},
		{"caretaker", a.carer.Start, a.carer.Stop},
		{"fleet", a.fleet.Start, a.fleet.Stop},
		{"nudges", a.nudges.Start, a.nudges.Stop},
		{"live answers", a.answers.Start, a.answers.Stop},
		{"watch over other hosts", a.watch, a.unwatch},
		{"leases", a.claim, a.unclaim},
		{"health reports", a.reports.Start, a.reports.Stop},
		{"routing", a.route, a.unroute},
	} {
		if err := part.start(ctx); err != nil {
			return errors.Join(fmt.Errorf("start %s: %w", part.name, err), a.Stop(ctx))
		}
		a.onStop(part.name, part.stop)
	}
	return nil
}

// Stop drains the host: it takes no more work, finishes what is in hand, and lets the leases go.
func (a *App) Stop(ctx context.Context) error {
	var errs []error
	for _, step := range slices.Backward(a.stops) {
		if err := step.do(ctx); err != nil {
			errs = append(errs, fmt.Errorf("stop %s: %w", step.name, err))
		}
	}
	a.stops = nil
	return errors.Join(errs...)
}

func (a *App) onStop(name string, do func(ctx context.Context) error) {
	a.stops = append(a.stops, stop{name, do})
}

func (a *App) announce(ctx context.Context, deliveries []store.Delivery) {
	if len(deliveries) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, announceTimeout)
	defer cancel()
	if err := webhook.EnqueueDeliveries(ctx, a.deps.Queue, deliveries); err != nil {
		a.deps.Logger.WarnContext(ctx, "webhook jobs are left to the sweeper", "deliveries", len(deliveries), "error", err)
	}
}

func paceConfig(s config.Sessions) pace.Config {
	return pace.Config{Address: s.EgressAddress, Start: s.ConnectRate, Most: s.ConnectRateMax}
}

func actorConfig(s config.Sessions) actor.Config {
	return actor.Config{
		ReconnectDelay: s.ReconnectDelay.Duration(), MaxReconnects: s.MaxReconnects,
		MaxQRAttempts: s.MaxQRAttempts, QRFirstTTL: s.QRTTL.Duration(), QRNextTTL: 20 * time.Second,
		PairingCodeTTL: s.PairingCodeTTL.Duration(), PollInterval: pollInterval,
	}
}
