package feed_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"wafleet/functions/internal/batch"
	"wafleet/functions/internal/feed"
	contract "wafleet/shared/api"
	"wafleet/shared/message"
	"wafleet/shared/queue"
	"wafleet/shared/queue/pgqueue"
	"wafleet/shared/store"
	"wafleet/shared/store/pgtest"
	"wafleet/shared/vault"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const company = "962302"

// bundle is an installation with one company, and a feeder on the real queue.
type bundle struct {
	pool     *pgxpool.Pool
	store    *store.Store
	vault    *vault.Vault
	queue    *pgqueue.Queue
	nudges   *nudges
	registry *prometheus.Registry
	creator  *batch.Creator
	feeder   *feed.Feeder
	ids      message.IDs
}

func setup(t *testing.T) *bundle {
	t.Helper()
	// As functions talk to a database behind a proxy.
	pool := pgtest.New(t, pgtest.MaxConns(8), pgtest.Configure(func(c *pgxpool.Config) { c.ConnConfig.DefaultQueryExecMode = pgx.QueryExecModeExec }))
	local, err := vault.NewLocal(bytes.Repeat([]byte{7}, vault.KeySize))
	require.NoError(t, err)
	installation, err := store.EnsureInstallation(t.Context(), pool, 1)
	require.NoError(t, err)
	b := &bundle{
		pool: pool, vault: vault.New(local, store.NewKeyring(pool)), nudges: &nudges{}, registry: prometheus.NewRegistry(),
		ids: message.NewIDs(installation.IDSecret),
	}
	b.store = store.New(pool, b.vault)
	logger := slog.New(slog.DiscardHandler)
	b.queue, err = pgqueue.New(pool, queue.Definitions(1), logger, pgqueue.Config{LookEvery: 100 * time.Millisecond})
	require.NoError(t, err)
	b.creator = batch.NewCreator(b.store, b.queue, logger)
	b.feeder, err = feed.New(feed.Deps{
		Store: b.store, Vault: b.vault, Queue: b.queue, Nudger: b.nudges, IDs: b.ids, Logger: logger, Metrics: b.registry,
	})
	require.NoError(t, err)
	b.company(t, company)
	return b
}

func (b *bundle) company(t *testing.T, id string) {
	t.Helper()
	_, err := b.store.CreateCompany(t.Context(), store.NewCompany{CompanyID: id, PerMinute: 30, RateMax: 30})
	require.NoError(t, err)
}

// create makes a batch of so many recipients and returns its id.
func (b *bundle) create(t *testing.T, companyID string, rows int) string {
	t.Helper()
	created, err := b.creator.Create(t.Context(), batch.Request{
		CompanyID: companyID, Template: contract.BatchTemplate{Type: "text", Text: "Hi {{name}}"}, Recipients: recipients(rows),
	})
	require.NoError(t, err)
	return created.Batch.BatchID
}

func recipients(rows int) []json.RawMessage {
	all := make([]json.RawMessage, rows)
	for i := range all {
		all[i] = json.RawMessage(fmt.Sprintf(`{"to":"7900%07d","fields":{"name":"nr %d"}}`, i+1, i+1))
	}
	return all
}

func (b *bundle) job(t *testing.T, companyID, batchID string) []byte {
	t.Helper()
	body, err := json.Marshal(batch.Job{CompanyID: companyID, BatchID: batchID})
	require.NoError(t, err)
	return body
}

// cancel ends a batch, without a job.
func (b *bundle) cancel(t *testing.T, batchID string) {
	t.Helper()
	b.exec(t, `UPDATE batches SET status = 'canceled' WHERE batch_id = $1`, batchID)
}

func (b *bundle) exec(t *testing.T, statement string, args ...any) {
	t.Helper()
	_, err := b.pool.Exec(t.Context(), statement, args...)
	require.NoError(t, err)
}

func (b *bundle) count(t *testing.T, statement string, args ...any) (n int) {
	t.Helper()
	require.NoError(t, b.pool.QueryRow(t.Context(), statement, args...).Scan(&n))
	return n
}

// metric is the value of one series.
func (b *bundle) metric(t *testing.T, name, label string) int {
	t.Helper()
	families, err := b.registry.Gather()
	require.NoError(t, err)
	for _, family := range families {
		for _, m := range family.GetMetric() {
			if family.GetName() == name && m.GetLabel()[0].GetValue() == label {
				return int(m.GetCounter().GetValue())
			}
		}
	}
	return 0
}

// nudges are the companies whose owners were woken.
type nudges struct {
	mu  sync.Mutex
	all []string
}

func (n *nudges) NudgeOutbox(_ context.Context, companyID string) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.all = append(n.all, companyID)
	return nil
}

func (n *nudges) count() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return len(n.all)
}
