package app_test

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"wafleet/functions/app"
	"wafleet/functions/internal/batch"
	contract "wafleet/shared/api"
	"wafleet/shared/queue"
	"wafleet/shared/queue/pgqueue"
	"wafleet/shared/store"
	"wafleet/shared/store/db"
	"wafleet/shared/store/pgtest"
	"wafleet/shared/vault"
	"wafleet/shared/webhook"
	"wafleet/shared/webhook/webhooktest"
)

const workersCompany = "962302"

// workersBundle is an installation with one company and running workers on the real queue.
type workersBundle struct {
	pool    *pgxpool.Pool
	store   *store.Store
	vault   *vault.Vault
	queue   *pgqueue.Queue
	workers *app.Workers
}

func startWorkers(t *testing.T, schedule string) *workersBundle {
	t.Helper()
	pool := pgtest.New(t, pgtest.MaxConns(8))
	local, err := vault.NewLocal(bytes.Repeat([]byte{7}, vault.KeySize))
	require.NoError(t, err)
	v := vault.New(local, store.NewKeyring(pool))
	logger := slog.New(slog.DiscardHandler)
	q, err := pgqueue.New(pool, queue.Definitions(1), logger, pgqueue.Config{LookEvery: 100 * time.Millisecond})
	require.NoError(t, err)
	b := &workersBundle{pool: pool, store: store.New(pool, v), vault: v, queue: q}
	_, err = b.store.CreateCompany(t.Context(), store.NewCompany{CompanyID: workersCompany, PerMinute: 30, RateMax: 30})
	require.NoError(t, err)
	steps, err := webhook.ParseSchedule(schedule)
	require.NoError(t, err)
	client := redis.NewClient(&redis.Options{Addr: miniredis.RunT(t).Addr(), ContextTimeoutEnabled: true})
	t.Cleanup(func() { require.NoError(t, client.Close()) })
	installation, err := store.EnsureInstallation(t.Context(), pool, 1)
	require.NoError(t, err)
	b.workers, err = app.NewWorkers(
		app.WorkersDeps{Store: b.store, Vault: v, Queue: q, Redis: client, Installation: installation, Logger: logger},
		app.WorkersConfig{Schedule: steps, Dev: true, LoopbackTargets: true, SweepEvery: 50 * time.Millisecond},
	)
	require.NoError(t, err)
	require.NoError(t, q.Start(t.Context()))
	require.NoError(t, b.workers.Start(t.Context()))
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), 30*time.Second)
		defer cancel()
		require.NoError(t, b.workers.Stop(ctx))
		require.NoError(t, q.Stop(ctx))
	})
	return b
}

// subscribe creates an endpoint and returns its secret.
func (b *workersBundle) subscribe(t *testing.T, url string) webhook.Secret {
	t.Helper()
	id, secret := "wh_"+uuid.NewString(), webhook.NewSecret()
	sealed, err := b.vault.Seal(t.Context(), workersCompany, webhook.SecretContext(id), []byte(secret))
	require.NoError(t, err)
	_, err = b.store.Queries().CreateEndpoint(t.Context(), b.pool, db.CreateEndpointParams{
		ID: id, CompanyID: workersCompany, URL: url, Events: []string{}, Secret: sealed,
	})
	require.NoError(t, err)
	return secret
}

// tell writes events, and enqueues their deliveries if fast.
func (b *workersBundle) tell(t *testing.T, events int, fast bool) {
	t.Helper()
	for range events {
		var deliveries []store.Delivery
		require.NoError(t, b.store.InTx(t.Context(), func(tx pgx.Tx) (err error) {
			deliveries, err = b.store.AppendEvent(t.Context(), tx, store.Event{
				CompanyID: workersCompany, Type: webhook.MessageSent, Data: struct{}{},
			})
			return err
		}))
		if fast {
			require.NoError(t, webhook.EnqueueDeliveries(t.Context(), b.queue, deliveries))
		}
	}
}

// awaitStates waits until so many deliveries are in the state.
func (b *workersBundle) awaitStates(t *testing.T, state string, want int) {
	t.Helper()
	require.Eventually(t, func() bool {
		var n int
		err := b.pool.QueryRow(t.Context(), `SELECT count(*) FROM webhook_deliveries WHERE state = $1`, state).Scan(&n)
		return err == nil && n == want
	}, 30*time.Second, 20*time.Millisecond)
}

func TestWorkersDeliver(t *testing.T) {
	t.Parallel()
	b := startWorkers(t, "0,1s")
	receiver := webhooktest.New(t)
	secret := b.subscribe(t, receiver.URL)
	b.tell(t, 40, true)
	for _, request := range receiver.Await(t, 40) {
		request.Verify(t, string(secret))
	}
	b.awaitStates(t, "delivered", 40)
	require.Len(t, receiver.Requests(), 40)
	require.LessOrEqual(t, receiver.MostOpen(), 4)
}

// The fast path lost everything; the sweeper finds it.
func TestWorkersFindWhatWasLost(t *testing.T) {
	t.Parallel()
	b := startWorkers(t, "0,1s")
	receiver := webhooktest.New(t)
	b.subscribe(t, receiver.URL)
	b.tell(t, 5, false)
	_, err := b.pool.Exec(t.Context(), `UPDATE webhook_deliveries SET next_attempt_at = now() - interval '10 seconds'`)
	require.NoError(t, err)
	b.awaitStates(t, "delivered", 5)
	require.Len(t, receiver.Requests(), 5)
}

func TestWorkersRetryOnSchedule(t *testing.T) {
	t.Parallel()
	b := startWorkers(t, "0,100ms,200ms,300ms")
	receiver := webhooktest.New(t)
	receiver.Answer(
		webhooktest.Answer{Status: http.StatusInternalServerError}, webhooktest.Answer{Status: http.StatusFound},
		webhooktest.Answer{Status: http.StatusOK},
	)
	b.subscribe(t, receiver.URL)
	b.tell(t, 1, true)
	b.awaitStates(t, "delivered", 1)
	ids := webhooktest.IDs(receiver.Requests())
	require.Equal(t, []string{ids[0], ids[0], ids[0]}, ids)
}

// An outage of the customer's: everything fails until it is over, then everything arrives, each event at least once.
func TestWorkersOutlastAnOutage(t *testing.T) {
	t.Parallel()
	b := startWorkers(t, "0,100ms,200ms,500ms,1s,1h,…")
	receiver := webhooktest.New(t)
	receiver.Answer(webhooktest.Answer{Status: http.StatusBadGateway})
	b.subscribe(t, receiver.URL)
	b.tell(t, 15, true)
	require.Eventually(t, func() bool {
		var failing bool
		err := b.pool.QueryRow(t.Context(), `SELECT probe_at IS NOT NULL FROM webhook_endpoints`).Scan(&failing)
		return err == nil && failing
	}, 30*time.Second, 20*time.Millisecond)
	during := len(receiver.Requests())
	receiver.Answer(webhooktest.Answer{})
	// Its time is five minutes away; here it comes at once.
	require.Eventually(t, func() bool {
		_, err := b.pool.Exec(t.Context(), `UPDATE webhook_endpoints SET probe_at = now() WHERE probe_at IS NOT NULL`)
		if err != nil {
			return false
		}
		b.tell(t, 1, true)
		return len(receiver.Requests()) > during
	}, 30*time.Second, 200*time.Millisecond)
	require.Eventually(t, func() bool {
		var waiting int
		err := b.pool.QueryRow(t.Context(), `SELECT count(*) FROM webhook_deliveries WHERE state = 'pending' AND parked`).Scan(&waiting)
		return err == nil && waiting == 0
	}, 30*time.Second, 20*time.Millisecond, "what was parked is called back")
}

func TestWorkersStopTwiceAndBeforeStart(t *testing.T) {
	t.Parallel()
	b := startWorkers(t, "0,1s")
	require.NoError(t, b.workers.Stop(t.Context()))
	require.NoError(t, b.workers.Stop(t.Context()))
	idle, err := app.NewWorkers(app.WorkersDeps{Store: b.store, Vault: b.vault, Queue: b.queue, Logger: slog.New(slog.DiscardHandler)}, app.WorkersConfig{})
	require.NoError(t, err)
	require.NoError(t, idle.Stop(t.Context()))
}

// From a stored batch to messages in the outbox, and to the webhook that tells of its end.
func TestWorkersFeedBatches(t *testing.T) {
	t.Parallel()
	b := startWorkers(t, "0,1s")
	receiver := webhooktest.New(t)
	b.subscribe(t, receiver.URL)
	_, err := batch.NewCreator(b.store, b.queue, slog.New(slog.DiscardHandler)).Create(t.Context(), batch.Request{
		CompanyID: workersCompany, Template: contract.BatchTemplate{Type: "text", Text: "hi"},
		Recipients: []json.RawMessage{json.RawMessage(`{"to":"79001234567"}`), json.RawMessage(`{"to":"79001234568"}`)},
	})
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		sent, err := b.pool.Exec(t.Context(), `UPDATE messages SET status = 'sent' WHERE status = 'queued' AND batch_row IN (1, 2)`)
		return err == nil && sent.RowsAffected() > 0
	}, 30*time.Second, 20*time.Millisecond)
	b.awaitStates(t, "delivered", 1)
	require.Contains(t, string(receiver.Await(t, 1)[0].Body), `"batch.completed"`)
}
