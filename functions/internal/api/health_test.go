package api_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"wafleet/shared/health"
	"wafleet/shared/session"
)

// own makes all shards owned by a living host.
func owned(t *testing.T, b *bundle) {
	t.Helper()
	b.exec(t, `INSERT INTO hosts (host_id) VALUES ('h1') ON CONFLICT DO NOTHING`)
	b.exec(t, `UPDATE shard_lease SET host_id = 'h1', term = gen_random_uuid(), expires_at = now() + interval '1 hour'`)
}

func TestHealth(t *testing.T) {
	t.Parallel()
	b := setup(t, withDefaultCompany("962302"), likeAFunction)
	b.company(t, "962302", session.Connected)
	b.company(t, "other", session.Stopped)
	owned(t, b)
	b.do(t, http.MethodGet, "/health", "", "").status(200).golden("health-without-key")
	b.do(t, http.MethodGet, "/health", b.admin, "").status(200).golden("health-admin")

	own, other := "962302", "other"
	require.Equal(t, "962302", b.do(t, http.MethodGet, "/health", b.key(t, &own, "read"), "").value("data", "defaultCompany"))
	a := b.do(t, http.MethodGet, "/health", b.key(t, &other, "send"), "").status(200)
	require.Nil(t, a.value("data", "defaultCompany"), "no company is told of another")
	require.Equal(t, map[string]any{"other": map[string]any{"connected": false, "uptime": 0.0}}, a.value("data", "sessions"))
}

func TestHealthWithoutDefaultCompany(t *testing.T) {
	t.Parallel()
	b := setup(t)
	a := b.do(t, http.MethodGet, "/health", b.admin, "").status(200)
	data, _ := a.value("data").(map[string]any)
	require.Contains(t, data, "defaultCompany")
	require.Nil(t, data["defaultCompany"])
}

func TestHealthIsDegradedButWell(t *testing.T) {
	t.Parallel()
	b := setup(t)
	degraded := func() any { return b.do(t, http.MethodGet, "/health", "", "").status(200).value("data", "degraded") }
	require.Equal(t, []any{"no_hosts"}, degraded())
	owned(t, b)
	b.exec(t, `UPDATE shard_lease SET expires_at = now() WHERE shard = 3`)
	b.redis.Close()
	require.Eventually(t, func() bool {
		return fmt.Sprint(degraded()) == "[redis shards_unowned]"
	}, 10*time.Second, 50*time.Millisecond)
}

// Counting what passed is no reason to take no more: with many millions of messages it does not end in time.
func TestHealthWithoutCounts(t *testing.T) {
	t.Parallel()
	b := setup(t)
	owned(t, b)
	b.exec(t, `ALTER TABLE messages RENAME COLUMN sent_at TO sent_then`) // what only the counting reads
	a := b.do(t, http.MethodGet, "/health", "", "").status(200)
	require.Equal(t, []any{"traffic"}, a.value("data", "degraded"))
	require.Equal(t, true, a.value("data", "initialized"))
}

func TestHealthWithoutQueue(t *testing.T) {
	t.Parallel()
	b := setup(t)
	owned(t, b)
	b.queue.setCut(true)
	for range 3 {
		b.do(t, http.MethodGet, "/health", "", "").status(503).golden("health-queue-down")
	}
	require.Equal(t, 1, strings.Count(b.logs.String(), "health.degraded"), "a change is logged, not a state")
	b.queue.setCut(false)
	require.Eventually(t, func() bool { return b.do(t, http.MethodGet, "/health", "", "").Code == 200 }, 10*time.Second, 50*time.Millisecond)
}

func TestHealthWithoutDatabase(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.loseDatabase(t)
	a := b.do(t, http.MethodGet, "/health", "", "").status(503)
	require.Contains(t, a.value("data", "degraded"), "database")
	require.Equal(t, false, a.value("data", "initialized"))
	require.Nil(t, a.value("data", "queueDepth"))
}

func TestHealthCountsWhatTheQueueHas(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.company(t, "962302", session.Connected)
	b.do(t, http.MethodPost, "/send", b.admin, hello).status(200)
	b.do(t, http.MethodPost, "/send", b.admin, hello).status(200)
	b.exec(t, `UPDATE messages SET status = 'sent', body = 'x', sent_at = created_at + interval '120 ms' WHERE id = (SELECT min(id) FROM messages)`)
	a := b.do(t, http.MethodGet, "/health", "", "").status(200)
	require.EqualValues(t, 1, a.value("data", "queueDepth"))
	require.EqualValues(t, 1, a.value("data", "metrics", "messagesSent"))
	require.EqualValues(t, 120, a.value("data", "metrics", "averageResponseTime"))
}

// What hosts say of themselves is for who runs the installation.
func TestHealthShowsTheHosts(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.company(t, "962302", session.Connected)
	client := redis.NewClient(&redis.Options{Addr: b.redis.Addr()})
	t.Cleanup(func() { require.NoError(t, client.Close()) })
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	require.NoError(t, health.NewRedisBoard(client).Put(t.Context(), health.Report{
		HostID: "host-1", Version: "v1", Draining: true, Shards: 32, Sockets: 7, Load: 0.5, MemoryBytes: 1 << 20,
		Sessions: map[session.State]int{session.Connected: 7, session.Pairing: 1}, StartedAt: at.Add(-time.Hour), ReportedAt: at,
	}))
	require.Equal(t, []any{map[string]any{
		"hostId": "host-1", "version": "v1", "draining": true, "shards": 32.0, "sockets": 7.0, "load": 0.5, "memoryBytes": 1048576.0,
		"sessions": map[string]any{"connected": 7.0, "pairing": 1.0}, "uptime": 3600.0, "reportedAt": "2026-01-02T03:04:05Z",
	}}, b.do(t, http.MethodGet, "/health", b.admin, "").status(200).value("data", "hostReports"))

	own := "962302"
	for _, key := range []string{"", b.key(t, &own, "admin")} {
		require.Nil(t, b.do(t, http.MethodGet, "/health", key, "").status(200).value("data", "hostReports"))
	}
}
