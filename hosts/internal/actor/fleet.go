package actor

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"wafleet/shared/media"
	"wafleet/shared/pace"
	"wafleet/shared/rpc"
	"wafleet/shared/session"
	"wafleet/shared/store"
	"wafleet/shared/store/db"
	"wafleet/shared/vault"
)

// Config is how sessions behave.
type Config struct {
	ReconnectDelay time.Duration // base of the backoff
	MaxReconnects  int           // failures in a row after which a session gives up
	MaxQRAttempts  int
	QRFirstTTL     time.Duration
	QRNextTTL      time.Duration
	PairingCodeTTL time.Duration
	PollInterval   time.Duration // for lost nudges
	DueInterval    time.Duration // for messages that became due, or whose nudge was lost; 0: 1 s
	PingPause      time.Duration // before the second opinion on a socket that left a ping unanswered; 0: 5 s
	PingTimeout    time.Duration // for the answer to that; 0: 10 s
	LoginTimeout   time.Duration // between the handshake and a login or the first QR code; 0: 30 s
	RestartTimeout time.Duration // between a pairing and the server's restart; 0: 5 s
	DoubtWindow    time.Duration // connected time for which an unconfirmed message is resent and holds its chat; 0: 2 min
}

// Deps is what a fleet needs.
type Deps struct {
	Store    *store.Store
	Vault    *vault.Vault
	Media    media.Store // nil: messages with files cannot be sent
	Dialer   Dialer
	Board    *rpc.Board
	Pace     *pace.Pace // of the address that the host connects from; nil: no limit
	Budget   Budget     // of pairing codes; nil: no limit
	Registry prometheus.Registerer
	Logger   *slog.Logger
	// Announce speeds deliveries up through the queue after they are committed. Best effort.
	Announce func(ctx context.Context, deliveries []store.Delivery)
	// ShowQR draws a QR code where somebody is looking, such as a terminal; may be nil.
	ShowQR func(companyID, code string)
}

// Budget limits the pairing codes that are asked for a number: WhatsApp blocks a number's linking after too many.
type Budget interface {
	// Take takes one code out of a number's budget, or says how long to wait for the next one.
	Take(ctx context.Context, phone string) (ok bool, retryAfter time.Duration)
}

// deps is what all actors of a host share.
type deps struct {
	store    *store.Store
	vault    *vault.Vault
	media    media.Store
	slots    chan struct{} // one for each download under way
	dialer   Dialer
	board    *rpc.Board
	logger   *slog.Logger
	metrics  *metrics
	pacer    *Pacer
	versions *versions
	budget   Budget
	cfg      Config
	showQR   func(companyID, code string)
	tell     func(ctx context.Context, deliveries []store.Delivery)
}

func (d *deps) announce(ctx context.Context, deliveries []store.Delivery) {
	if len(deliveries) > 0 && d.tell != nil {
		d.tell(ctx, deliveries)
	}
}

// Fleet is all actors of a host.
type Fleet struct {
	deps *deps

	mu     sync.RWMutex
	shards map[int]*shard
	actors map[string]*Actor // by company
	ending map[string]*Actor // of shards that were closed, until they have ended
	cancel context.CancelFunc
	poller sync.WaitGroup
}

// shard is the actors that live and die with one lease.
type shard struct {
	fence  store.Fence
	cancel context.CancelFunc
	ctx    context.Context //nolint:containedctx // it is the lease's life, which actors started later share

	arrivals arrivals
}

// NewFleet returns a fleet without shards.
func NewFleet(d Deps, cfg Config) *Fleet {
	cfg.DueInterval = cmp.Or(cfg.DueInterval, time.Second)
	cfg.LoginTimeout = cmp.Or(cfg.LoginTimeout, loginTimeout)
	cfg.QRFirstTTL = min(cfg.QRFirstTTL, firstQRLife)
	cfg.PingPause = cmp.Or(cfg.PingPause, pingPause)
	cfg.PingTimeout = cmp.Or(cfg.PingTimeout, pingTimeout)
	cfg.RestartTimeout = cmp.Or(cfg.RestartTimeout, restartTimeout)
	cfg.DoubtWindow = cmp.Or(cfg.DoubtWindow, doubtWindow)
	return &Fleet{
		deps: &deps{
			store: d.Store, vault: d.Vault, media: d.Media, slots: make(chan struct{}, maxDownloads), dialer: d.Dialer, board: d.Board, logger: d.Logger,
			metrics: newMetrics(d.Registry), pacer: NewPacer(d.Pace), cfg: cfg,
			versions: newVersions(d.Dialer, d.Store, d.Logger), budget: d.Budget,
			showQR: d.ShowQR, tell: d.Announce,
		},
		shards: make(map[int]*shard),
		actors: make(map[string]*Actor),
		ending: make(map[string]*Actor),
	}
}

// Start begins to poll for desired states and due messages: nudges may be lost, and time passes.
func (f *Fleet) Start(ctx context.Context) error {
	ctx, f.cancel = context.WithCancel(context.WithoutCancel(ctx))
	f.poller.Go(func() { f.repeat(ctx, "sessions", f.deps.cfg.PollInterval, f.poll) })
	f.poller.Go(func() { f.repeat(ctx, "outboxes", f.deps.cfg.DueInterval, f.kickDue) })
	return nil
}

// repeat polls about every interval until the context ends.
func (f *Fleet) repeat(ctx context.Context, what string, interval time.Duration, poll func(ctx context.Context) error) {
	for sleep(ctx, interval/2+backoff(interval, 1)) {
		if err := poll(ctx); err != nil && ctx.Err() == nil {
			f.deps.logger.WarnContext(ctx, "poll", "what", what, "error", err)
		}
	}
}

// Stop closes every shard and waits.
func (f *Fleet) Stop(context.Context) error {
	if f.cancel != nil {
		f.cancel()
		f.poller.Wait()
	}
	var closing []func()
	for _, n := range f.held() {
		closing = append(closing, f.CloseShard(n))
	}
	for _, wait := range closing {
		wait()
	}
	f.deps.pacer.Stop()
	return nil
}

// OpenShard starts the sessions of a shard whose lease was just won: companies with due messages first.
func (f *Fleet) OpenShard(ctx context.Context, fence store.Fence) error {
	if err := f.deps.store.DisownSockets(ctx, fence); err != nil {
		return err
	}
	rows, err := f.deps.store.Queries().ListCompaniesOfShard(ctx, f.deps.store.Pool(), fence.Shard)
	if err != nil {
		return fmt.Errorf("list companies of shard: %w", err)
	}
	life, cancel := context.WithCancel(context.WithoutCancel(ctx))
	f.mu.Lock()
	defer f.mu.Unlock()
	f.shards[fence.Shard] = &shard{fence: fence, ctx: life, cancel: cancel}
	for i := range rows {
		row := &rows[i].WhatsappSession
		if row.DesiredState == string(session.DesiredRunning) || row.DesiredGeneration > row.ObservedGeneration {
			f.deps.vault.Hint(row.CompanyID, rows[i].Wrapped)
			f.startActor(row.CompanyID, fence.Shard, &rows[i])
		}
	}
	return nil
}

// CloseShard takes a shard out of the fleet at once, and returns a function that waits until its sessions have
// ended. The lease may be released after that.
func (f *Fleet) CloseShard(n int) (wait func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	closing := f.shards[n]
	if closing == nil {
		return func() {}
	}
	delete(f.shards, n)
	var stopping sync.WaitGroup
	for id, a := range f.actors {
		if a.fence.Shard == n {
			delete(f.actors, id)
			f.ending[id] = a
			stopping.Go(func() { f.end(id, a) })
		}
	}
	return func() {
		stopping.Wait()
		closing.cancel()
	}
}

// end stops an actor of a closed shard.
func (f *Fleet) end(companyID string, a *Actor) {
	a.stop()
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.ending[companyID] == a {
		delete(f.ending, companyID)
	}
}

// Kick tells a company's actor, if it lives here, that its outbox may have something to send.
func (f *Fleet) Kick(companyID string) {
	if a := f.actor(companyID); a != nil {
		a.Kick()
	}
}

// Reconcile tells the owner of a company to look at the desired state. A company that has no actor yet gets
// one at the next poll at the latest.
func (f *Fleet) Reconcile(ctx context.Context, companyID string) {
	if a := f.actor(companyID); a != nil && !a.ended() {
		a.Reconcile()
		a.files.kick() // the nudge does not say what for
		return
	}
	row, err := f.deps.store.Queries().GetCompany(ctx, f.deps.store.Pool(), companyID)
	if err != nil {
		return // not ours to judge: the poll repeats what matters
	}
	f.ensure(companyID, row.Shard)
}

func (f *Fleet) ensure(companyID string, n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if a := f.actors[companyID]; a != nil && !a.ended() {
		a.Reconcile()
		return
	}
	if f.shards[n] != nil {
		f.startActor(companyID, n, nil)
	}
}

// startActor needs mu. found is what the lease's holder found in the database; nil: the actor looks for itself.
func (f *Fleet) startActor(companyID string, n int, found *db.ListCompaniesOfShardRow) {
	owned, predecessor := f.shards[n], f.actors[companyID]
	if predecessor == nil {
		predecessor = f.ending[companyID]
	}
	a := newActor(f.deps, companyID, owned.fence, predecessor)
	if found != nil && predecessor == nil { // else it may be older than what the predecessor does at last
		a.found = found
		a.due.Store(found.Due)
		if row := &found.WhatsappSession; row.DesiredState == string(session.DesiredRunning) && row.JID != nil {
			owned.arrivals.expect()
			a.arriving.Store(&owned.arrivals)
		}
	}
	f.actors[companyID] = a
	a.start(owned.ctx)
}

func (f *Fleet) poll(ctx context.Context) error {
	shards := f.held()
	if len(shards) == 0 {
		return nil
	}
	q, pool := f.deps.store.Queries(), f.deps.store.Pool()
	unreconciled, err := q.ListUnreconciled(ctx, pool, shards)
	if err != nil {
		return fmt.Errorf("list unreconciled sessions: %w", err)
	}
	for _, row := range unreconciled {
		f.ensure(row.CompanyID, row.Shard)
	}
	wanting, err := q.ListCompaniesWantingMedia(ctx, pool, shards)
	if err != nil {
		return fmt.Errorf("list companies that want files: %w", err)
	}
	for _, id := range wanting {
		if a := f.actor(id); a != nil {
			a.files.kick()
		}
	}
	f.resume()
	if err := f.guard(ctx); err != nil {
		return err
	}
	if err := f.deps.pacer.look(ctx, f.deps.store); err != nil {
		return err
	}
	return nil
}

// kickDue kicks the outboxes that hold something to send now.
func (f *Fleet) kickDue(ctx context.Context) error {
	shards := f.held()
	if len(shards) == 0 {
		return nil
	}
	due, err := f.deps.store.Queries().ListDueCompanies(ctx, f.deps.store.Pool(), shards)
	if err != nil {
		return fmt.Errorf("list companies with due messages: %w", err)
	}
	for _, id := range due {
		f.Kick(id)
	}
	return nil
}

// resume kicks the outboxes that something was left undone in: a doubt, or whatever a database error interrupted.
func (f *Fleet) resume() {
	f.mu.RLock()
	defer f.mu.RUnlock()
	for _, a := range f.actors {
		if a.sender.unfinished() {
			a.Kick()
		}
	}
}

func (f *Fleet) actor(companyID string) *Actor {
	f.mu.RLock()
	defer f.mu.RUnlock()
	return f.actors[companyID]
}

func (f *Fleet) held() []int {
	f.mu.RLock()
	defer f.mu.RUnlock()
	shards := make([]int, 0, len(f.shards))
	for n := range f.shards {
		shards = append(shards, n)
	}
	return shards
}
