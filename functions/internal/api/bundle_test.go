package api_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"hash/fnv"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"wafleet/functions/internal/api"
	"wafleet/functions/internal/auth"
	"wafleet/shared/config"
	"wafleet/shared/media"
	"wafleet/shared/queue"
	"wafleet/shared/queue/pgqueue"
	"wafleet/shared/rpc"
	"wafleet/shared/session"
	"wafleet/shared/store"
	"wafleet/shared/store/db"
	"wafleet/shared/store/pgtest"
	"wafleet/shared/vault"
)

var update = flag.Bool("update", false, "write the golden files anew")

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// bundle is a whole API on a database, a queue and a Redis of its own.
type bundle struct {
	pool     *pgxpool.Pool
	store    *store.Store
	vault    *vault.Vault
	queue    *breakableQueue
	media    *media.Folder
	redis    *miniredis.Miniredis
	board    *rpc.Board
	registry *prometheus.Registry
	logs     *syncBuffer
	handler  http.Handler
	admin    string // key
}

// options change a bundle before it is made.
type options struct {
	config  config.API
	pool    []pgtest.Option
	handler []string // tags
	media   func(*media.Folder) media.Store
}

func setup(t *testing.T, change ...func(*options)) *bundle {
	t.Helper()
	o := options{config: testConfig(t)}
	for _, f := range change {
		f(&o)
	}
	b := &bundle{pool: pgtest.New(t, o.pool...), redis: miniredis.RunT(t), registry: prometheus.NewRegistry(), logs: &syncBuffer{}}
	installation, err := store.EnsureInstallation(t.Context(), b.pool, 4)
	require.NoError(t, err)

	local, err := vault.NewLocal(bytes.Repeat([]byte{7}, vault.KeySize))
	require.NoError(t, err)
	b.vault = vault.New(local, store.NewKeyring(b.pool))
	b.store = store.New(b.pool, b.vault)

	inPostgres, err := pgqueue.New(b.pool, queue.Definitions(4), slog.New(slog.DiscardHandler), pgqueue.Config{})
	require.NoError(t, err)
	b.queue = &breakableQueue{Queue: inPostgres}

	b.media, err = media.OpenFolder(t.TempDir())
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, b.media.Close()) })
	if o.media == nil {
		o.media = func(folder *media.Folder) media.Store { return folder }
	}

	client := redis.NewClient(&redis.Options{Addr: b.redis.Addr(), ContextTimeoutEnabled: true, MaxRetries: -1, DialTimeout: 50 * time.Millisecond})
	t.Cleanup(func() { require.NoError(t, client.Close()) })
	b.board = rpc.NewBoard(client)

	b.handler = api.New(api.Deps{
		Store: b.store, Vault: b.vault, Queue: b.queue, Media: o.media(b.media), Redis: client, Installation: installation, Config: o.config,
		Logger: slog.New(slog.NewJSONHandler(b.logs, &slog.HandlerOptions{Level: slog.LevelDebug})), Registry: b.registry,
	}).Handler(o.handler...)
	b.admin = b.key(t, nil, "admin")
	return b
}

func testConfig(t *testing.T) config.API {
	t.Helper()
	c, err := config.Load[config.API]([]string{"WAFLEET_ENV=dev"})
	require.NoError(t, err)
	return c
}

func withDefaultCompany(id string) func(*options) {
	return func(o *options) { o.config.DefaultCompany = id }
}

// likeAFunction talks to the database as a function behind a proxy does.
func likeAFunction(o *options) {
	o.pool = append(o.pool, pgtest.Configure(func(c *pgxpool.Config) {
		c.ConnConfig.DefaultQueryExecMode = pgx.QueryExecModeExec
	}))
}

// key stores a new API key and returns it.
func (b *bundle) key(t *testing.T, companyID *string, scopes ...string) string {
	t.Helper()
	key := auth.NewKey()
	require.NoError(t, db.New().CreateKey(t.Context(), b.pool, db.CreateKeyParams{
		ID: auth.NewKeyID(), CompanyID: companyID, Hash: auth.Hash(key), Scopes: scopes,
	}))
	return key
}

// company creates a company whose session is in this state.
func (b *bundle) company(t *testing.T, id string, state session.State) {
	t.Helper()
	_, err := b.store.CreateCompany(t.Context(), store.NewCompany{CompanyID: id, Shard: 1, PerMinute: 30, RateMax: 30})
	require.NoError(t, err)
	b.setState(t, id, state)
}

func (b *bundle) setState(t *testing.T, id string, state session.State) {
	t.Helper()
	desired := session.DesiredRunning
	if state == session.Created || state == session.Stopped {
		desired = session.DesiredStopped
	}
	var jid *string
	var connectedAt *time.Time
	switch state {
	case session.Connected, session.Reconnecting, session.Connecting:
		device := numberOf(id) + ":7@s.whatsapp.net"
		jid = &device
	default:
	}
	if state == session.Connected {
		at := time.Date(2025, 9, 19, 10, 30, 0, 0, time.UTC)
		connectedAt = &at
	}
	b.exec(t, `UPDATE whatsapp_sessions SET state = $2, status = $3, desired_state = $4, observed_generation = desired_generation,
		connected_at = $5, jid = $6, push_name = 'AI Admin Bot' WHERE company_id = $1`,
		id, string(state), state.Status(), string(desired), connectedAt, jid)
}

// numberOf is the phone number that a company's device is linked to; the predecessor's for its company.
func numberOf(companyID string) string {
	if companyID == "962302" {
		return "79686484488"
	}
	h := fnv.New32a()
	_, _ = h.Write([]byte(companyID))
	return fmt.Sprintf("79%09d", h.Sum32()%1_000_000_000)
}

func (b *bundle) exec(t *testing.T, sql string, args ...any) {
	t.Helper()
	_, err := b.pool.Exec(t.Context(), sql, args...)
	require.NoError(t, err)
}

func scan[T any](t *testing.T, b *bundle, sql string, args ...any) T {
	t.Helper()
	var value T
	require.NoError(t, b.pool.QueryRow(t.Context(), sql, args...).Scan(&value))
	return value
}

// answer is what came back.
type answer struct {
	*httptest.ResponseRecorder
	t *testing.T
}

// do sends a request; headers are pairs.
func (b *bundle) do(t *testing.T, method, path, key, body string, headers ...string) answer {
	t.Helper()
	return b.doWith(t, t.Context(), method, path, key, body, headers...)
}

func (b *bundle) doWith(t *testing.T, ctx context.Context, method, path, key, body string, headers ...string) answer { //nolint:revive // t first, as everywhere here
	t.Helper()
	var reader io.Reader
	if body != "" {
		reader = strings.NewReader(body)
	}
	if !strings.HasPrefix(path, "//") {
		path = "/api/whatsapp" + path
	} else {
		path = path[1:]
	}
	r := httptest.NewRequestWithContext(ctx, method, path, reader)
	if key != "" {
		r.Header.Set("Authorization", "Bearer "+key)
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	b.handler.ServeHTTP(w, r)
	return answer{w, t}
}

func (a answer) status(want int) answer {
	a.t.Helper()
	require.Equal(a.t, want, a.Code, a.Body.String())
	return a
}

// code asserts the error's code and returns the answer.
func (a answer) code(want string) answer {
	a.t.Helper()
	require.Equal(a.t, want, a.value("error", "code"), a.Body.String())
	return a
}

// value is what the body has at a path.
func (a answer) value(path ...string) any {
	a.t.Helper()
	var v any
	require.NoError(a.t, json.Unmarshal(a.Body.Bytes(), &v), a.Body.String())
	for _, name := range path {
		object, ok := v.(map[string]any)
		require.True(a.t, ok, "%s in %s", name, a.Body.String())
		v = object[name]
	}
	return v
}

// mustJSON is a value as JSON text.
func mustJSON(t *testing.T, v any) string {
	t.Helper()
	text, err := json.Marshal(v)
	require.NoError(t, err)
	return string(text)
}

var volatile = []struct {
	pattern *regexp.Regexp
	with    string
}{
	{regexp.MustCompile(`"3EB0[0-9A-F]{18}"`), `"<message id>"`},
	{regexp.MustCompile(`"req_[A-Z0-9]{26}"`), `"<request id>"`},
	{regexp.MustCompile(`"key_[0-9a-f]{32}"`), `"<key id>"`},
	{regexp.MustCompile(`"wf_[A-Za-z0-9_-]{43}"`), `"<key>"`},
	{regexp.MustCompile(`"med_[0-9a-f]{32}"`), `"<media id>"`},
	{regexp.MustCompile(`"wh_[0-9a-f]{32}"`), `"<webhook id>"`},
	{regexp.MustCompile(`"whsec_[A-Za-z0-9+/=]{44}"`), `"<secret>"`},
	{regexp.MustCompile(`"evt_[0-9a-f-]{36}"`), `"<event id>"`},
	{regexp.MustCompile(`"(createdAt|at|timestamp|expiresAt|sentAt)": "20[^"]*"`), `"$1": "<time>"`},
	{regexp.MustCompile(`"memoryUsage": "[0-9]+MB"`), `"memoryUsage": "<n>MB"`},
	{regexp.MustCompile(`"uptime": [0-9]+`), `"uptime": "<seconds>"`},
}

// golden compares status, headers and body with testdata/<name>.
func (a answer) golden(name string) answer {
	a.t.Helper()
	var got bytes.Buffer
	got.WriteString(http.StatusText(a.Code) + "\n")
	for _, h := range []string{"Content-Type", "Idempotent-Replayed", "Retry-After", "RateLimit-Policy", "Allow", "WWW-Authenticate"} {
		if v := a.Header().Get(h); v != "" {
			got.WriteString(h + ": " + v + "\n")
		}
	}
	got.WriteString("\n")
	require.NoError(a.t, json.Indent(&got, a.Body.Bytes(), "", "  "), a.Body.String())
	text := got.Bytes()
	for _, v := range volatile {
		text = v.pattern.ReplaceAll(text, []byte(v.with))
	}
	file := filepath.Join("testdata", name+".golden")
	if *update {
		require.NoError(a.t, os.WriteFile(file, text, 0o600))
	}
	want, err := os.ReadFile(file)
	require.NoError(a.t, err)
	require.Equal(a.t, string(want), string(text))
	return a
}

// loseDatabase lets no connection to the database live and no new one begin.
func (b *bundle) loseDatabase(t *testing.T) {
	t.Helper()
	config := b.pool.Config().ConnConfig.Copy()
	name := config.Database
	config.Database = "postgres"
	conn, err := pgx.ConnectConfig(t.Context(), config)
	require.NoError(t, err)
	for _, statement := range []string{
		`ALTER DATABASE ` + name + ` ALLOW_CONNECTIONS false`,
		`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '` + name + `'`,
	} {
		_, err := conn.Exec(t.Context(), statement)
		require.NoError(t, err)
	}
	require.NoError(t, conn.Close(t.Context()))
}

// queued takes every message out of the queue of shard 1, where the bundle's companies are.
func (b *bundle) queued(t *testing.T) []queue.Received {
	t.Helper()
	var all []queue.Received
	for {
		got, err := b.queue.Receive(t.Context(), queue.Sends(1), queue.MaxBatch, 0, time.Minute)
		require.NoError(t, err)
		if len(got) == 0 {
			return all
		}
		for _, m := range got {
			all = append(all, m)
			require.NoError(t, b.queue.Delete(t.Context(), queue.Sends(1), []string{m.Handle}))
		}
	}
}

// breakableQueue is a real queue behind a line that can be cut.
type breakableQueue struct {
	queue.Queue

	mu  sync.Mutex
	cut bool
}

var errCut = errors.Join(errors.New("line is cut"), queue.ErrUnavailable)

func (q *breakableQueue) setCut(cut bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.cut = cut
}

func (q *breakableQueue) isCut() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.cut
}

func (q *breakableQueue) Send(ctx context.Context, name string, m queue.Message) error {
	if q.isCut() {
		return errCut
	}
	return q.Queue.Send(ctx, name, m)
}

func (q *breakableQueue) Extend(ctx context.Context, name string, handles []string, visibility time.Duration) error {
	if q.isCut() {
		return errCut
	}
	return q.Queue.Extend(ctx, name, handles, visibility)
}

// syncBuffer is a log that may be read while it is written.
type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}
