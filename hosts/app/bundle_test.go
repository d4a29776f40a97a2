package app_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"sync/atomic"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"wafleet/hosts/app"
	"wafleet/infra/wasim"
	"wafleet/shared/company"
	"wafleet/shared/config"
	"wafleet/shared/message"
	"wafleet/shared/queue"
	"wafleet/shared/queue/pgqueue"
	"wafleet/shared/rpc"
	"wafleet/shared/session"
	"wafleet/shared/store"
	"wafleet/shared/store/db"
	"wafleet/shared/store/pgtest"
	"wafleet/shared/vault"
)

const (
	shards = 4
	await  = 30 * time.Second
)

// numbers keeps the accounts of parallel tests apart.
var numbers atomic.Int64

func newNumber() string { return fmt.Sprintf("7900%07d", numbers.Add(1)) }

// remoteQueue is a queue that is not in the hosts' database, as SQS is: sends have to be taken over from it.
type remoteQueue struct{ queue.Queue }

// installation is everything but the hosts: database, queue, Redis.
type installation struct {
	url   string
	store *store.Store
	vault *vault.Vault
	redis redis.UniversalClient
	queue *pgqueue.Queue
	ids   message.IDs
}

func newInstallation(t *testing.T) *installation {
	t.Helper()
	pool := pgtest.New(t, pgtest.MaxConns(20))
	local, err := vault.NewLocal(bytes.Repeat([]byte{1}, vault.KeySize))
	require.NoError(t, err)
	in := &installation{url: pool.Config().ConnString(), vault: vault.New(local, store.NewKeyring(pool))}
	in.store = store.New(pool, in.vault)
	client := redis.NewClient(&redis.Options{Addr: miniredis.RunT(t).Addr()})
	t.Cleanup(func() { _ = client.Close() })
	in.redis = client
	row, err := store.EnsureInstallation(t.Context(), pool, shards)
	require.NoError(t, err)
	in.ids = message.NewIDs(row.IDSecret)
	in.queue, err = pgqueue.New(pool, queue.Definitions(shards), slog.New(slog.DiscardHandler), pgqueue.Config{})
	require.NoError(t, err)
	require.NoError(t, in.queue.Start(t.Context()))
	t.Cleanup(func() { _ = in.queue.Stop(context.Background()) })
	return in
}

// host starts a connection host that takes all shards.
func (in *installation) host(t *testing.T) *app.App {
	t.Helper()
	root := whatsapp.NoiseRoot()
	sessions, err := config.Load[config.Sessions]([]string{"RECONNECT_DELAY=50", "CONNECT_RATE=0", "HEALTH_CHECK_INTERVAL=2s"})
	require.NoError(t, err)
	h, err := app.New(t.Context(), app.Deps{
		Pool: in.store.Pool(), Redis: in.redis, Queue: remoteQueue{in.queue}, Vault: in.vault,
		Registry: prometheus.NewRegistry(), Logger: slog.New(slog.NewTextHandler(testLog{t}, &slog.HandlerOptions{Level: slog.LevelInfo})),
	}, app.Config{
		HostID: "host-" + uuid.NewString()[:8], Sessions: sessions, PeerListen: "127.0.0.1:0",
		WhatsApp: app.WhatsApp{Endpoint: whatsapp.Endpoint(), RootCA: whatsapp.RootCA(), NoiseRoot: &root},
	})
	require.NoError(t, err)
	require.NoError(t, h.Start(t.Context()))
	t.Cleanup(func() { _ = h.Stop(context.Background()) })
	return h
}

// testLog shows a host's log when the test fails.
type testLog struct{ t *testing.T }

var _ io.Writer = testLog{}

func (l testLog) Write(line []byte) (int, error) {
	l.t.Log(string(bytes.TrimSpace(line)))
	return len(line), nil
}

// tenant is a company with the number it pairs.
type tenant struct {
	*installation
	id, number string
}

func (in *installation) company(t *testing.T, id string) *tenant {
	t.Helper()
	_, err := in.store.CreateCompany(t.Context(), store.NewCompany{
		CompanyID: id, Shard: company.Shard(id, shards), PerMinute: 30, RateMax: 30,
	})
	require.NoError(t, err)
	c := &tenant{installation: in, id: id, number: newNumber()}
	_, err = whatsapp.AddPhone(t.Context(), wasim.NewPhone{Phone: c.number, Name: id})
	require.NoError(t, err)
	return c
}

func newPhone(t *testing.T, p wasim.NewPhone) string {
	t.Helper()
	p.Phone = newNumber()
	_, err := whatsapp.AddPhone(t.Context(), p)
	require.NoError(t, err)
	return p.Phone
}

// want declares what the session should be, as the API does.
func (c *tenant) want(t *testing.T, p db.SetDesiredParams) {
	t.Helper()
	p.CompanyID = c.id
	_, err := c.store.Queries().SetDesired(t.Context(), c.store.Pool(), p)
	require.NoError(t, err)
	// A nudge has 50 ms, which a loaded machine may not give it.
	require.Eventually(t, func() bool { return rpc.NewBoard(c.redis).Nudge(t.Context(), c.id) == nil }, await, time.Millisecond)
}

// pair links the company by QR and waits until it is online.
func (c *tenant) pair(t *testing.T) {
	t.Helper()
	c.want(t, db.SetDesiredParams{DesiredState: string(session.DesiredRunning)})
	board := rpc.NewBoard(c.redis)
	var qr rpc.QR
	require.Eventually(t, func() (ok bool) {
		var err error
		qr, err = board.QR(t.Context(), c.id)
		return err == nil
	}, await, 10*time.Millisecond, "no QR")
	_, err := whatsapp.Scan(t.Context(), c.number, qr.Code)
	require.NoError(t, err)
	c.awaitState(t, session.Connected)
}

func (c *tenant) awaitState(t *testing.T, want session.State) db.WhatsappSession {
	t.Helper()
	var row db.WhatsappSession
	require.Eventually(t, func() bool {
		var err error
		row, err = c.store.Queries().GetSession(t.Context(), c.store.Pool(), c.id)
		return err == nil && row.State == string(want)
	}, await, 10*time.Millisecond, "state %s", want)
	return row
}

// send does what the API does: row, queue, mark.
func (c *tenant) send(t *testing.T, to, text string) string {
	t.Helper()
	ctx, q, pool := t.Context(), c.store.Queries(), c.store.Pool()
	id, content, n := c.ids.New(c.id), message.Content{Kind: message.Text, Text: text}, company.Shard(c.id, shards)
	hash, err := content.Hash(to, nil)
	require.NoError(t, err)
	_, err = q.AcceptMessage(ctx, pool, db.AcceptMessageParams{
		CompanyID: c.id, Phone: to, MessageID: id, Shard: n, Kind: string(message.Text), Chat: to, BodyHash: hash,
	})
	require.NoError(t, err)
	plain, err := content.Encode()
	require.NoError(t, err)
	sealed, err := c.vault.Seal(ctx, c.id, message.BodyContext(id), plain)
	require.NoError(t, err)
	body, err := message.Envelope{CompanyID: c.id, MessageID: id, Body: sealed}.Encode()
	require.NoError(t, err)
	require.NoError(t, c.queue.Send(ctx, queue.Sends(n), queue.Message{Group: c.id, DedupID: id, Body: body}))
	require.NoError(t, q.MarkEnqueued(ctx, pool, db.MarkEnqueuedParams{CompanyID: c.id, MessageID: id}))
	return id
}

func (c *tenant) awaitStatus(t *testing.T, id string, want message.Status) db.Message {
	t.Helper()
	var row db.Message
	require.Eventually(t, func() bool {
		var err error
		row, err = c.store.Queries().GetMessage(t.Context(), c.store.Pool(), db.GetMessageParams{CompanyID: c.id, MessageID: id})
		return err == nil && row.Status == string(want)
	}, await, 10*time.Millisecond, "status %s", want)
	return row
}

// received returns the incoming messages that the company's event log tells of.
func (c *tenant) received(t *testing.T) []message.Incoming {
	t.Helper()
	rows, err := c.store.Queries().ListEvents(t.Context(), c.store.Pool(), db.ListEventsParams{CompanyID: c.id, PageSize: 500})
	require.NoError(t, err)
	var all []message.Incoming
	for _, row := range rows {
		if row.Type != message.Received.EventType() {
			continue
		}
		data, err := c.vault.Open(t.Context(), c.id, store.EventContext(row.ID), row.Data)
		require.NoError(t, err)
		var in message.Incoming
		require.NoError(t, json.Unmarshal(data, &in))
		all = append(all, in)
	}
	return all
}
