package wasim_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"wafleet/infra/wasim"
	"wafleet/infra/wasim/internal/lightclient"
	"wafleet/infra/wasim/wasimclient"
)

// loadVariable sets how many connections TestManyConnections holds; 10000 takes a minute or two.
const loadVariable = "WASIM_LOAD"

// memoryLimit is what an idle connection may cost the server, in bytes.
const memoryLimit = 64 << 10

// memory is the resident memory of a process in bytes.
func (p *process) memory(t testing.TB) int {
	t.Helper()
	return p.status(t, "VmRSS") << 10
}

func (p *process) status(t testing.TB, field string) int {
	t.Helper()
	status, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(p.Process.Pid), "status"))
	if err != nil {
		t.Skip("needs /proc")
	}
	for line := range strings.Lines(string(status)) {
		if rest, ok := strings.CutPrefix(line, field+":"); ok {
			value, err := strconv.Atoi(strings.Fields(rest)[0])
			require.NoError(t, err)
			return value
		}
	}
	return 0
}

// cpu is the processor time that a process has used.
func (p *process) cpu(t testing.TB) time.Duration {
	t.Helper()
	stat, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(p.Process.Pid), "stat"))
	if err != nil {
		t.Skip("needs /proc")
	}
	fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
	var ticks int
	for _, field := range fields[11:13] { // User and system time, in hundredths of a second.
		value, err := strconv.Atoi(field)
		require.NoError(t, err)
		ticks += value
	}
	return time.Duration(ticks) * 10 * time.Millisecond
}

// root asks a process what its clients must trust.
func (p *process) root(t testing.TB) lightclient.Server {
	t.Helper()
	var root struct{ NoiseRoot, CAPEM, Endpoint string }
	p.call(t, http.MethodGet, "/root", "", &root)
	pool := x509.NewCertPool()
	require.True(t, pool.AppendCertsFromPEM([]byte(root.CAPEM)))
	key, err := hex.DecodeString(root.NoiseRoot)
	require.NoError(t, err)
	return lightclient.Server{
		Endpoint: p.endpoint, NoiseRoot: [32]byte(key),
		TLS: &tls.Config{RootCAs: pool, ServerName: "web.whatsapp.com", MinVersion: tls.VersionTLS13},
	}
}

// TestManyConnections logs many companions in at a simulator of their own process, and weighs it.
func TestManyConnections(t *testing.T) { //nolint:paralleltest // Alone, or others would be weighed too.
	connections := 200
	if wanted := os.Getenv(loadVariable); wanted != "" {
		var err error
		connections, err = strconv.Atoi(wanted)
		require.NoError(t, err)
	}
	dir := keepCredentials(t)
	p := startProcess(t, dir, "127.0.0.1:0")
	clients := make([]*lightclient.Client, connections)
	server := p.root(t)
	each(t, connections, func(ctx context.Context, i int) error {
		number := strconv.Itoa(79100000000 + i)
		client, err := lightclient.New(server)
		if err != nil {
			return err
		}
		if err := p.request(ctx, http.MethodPost, "/phones", fmt.Sprintf(`{"phone":%q}`, number), nil); err != nil {
			return err
		}
		clients[i] = client
		return client.Pair(ctx, func(qr string) error {
			return p.request(ctx, http.MethodPost, "/phones/"+number+"/scan", fmt.Sprintf(`{"qr":%q}`, qr), nil)
		})
	})
	p.kill()
	p = startProcess(t, dir, p.endpoint) // With the same accounts and no garbage of the pairing.
	empty := p.memory(t)
	begun := time.Now()
	each(t, connections, func(ctx context.Context, i int) error { return clients[i].Login(ctx) })
	took := time.Since(begun)
	t.Cleanup(func() {
		for _, client := range clients {
			client.Close()
		}
	})
	var stats wasim.Stats
	p.call(t, http.MethodGet, "/stats", "", &stats)
	require.Equal(t, int64(connections), stats.Connections.Open)
	weight := (p.memory(t) - empty) / connections
	t.Logf("%d connections: %d KiB each (%d MiB in all), %.0f logins/s", connections, weight>>10, p.memory(t)>>20,
		float64(connections)/took.Seconds())
	if raced {
		return // The figures mean nothing.
	}
	require.Less(t, weight, memoryLimit+(2<<20)/connections*8, "with 16 MiB for what grows once")
}

// each runs something for each index, sixteen at a time.
func each(t testing.TB, n int, run func(ctx context.Context, i int) error) {
	t.Helper()
	group, ctx := errgroup.WithContext(t.Context())
	group.SetLimit(16)
	for i := range n {
		group.Go(func() error { return run(ctx, i) })
	}
	require.NoError(t, group.Wait())
}

// TestIdleConnectionIsOneGoroutine counts the goroutines of the server.
func TestIdleConnectionIsOneGoroutine(t *testing.T) { //nolint:paralleltest // Counts all goroutines.
	b := start(t, wasim.Options{})
	b.phone(t, anna, "Anna")
	const connections = 20
	clients := make([]*lightclient.Client, connections)
	for i := range clients {
		clients[i] = b.lightPair(t, anna)
	}
	require.Eventually(t, func() bool { return b.Stats().Connections.Open == 0 }, patience, time.Millisecond)
	before := runtime.NumGoroutine()
	for _, client := range clients {
		require.NoError(t, client.Login(t.Context()))
	}
	const waiting = 2 // The goroutines of this very wait.
	require.Eventually(t, func() bool {
		return runtime.NumGoroutine()-before <= connections+waiting
	}, patience, time.Millisecond)
}

// BenchmarkMessages measures a simulator in a process of its own, which keeps everything, under whatsmeow clients that
// write to phones as fast as they can. The figure to look at is messages for a second of the server's processor time:
// each is relayed to two phones, decrypted, listed and answered with a delivery receipt.
func BenchmarkMessages(b *testing.B) {
	dir := keepCredentials(b)
	p := startProcess(b, dir, "127.0.0.1:0")
	root := p.root(b)
	var answer struct{ CAPEM string }
	p.call(b, http.MethodGet, "/root", "", &answer)
	require.Equal(b, p.endpoint, root.Endpoint)
	client, err := wasimclient.New(p.endpoint, []byte(answer.CAPEM))
	require.NoError(b, err)
	b.Cleanup(client.CloseIdleConnections)
	const companies = 8
	var clients []*sender
	for i := range companies {
		from, to := strconv.Itoa(79200000000+i), strconv.Itoa(79300000000+i)
		for _, number := range []string{from, to} {
			p.call(b, http.MethodPost, "/phones", fmt.Sprintf(`{"phone":%q}`, number), nil)
		}
		company := p.pairAt(b, client, from)
		company.text(b, to, "first")
		company.store.pretendOwnSession(company.Store.LID.User)
		clients = append(clients, &sender{company, to})
	}
	cpu := p.cpu(b)
	b.ResetTimer()
	var all sync.WaitGroup
	for i, c := range clients {
		all.Go(func() {
			for n := i; n < b.N; n += companies {
				c.company.text(b, c.to, "hello")
			}
		})
	}
	all.Wait()
	b.StopTimer()
	spent := p.cpu(b) - cpu
	b.ReportMetric(float64(b.N)/spent.Seconds(), "msg/cpu-s")
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "msg/s")
}

// sender is a company that writes to one number.
type sender struct {
	company *client
	to      string
}
