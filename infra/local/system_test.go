package local

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"wafleet/infra/local/devenv"
	"wafleet/shared/config"
	"wafleet/shared/store"
	"wafleet/shared/store/pgtest"
	"wafleet/shared/vault"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// stopTimeout is more than a system without work needs.
const stopTimeout = 20 * time.Second

// settings are those of a system on any free ports and on the test's own database.
func settings(t *testing.T, environ ...string) config.Serve {
	t.Helper()
	s, err := Settings(append([]string{
		"WAFLEET_ENV=dev", "PORT=0", "WASIM_PORT=0", "SHARDS=4", "DATA=" + filepath.Join(t.TempDir(), "data"),
	}, environ...))
	require.NoError(t, err)
	return s
}

func newSystem(t *testing.T, s config.Serve) (*System, *strings.Builder) {
	t.Helper()
	var out strings.Builder
	log := slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn}))
	return New(Options{Settings: s, Executable: os.Args[0], Version: "test", Out: &out, Log: os.Stderr, Logger: log}), &out
}

func stop(t *testing.T, s *System) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), stopTimeout)
	defer cancel()
	require.NoError(t, s.Stop(ctx))
}

func get(t *testing.T, url, key string) int {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	require.NoError(t, err)
	request.Close = true
	if key != "" {
		request.Header.Set("X-API-Key", key)
	}
	response, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	require.NoError(t, response.Body.Close())
	return response.StatusCode
}

// The life of an installation: one system at a time, because whatsmeow keeps what it trusts in a global.
func TestSystem(t *testing.T) { //nolint:paralleltest // see above
	s := settings(t, "DATABASE_URL="+pgtest.URL(t))
	first, out := newSystem(t, s)
	require.NoError(t, first.Start(t.Context()))
	file, err := devenv.Read(filepath.Join(s.Data, "dev.env"))
	require.NoError(t, err)
	url, key := file.Get("WAFLEET_URL"), file.Get("WAFLEET_API_KEY")

	require.Contains(t, out.String(), "wafleet is ready on "+url)
	require.NotContains(t, out.String(), key)
	require.Equal(t, http.StatusOK, get(t, url+healthPath, ""))
	require.Equal(t, http.StatusOK, get(t, url+"/api/whatsapp/sessions", key))
	require.Equal(t, http.StatusUnauthorized, get(t, url+"/api/whatsapp/sessions", ""))
	require.Equal(t, http.StatusOK, get(t, file.Get("WASIM_URL")+"/stats", ""))
	require.Equal(t, s.DatabaseURL, file.Get("DATABASE_URL"))
	require.False(t, file.Own("DATABASE_URL", s.DatabaseURL), "the environment gave it")
	require.Len(t, file.Get("WHATSAPP_NOISE_ROOT"), 64)
	require.FileExists(t, file.Get("WHATSAPP_ROOT_CA"))

	rival, _ := newSystem(t, s)
	require.ErrorContains(t, rival.Start(t.Context()), "running on")

	stop(t, first)
	stop(t, first)
	require.NoFileExists(t, filepath.Join(s.Data, "wafleet.pid"))
	_, err = new(net.Dialer).DialContext(t.Context(), "tcp", strings.TrimPrefix(url, "http://"))
	require.Error(t, err, "the port is free again")

	second, _ := newSystem(t, s)
	require.NoError(t, second.Start(t.Context()))
	again, err := devenv.Read(filepath.Join(s.Data, "dev.env"))
	require.NoError(t, err)
	require.Equal(t, key, again.Get("WAFLEET_API_KEY"), "the key is kept")
	require.Equal(t, file.Get("WHATSAPP_ENDPOINT"), again.Get("WHATSAPP_ENDPOINT"), "and where the simulator is")
	require.Equal(t, http.StatusOK, get(t, again.Get("WAFLEET_URL")+"/api/whatsapp/sessions", key))
	stop(t, second)
}

func TestAFailedStartLeavesNothing(t *testing.T) {
	t.Parallel()
	taken, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { require.NoError(t, taken.Close()) }()
	_, port, err := net.SplitHostPort(taken.Addr().String())
	require.NoError(t, err)

	for want, environ := range map[string][]string{
		"port " + port + " is taken by another program: end that, or choose another port with PORT=":       {"PORT=" + port},
		"port " + port + " is taken by another program: end that, or choose another port with WASIM_PORT=": {"WASIM_PORT=" + port},
		"SHARDS=8: this installation has 4 shards":                                                         {"SHARDS=8", "DATABASE_URL=" + withShards(t, 4)},
		"parse database url":                     {"DATABASE_URL=nonsense"},
		"connect to redis: dial tcp 127.0.0.1:1": {"REDIS_URL=redis://127.0.0.1:1", "DATABASE_URL=" + pgtest.URL(t)},
		"read WHATSAPP_ROOT_CA": {
			"WHATSAPP_ENDPOINT=127.0.0.1:1", "WHATSAPP_ROOT_CA=/nowhere.pem", "WHATSAPP_NOISE_ROOT=" + strings.Repeat("0", 64),
		},
		"needs the program connhost beside this one": {"HOSTS=2", "DATABASE_URL=" + pgtest.URL(t)},
	} {
		s := settings(t, environ...)
		system, out := newSystem(t, s)
		err := system.Start(t.Context())
		require.ErrorContains(t, err, want)
		require.Empty(t, out.String())
		require.NoFileExists(t, filepath.Join(s.Data, "wafleet.pid"))
		require.NoFileExists(t, filepath.Join(s.Data, "dev.env"))
		require.NoDirExists(t, filepath.Join(s.Data, "pg"))
		stop(t, system)
	}
}

// withShards returns a database whose installation has that many shards.
func withShards(t *testing.T, shards int) string {
	t.Helper()
	url := pgtest.URL(t)
	conn, err := pgx.Connect(t.Context(), url)
	require.NoError(t, err)
	defer func() { require.NoError(t, conn.Close(t.Context())) }()
	_, err = conn.Exec(t.Context(), `INSERT INTO installation (shards, id_secret) VALUES ($1, decode(repeat('00', 32), 'hex'))`, shards)
	require.NoError(t, err)
	return url
}

// A second master key would make what is sealed from now on unreadable for the first one, and the other way round.
func TestAnotherMasterKeyIsRefused(t *testing.T) {
	t.Parallel()
	url := pgtest.URL(t)
	s := settings(t, "DATABASE_URL="+url, "MASTER_KEY="+strings.Repeat("ab", 32))
	system, _ := newSystem(t, s)
	system.masterKey = []byte(strings.Repeat("k", vault.KeySize))
	require.NoError(t, system.startDatabase(t.Context()), "an empty database takes any key")
	_, err := store.New(system.pool, system.vault).CreateCompany(t.Context(), store.NewCompany{CompanyID: "acme", PerMinute: 30, RateMax: 30})
	require.NoError(t, err)
	stop(t, system)

	other, _ := newSystem(t, s)
	require.ErrorIs(t, other.Start(t.Context()), vault.ErrWrongMasterKey)
}

func TestAPartThatEndsByItselfIsTold(t *testing.T) {
	t.Parallel()
	system, _ := newSystem(t, settings(t))
	gone := errors.New("gone")
	for _, part := range []string{"database", "API"} {
		done := make(chan struct{})
		close(done)
		system.watch(part, done, func() error { return gone })
	}
	system.watch("queue", make(chan struct{}), func() error { return nil })
	require.ErrorIs(t, <-system.Failed(), gone)
	stop(t, system)
}

func TestKeysAreReadableByTheirOwnerOnly(t *testing.T) {
	t.Parallel()
	s := settings(t)
	system, _ := newSystem(t, s)
	require.NoError(t, system.openFolder(t.Context()))
	require.NoError(t, system.readKeys(t.Context()))
	for _, name := range []string{"master.key", "admin.key"} {
		info, err := os.Stat(filepath.Join(s.Data, name))
		require.NoError(t, err)
		require.Equal(t, fs.FileMode(0o600), info.Mode())
	}
	stop(t, system)
}

func TestOwnRedisNeedsItsPassword(t *testing.T) {
	t.Parallel()
	system, _ := newSystem(t, settings(t))
	require.NoError(t, system.startRedis(t.Context()))
	require.NoError(t, system.redis.Set(t.Context(), "key", "value", 50*time.Millisecond).Err())
	require.Eventually(t, func() bool { return system.redis.Exists(t.Context(), "key").Val() == 0 },
		5*time.Second, 10*time.Millisecond, "what expires expires by the clock")

	stranger, _ := newSystem(t, settings(t, "REDIS_URL="+strings.Replace(system.redisURL, "default:", "default:x", 1)))
	require.ErrorContains(t, stranger.startRedis(t.Context()), "connect to redis")
	stop(t, stranger)
	stop(t, system)
}

func TestHostsOfTheirOwnAreToldEverything(t *testing.T) {
	t.Parallel()
	system, _ := newSystem(t, settings(t, "MEDIA_FOLDER=/media/files"))
	system.masterKey, system.databaseURL, system.redisURL = make([]byte, vault.KeySize), "postgres://db", "redis://r"
	root := strings.Repeat("0a", 32)
	system.peer = peer{WhatsApp: config.WhatsApp{Endpoint: "127.0.0.1:1", RootCA: "root.pem", NoiseRoot: root}}
	host, err := config.Load[config.Host](append([]string{"HOST_ID=of the parent", "QUEUE=sqs"}, system.hostEnviron("host-1")...))
	require.NoError(t, err)
	require.Equal(t, "host-1", host.HostID)
	require.Equal(t, "postgres", host.Queue)
	require.Equal(t, "postgres://db", host.DatabaseURL)
	require.Equal(t, "redis://r", host.RedisURL)
	require.Equal(t, "/media/files", host.Folder)
	require.Equal(t, system.peer.WhatsApp, host.WhatsApp)
	require.True(t, host.Mode.Dev())
	_, port, err := net.SplitHostPort(host.Listen)
	require.NoError(t, err)
	require.Equal(t, strconv.Itoa(0), port, "several hosts on one machine")
}

func TestQRCodesAreDrawnForPeopleWithPhones(t *testing.T) {
	t.Parallel()
	system, out := newSystem(t, settings(t, "WHATSAPP=live"))
	show := system.showQR()
	var shows sync.WaitGroup
	for range 4 {
		shows.Go(func() { show("acme", "2@code") })
	}
	shows.Wait()
	require.Equal(t, 4, strings.Count(out.String(), "phone of company acme"))
	require.NotContains(t, out.String(), "2@code")
	require.Contains(t, out.String(), "█")
	show("acme", strings.Repeat("x", 5000))
	require.Equal(t, 4, strings.Count(out.String(), "phone of company acme"), "too long for a picture")

	system.peer.Endpoint = "127.0.0.1:1"
	require.Nil(t, system.showQR(), "a simulated phone has no camera")
}

func TestGreeting(t *testing.T) {
	t.Parallel()
	greeting := func(peer peer, environ ...string) string {
		s := settings(t, environ...)
		system, _ := newSystem(t, s)
		defer stop(t, system)
		require.NoError(t, system.openFolder(t.Context()))
		require.NoError(t, system.listen(t.Context()))
		system.peer = peer
		return system.greeting()
	}
	simulated := greeting(peer{controlURL: "http://127.0.0.1:3999"})
	require.Contains(t, simulated, "a simulator on http://127.0.0.1:3999")
	require.Contains(t, simulated, "phones /79001234567/scan")

	live := greeting(peer{}, "WHATSAPP=live")
	require.Contains(t, live, "WhatsApp    itself")
	require.Contains(t, live, "/sessions/demo/qr")
	require.NotContains(t, live, "phones")

	given := greeting(peer{WhatsApp: config.WhatsApp{Endpoint: "sim.example:443"}})
	require.Contains(t, given, "the server on sim.example:443")

	production := greeting(peer{}, "WAFLEET_ENV=production")
	require.Contains(t, production, "admin.key")
	require.NotContains(t, production, "curl")
}
