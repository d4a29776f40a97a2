package actor_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"wafleet/hosts/internal/actor"
	"wafleet/shared/media"
	"wafleet/shared/message"
	"wafleet/shared/rpc"
	"wafleet/shared/session"
	"wafleet/shared/store"
	"wafleet/shared/store/db"
	"wafleet/shared/store/pgtest"
	"wafleet/shared/vault"
	"wafleet/shared/webhook"
)

const (
	company = "salon"
	shardNo = 3
	ownJID  = "79000000001:7@s.whatsapp.net"
)

// bundle is one host with one company.
type bundle struct {
	*script
	store    *store.Store
	media    *media.Folder
	vault    *vault.Vault
	keys     *keyService // the hosts': their vault is another one than the test's
	board    *rpc.Board
	fence    store.Fence
	fleet    *actor.Fleet
	registry *prometheus.Registry // of the latest host
	log      *logBook
	budget   actor.Budget // of the next host
	sends    int
}

// logBook counts what the hosts log.
type logBook struct {
	mu    sync.Mutex
	lines map[string]int
}

var _ slog.Handler = (*logBook)(nil)

func (l *logBook) Enabled(context.Context, slog.Level) bool { return true }
func (l *logBook) WithAttrs([]slog.Attr) slog.Handler       { return l }
func (l *logBook) WithGroup(string) slog.Handler            { return l }

func (l *logBook) Handle(_ context.Context, r slog.Record) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines[r.Message]++
	return nil
}

func (l *logBook) count(line string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.lines[line]
}

// keyService is what hosts unwrap their companies' keys with. It can be away.
type keyService struct {
	vault.Wrapper
	away  atomic.Int32 // how many more times
	vault *vault.Vault // of the hosts
}

func (k *keyService) Unwrap(ctx context.Context, companyID string, wrapped []byte) ([]byte, error) {
	if k.away.Add(-1) >= 0 {
		return nil, errors.New("key service is away")
	}
	return k.Wrapper.Unwrap(ctx, companyID, wrapped)
}

// quick makes what takes seconds in production take milliseconds.
var quick = actor.Config{
	ReconnectDelay: 10 * time.Millisecond, MaxReconnects: 3, MaxQRAttempts: 3,
	QRFirstTTL: time.Minute, QRNextTTL: time.Minute, PairingCodeTTL: time.Minute, PollInterval: 50 * time.Millisecond,
}

func setup(t *testing.T, cfg actor.Config) *bundle {
	t.Helper()
	pool := pgtest.New(t)
	local, err := vault.NewLocal(bytes.Repeat([]byte{1}, vault.KeySize))
	require.NoError(t, err)
	v := vault.New(local, store.NewKeyring(pool))
	client := redis.NewClient(&redis.Options{Addr: miniredis.RunT(t).Addr()})
	t.Cleanup(func() { _ = client.Close() })
	b := &bundle{script: newScript(), store: store.New(pool, v), vault: v, board: rpc.NewBoard(client)}
	b.media, err = media.OpenFolder(t.TempDir())
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, b.media.Close()) })
	b.log = &logBook{lines: make(map[string]int)}
	b.keys = &keyService{Wrapper: local}
	b.keys.vault = vault.New(b.keys, store.NewKeyring(pool))

	_, err = store.EnsureInstallation(t.Context(), pool, 8)
	require.NoError(t, err)
	b.create(t, company, shardNo)
	b.own(t, cfg)
	return b
}

func (b *bundle) create(t *testing.T, companyID string, shard int) {
	t.Helper()
	_, err := b.store.CreateCompany(t.Context(), store.NewCompany{CompanyID: companyID, Shard: shard, PerMinute: 30, RateMax: 30})
	require.NoError(t, err)
}

// own takes the shard's lease for a new host.
func (b *bundle) own(t *testing.T, cfg actor.Config) {
	t.Helper()
	b.registry = prometheus.NewRegistry()
	b.fleet = actor.NewFleet(actor.Deps{
		Store: store.New(b.store.Pool(), b.keys.vault), Vault: b.keys.vault, Media: b.media, Dialer: b.script, Board: b.board,
		Registry: b.registry, Logger: slog.New(b.log), Budget: b.budget,
	}, cfg)
	require.NoError(t, b.fleet.Start(t.Context()))
	b.fence = b.lease(t, shardNo)
	require.NoError(t, b.fleet.OpenShard(t.Context(), b.fence))
	fleet := b.fleet
	t.Cleanup(func() { _ = fleet.Stop(context.Background()) })
}

// lease takes a shard's lease from whoever has it.
func (b *bundle) lease(t *testing.T, shard int) store.Fence {
	t.Helper()
	var term uuid.UUID
	err := b.store.Pool().QueryRow(t.Context(), `UPDATE shard_lease SET host_id = $2, term = gen_random_uuid(), epoch = epoch + 1,
		expires_at = now() + interval '1 hour' WHERE shard = $1 RETURNING term`, shard, t.Name()).Scan(&term)
	require.NoError(t, err)
	return store.Fence{Shard: shard, Term: term, HostID: "host-" + term.String()[:4]}
}

// want declares a desired state, as the API does.
func (b *bundle) want(t *testing.T, desired session.Desired, change ...func(p *db.SetDesiredParams)) {
	t.Helper()
	b.declare(t, company, desired, change...)
	b.fleet.Reconcile(t.Context(), company)
}

// declare is want without the nudge, which may get lost.
func (b *bundle) declare(t *testing.T, companyID string, desired session.Desired, change ...func(p *db.SetDesiredParams)) {
	t.Helper()
	p := db.SetDesiredParams{CompanyID: companyID, DesiredState: string(desired)}
	for _, c := range change {
		c(&p)
	}
	_, err := b.store.Queries().SetDesired(t.Context(), b.store.Pool(), p)
	require.NoError(t, err)
}

// online pairs the company and logs it in.
func (b *bundle) online(t *testing.T) *conn {
	t.Helper()
	b.want(t, session.DesiredRunning)
	c := b.AwaitDial(t)
	c.Signal(actor.Signal{Then: actor.ShowQR, Codes: []string{"qr-1", "qr-2", "qr-3", "qr-4"}})
	require.NoError(t, c.Bind(t.Context(), ownJID, "1001@lid"))
	c.Signal(actor.Signal{JID: ownJID, LID: "1001@lid"})
	c.Signal(actor.Signal{Then: actor.Redial})
	c = b.AwaitDial(t)
	c.Signal(connected())
	c.Signal(actor.Signal{Then: actor.Settle})
	b.awaitState(t, session.Connected)
	return c
}

func connected() actor.Signal {
	return actor.Signal{State: session.Connected, Event: webhook.SessionConnected, Then: actor.Drain, JID: ownJID, LID: "1001@lid", Name: "Salon"}
}

func lost() actor.Signal {
	return actor.Signal{State: session.Reconnecting, Reason: "connection_lost", Event: webhook.SessionDisconnected, Then: actor.Retry}
}

func (b *bundle) session(t *testing.T) db.WhatsappSession {
	t.Helper()
	return b.sessionOf(t, company)
}

func (b *bundle) sessionOf(t *testing.T, companyID string) db.WhatsappSession {
	t.Helper()
	row, err := b.store.Queries().GetSession(t.Context(), b.store.Pool(), companyID)
	require.NoError(t, err)
	return row
}

// stored counts the sessions in Postgres by state, leaving out states that none is in.
func (b *bundle) stored(t *testing.T) map[string]int {
	t.Helper()
	rows, err := b.store.Queries().CountSessions(t.Context(), b.store.Pool(), nil)
	require.NoError(t, err)
	counts := make(map[string]int)
	for _, row := range rows {
		counts[row.State] = int(row.Sessions)
	}
	return counts
}

// seen counts the sessions as the actors see them: the gauge of the latest host.
func (b *bundle) seen(t *testing.T) map[string]int {
	t.Helper()
	return b.metric(t, "wafleet_sessions")
}

// connects counts the connects of the latest host by how they ended.
func (b *bundle) connects(t *testing.T) map[string]int {
	t.Helper()
	return b.metric(t, "wafleet_connects_total")
}

// metric reads a metric with one label, leaving out what is zero.
func (b *bundle) metric(t *testing.T, name string) map[string]int {
	t.Helper()
	families, err := b.registry.Gather()
	require.NoError(t, err)
	counts := make(map[string]int)
	for _, family := range families {
		if family.GetName() != name {
			continue
		}
		for _, m := range family.GetMetric() {
			if n := int(m.GetGauge().GetValue() + m.GetCounter().GetValue()); n != 0 {
				counts[m.GetLabel()[0].GetValue()] = n
			}
		}
	}
	return counts
}

func (b *bundle) awaitState(t *testing.T, want session.State) db.WhatsappSession {
	t.Helper()
	var row db.WhatsappSession
	require.Eventually(t, func() bool {
		row = b.session(t)
		return row.State == string(want)
	}, await, 2*time.Millisecond, "state %s", want)
	return row
}

// accept writes a send into the outbox, as API and ingester do, and returns its id.
func (b *bundle) accept(t *testing.T, phone, text string) string {
	t.Helper()
	id := b.newID()
	b.queue(t, id, phone, text)
	b.fleet.Kick(company)
	return id
}

func (b *bundle) newID() string {
	b.sends++
	return fmt.Sprintf("3EB0%018d", b.sends)
}

// queue is accept without the kick.
func (b *bundle) queue(t *testing.T, id, phone, text string) {
	t.Helper()
	b.queueFor(t, company, id, phone, text)
}

func (b *bundle) queueFor(t *testing.T, company, id, phone, text string, change ...func(p *db.AcceptMessageParams)) {
	t.Helper()
	b.queueContent(t, company, id, phone, message.Content{Kind: message.Text, Text: text}, change...)
}

func (b *bundle) queueContent(t *testing.T, company, id, phone string, content message.Content, change ...func(p *db.AcceptMessageParams)) {
	t.Helper()
	ctx, q, pool := t.Context(), b.store.Queries(), b.store.Pool()
	hash, err := content.Hash(phone, nil)
	require.NoError(t, err)
	p := db.AcceptMessageParams{
		CompanyID: company, Phone: phone, MessageID: id, Shard: shardNo, Kind: string(message.Text), Chat: phone, BodyHash: hash,
	}
	for _, c := range change {
		c(&p)
	}
	_, err = q.AcceptMessage(ctx, pool, p)
	require.NoError(t, err)
	plain, err := content.Encode()
	require.NoError(t, err)
	body, err := b.vault.Seal(ctx, company, message.BodyContext(id), plain)
	require.NoError(t, err)
	queued, err := b.store.QueueAll(ctx, pool, []db.QueueMessageParams{{CompanyID: company, MessageID: id, Body: body, HostID: "h"}})
	require.NoError(t, err)
	require.Len(t, queued, 1)
}

func (b *bundle) message(t *testing.T, id string) db.Message {
	t.Helper()
	row, err := b.store.Queries().GetMessage(t.Context(), b.store.Pool(), db.GetMessageParams{CompanyID: company, MessageID: id})
	require.NoError(t, err)
	return row
}

func (b *bundle) awaitStatus(t *testing.T, id string, want message.Status) db.Message {
	t.Helper()
	var row db.Message
	require.Eventually(t, func() bool {
		row = b.message(t, id)
		return row.Status == string(want)
	}, await, 2*time.Millisecond, "status %s of %s; it has %v", want, id, later(func() string { return string(row.Trace) }))
	return row
}

// later is a text that is made when a test has failed.
type later func() string

func (l later) String() string { return l() }

// events lists the types of the company's events in their order.
func (b *bundle) events(t *testing.T) []string {
	t.Helper()
	rows, err := b.store.Queries().ListEvents(t.Context(), b.store.Pool(), db.ListEventsParams{CompanyID: company, PageSize: 1000})
	require.NoError(t, err)
	types := make([]string, len(rows))
	for i := range rows {
		types[i] = rows[i].Type
		require.EqualValues(t, i+1, rows[i].Seq)
	}
	return types
}
