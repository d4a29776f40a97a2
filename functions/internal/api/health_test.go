package api_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"wafleet/shared/session"
)

// own makes all shards owned by a living host.
func owned(t *testing.T, b *bundle) {
	t.Helper()
	b.exec(t, `INSERT INTO hosts (host_id) VALUES ('h1')`)
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
