package main

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"wafleet/infra/wasim"
	"wafleet/shared/store"
	"wafleet/shared/store/pgtest"
)

// await is how long a test waits for what must happen.
const await = 30 * time.Second

// whatsapp stands in for WhatsApp: whatsmeow's trust in a server is a global of the process, so there is one.
var whatsapp *wasim.Server

func TestMain(m *testing.M) { os.Exit(testMain(m)) }

func testMain(m *testing.M) int {
	ctx := context.Background()
	var err error
	if whatsapp, err = wasim.New(wasim.Options{}); err == nil {
		err = whatsapp.Start(ctx)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "start simulator:", err)
		return 1
	}
	code := m.Run()
	err = whatsapp.Stop(ctx)
	if leak := goleak.Find(); err == nil {
		err = leak
	}
	if err != nil && code == 0 {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return code
}

// settings is a complete environment, which a test changes.
type settings map[string]string

func complete(t *testing.T) settings {
	t.Helper()
	database := pgtest.URL(t)
	pool, err := pgxpool.New(t.Context(), database)
	require.NoError(t, err)
	defer pool.Close()
	_, err = store.EnsureInstallation(t.Context(), pool, 4)
	require.NoError(t, err)
	ca := filepath.Join(t.TempDir(), "ca.pem")
	require.NoError(t, os.WriteFile(ca, whatsapp.RootCA(), 0o600))
	root := whatsapp.NoiseRoot()
	return settings{
		"WAFLEET_ENV": "dev", "HOST_ID": "host-of-test", "HOST_LISTEN": "127.0.0.1:0", "QUEUE": "postgres",
		"DATABASE_URL": database, "REDIS_URL": "redis://" + miniredis.RunT(t).Addr(), "MASTER_KEY": strings.Repeat("ab", 32),
		"WHATSAPP_ENDPOINT": whatsapp.Endpoint(), "WHATSAPP_ROOT_CA": ca, "WHATSAPP_NOISE_ROOT": hex.EncodeToString(root[:]),
	}
}

func (s settings) with(name, value string) settings {
	changed := maps.Clone(s)
	changed[name] = value
	return changed
}

func (s settings) environ() []string {
	environ := make([]string, 0, len(s))
	for k, v := range s {
		environ = append(environ, k+"="+v)
	}
	return environ
}

// output is what a host writes, to be read while it runs.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// process is a host that runs in this one.
type process struct {
	signals chan os.Signal
	said    *output
	code    chan int
}

func start(environ []string) *process {
	p := &process{signals: make(chan os.Signal, 2), said: &output{}, code: make(chan int, 1)}
	go func() { p.code <- run(context.Background(), environ, p.signals, p.said) }()
	return p
}

// ends waits for the exit code.
func (p *process) ends(t *testing.T) int {
	t.Helper()
	select {
	case code := <-p.code:
		return code
	case <-time.After(await):
		require.FailNow(t, "the host does not end", p.said.String())
		return -1
	}
}

var listening = regexp.MustCompile(`"msg":"listening","host_id":"host-of-test","address":"([^"]+)"`)

// address waits until the host answers and returns where.
func (p *process) address(t *testing.T) string {
	t.Helper()
	var found []string
	require.Eventually(t, func() bool {
		found = listening.FindStringSubmatch(p.said.String())
		return found != nil || len(p.code) > 0
	}, await, time.Millisecond)
	require.NotNil(t, found, p.said.String())
	return "http://" + found[1]
}

func get(t *testing.T, url string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	require.NoError(t, err)
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	res, err := client.Do(req)
	require.NoError(t, err)
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	return res.StatusCode, string(body)
}

// A host comes up, takes its shards, says how it is, and drains at the first signal.
func TestAHostComesAndGoes(t *testing.T) {
	t.Parallel()
	env := complete(t)
	p := start(env.environ())
	address := p.address(t)
	status, _ := get(t, address+"/health")
	require.Equal(t, http.StatusOK, status)
	status, metrics := get(t, address+"/metrics")
	require.Equal(t, http.StatusOK, status)
	for _, name := range []string{`wafleet_sessions{state="connected"} 0`, "wafleet_send_duration_seconds", "go_goroutines", "process_"} {
		require.Contains(t, metrics, name)
	}
	status, _ = get(t, address+"/")
	require.Equal(t, http.StatusNotFound, status)

	pool, err := pgxpool.New(t.Context(), env["DATABASE_URL"])
	require.NoError(t, err)
	defer pool.Close()
	held := func() (n int) {
		err := pool.QueryRow(t.Context(), `SELECT count(*) FROM shard_lease WHERE host_id = 'host-of-test' AND expires_at > now()`).Scan(&n)
		require.NoError(t, err)
		return n
	}
	require.Eventually(t, func() bool { return held() == 4 }, await, 10*time.Millisecond)
	p.signals <- syscall.SIGTERM
	require.Zero(t, p.ends(t), p.said.String())
	require.Zero(t, held(), "the leases are free for others")
	for line := range strings.Lines(p.said.String()) {
		require.True(t, json.Valid([]byte(line)), line)
	}
	require.NotContains(t, p.said.String(), env["MASTER_KEY"])
	require.NotContains(t, p.said.String(), env["DATABASE_URL"])
}

// The database that goes away makes the host unhealthy, not dead.
func TestHealthFollowsTheDatabase(t *testing.T) {
	t.Parallel()
	h, err := open(t.Context(), complete(t).environ(), io.Discard)
	require.NoError(t, err)
	require.NoError(t, h.start(t.Context()))
	h.pool.Close()
	status, body := get(t, "http://"+h.listen+"/health")
	require.Equal(t, http.StatusServiceUnavailable, status)
	require.Equal(t, "database does not answer\n", body)
	ctx, cancel := context.WithTimeout(t.Context(), await)
	defer cancel()
	_ = h.stop(ctx) // what it cannot write it says
}

// Whoever has no patience sends the signal twice.
func TestTheSecondSignalEndsItAtOnce(t *testing.T) {
	t.Parallel()
	signals, code := make(chan os.Signal, 2), make(chan int, 1)
	stopping, release, ended := make(chan struct{}), make(chan struct{}), make(chan struct{})
	go func() {
		code <- drain(context.Background(), func(ctx context.Context) error {
			defer close(ended)
			close(stopping)
			<-release
			return ctx.Err()
		}, signals, slog.New(slog.DiscardHandler))
	}()
	<-stopping
	require.Empty(t, code, "it drains")
	signals <- syscall.SIGINT
	select {
	case got := <-code:
		require.Equal(t, 1, got)
	case <-time.After(await):
		require.FailNow(t, "it drains on")
	}
	close(release)
	<-ended
}

// A drain has a deadline and tells whether everything was let go.
func TestHowADrainCanEnd(t *testing.T) {
	t.Parallel()
	var said bytes.Buffer
	logger := slog.New(slog.NewTextHandler(&said, nil))
	require.Zero(t, drain(t.Context(), func(ctx context.Context) error {
		deadline, bounded := ctx.Deadline()
		require.True(t, bounded)
		require.WithinDuration(t, time.Now().Add(drainTimeout), deadline, time.Second)
		return nil
	}, nil, logger))
	require.Empty(t, said.String())
	require.Equal(t, 1, drain(t.Context(), func(context.Context) error { return errors.New("lease not released") }, nil, logger))
	require.Contains(t, said.String(), "lease not released")
}

// Each setting that cannot be right is named; the host does not start, and no secret is repeated.
func TestWrongSettings(t *testing.T) {
	t.Parallel()
	good := complete(t)
	missing := filepath.Join(t.TempDir(), "missing.pem")
	noPEM := filepath.Join(t.TempDir(), "ca.pem")
	require.NoError(t, os.WriteFile(noPEM, []byte("secret"), 0o600))
	for _, tc := range []struct{ setting, value, named string }{
		{"DATABASE_URL", "", "DATABASE_URL"},
		{"DATABASE_URL", "postgres://u:secret@127.0.0.1:port/x", "DATABASE_URL"},
		{"DATABASE_URL", "postgres://u:secret@127.0.0.1:1/x?connect_timeout=1", "check schema"},
		{"REDIS_URL", "", "REDIS_URL"},
		{"REDIS_URL", "http://u:secret@127.0.0.1", "REDIS_URL"},
		{"MASTER_KEY", "", "MASTER_KEY"},
		{"MASTER_KEY", "secret", "MASTER_KEY"},
		{"MASTER_KEY", strings.Repeat("ab", 31), "MASTER_KEY"},
		{"QUEUE", "kafka", "QUEUE"},
		{"WAFLEET_ENV", "test", "dev or production"},
		{"WAFLEET_ENV", "production", "WHATSAPP_ENDPOINT"},
		{"WHATSAPP_ROOT_CA", missing, "WHATSAPP_ROOT_CA"},
		{"WHATSAPP_ROOT_CA", noPEM, "not PEM"},
		{"WHATSAPP_NOISE_ROOT", "secret", "WHATSAPP_NOISE_ROOT"},
		{"MAX_RECONNECT_ATTEMPTS", "0", "MAX_RECONNECT_ATTEMPTS"},
		{"RECONNECT_DELAY", "-1", "RECONNECT_DELAY must be"},
		{"LOG_LEVEL", "loud", "LOG_LEVEL"},
		{"HOST_LISTEN", "nowhere:at:all", "HOST_LISTEN"},
	} {
		t.Run(tc.setting+"="+filepath.Base(tc.value), func(t *testing.T) {
			t.Parallel()
			p := start(good.with(tc.setting, tc.value).environ())
			require.Equal(t, 1, p.ends(t))
			require.Contains(t, p.said.String(), tc.named)
			if tc.setting != "LOG_LEVEL" {
				require.NotContains(t, p.said.String(), "secret")
			}
		})
	}
}

// A database that is older than the build is left alone.
func TestAnOldSchema(t *testing.T) {
	t.Parallel()
	env := complete(t)
	pool, err := pgxpool.New(t.Context(), env["DATABASE_URL"])
	require.NoError(t, err)
	defer pool.Close()
	_, err = pool.Exec(t.Context(), `DELETE FROM goose_db_version WHERE version_id > 0`)
	require.NoError(t, err)
	p := start(env.environ())
	require.Equal(t, 1, p.ends(t))
	require.Contains(t, p.said.String(), "run the migrations first")
}

// A port that somebody has already ends the start, with everything that was started.
func TestAPortThatIsTaken(t *testing.T) {
	t.Parallel()
	var taken net.ListenConfig
	listener, err := taken.Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { require.NoError(t, listener.Close()) }()
	p := start(complete(t).with("HOST_LISTEN", listener.Addr().String()).environ())
	require.Equal(t, 1, p.ends(t))
	require.Contains(t, p.said.String(), "HOST_LISTEN")
}

// Every start of a process is another host, unless somebody names it.
func TestAHostHasAName(t *testing.T) {
	t.Parallel()
	env := complete(t).with("HOST_ID", "")
	var names []string
	for range 2 {
		h, err := open(t.Context(), env.environ(), io.Discard)
		require.NoError(t, err)
		require.Regexp(t, `^host-[a-z0-9]{10}$`, h.cfg.HostID)
		names = append(names, h.cfg.HostID)
		require.NoError(t, h.start(t.Context()))
		require.NoError(t, h.stop(t.Context()))
	}
	require.NotEqual(t, names[0], names[1])
}

// A listener that fails later ends the host, in order.
func TestAListenerThatFails(t *testing.T) {
	t.Parallel()
	h, err := open(t.Context(), complete(t).environ(), io.Discard)
	require.NoError(t, err)
	require.NoError(t, h.start(t.Context()))
	require.NoError(t, h.server.Close())
	require.Empty(t, h.failed, "closing it is no failure")
	require.NoError(t, h.stop(t.Context()))
}
