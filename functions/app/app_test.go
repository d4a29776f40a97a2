package app_test

import (
	"bytes"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/alicebob/miniredis/v2"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"wafleet/functions/app"
	"wafleet/shared/config"
	"wafleet/shared/queue"
	"wafleet/shared/queue/pgqueue"
	"wafleet/shared/store"
	"wafleet/shared/store/pgtest"
	"wafleet/shared/vault"
)

func newApp(t *testing.T, pool *pgxpool.Pool) *app.App {
	t.Helper()
	local, err := vault.NewLocal(bytes.Repeat([]byte{7}, vault.KeySize))
	require.NoError(t, err)
	logger := slog.New(slog.DiscardHandler)
	q, err := pgqueue.New(pool, queue.Definitions(64), logger, pgqueue.Config{})
	require.NoError(t, err)
	client := redis.NewClient(&redis.Options{Addr: miniredis.RunT(t).Addr(), ContextTimeoutEnabled: true})
	t.Cleanup(func() { require.NoError(t, client.Close()) })
	settings, err := config.Load[config.API]([]string{"WAFLEET_ENV=dev"})
	require.NoError(t, err)
	a, err := app.New(t.Context(), app.Deps{
		Pool: pool, Redis: client, Queue: q, Vault: vault.New(local, store.NewKeyring(pool)), Logger: logger, Config: settings,
	})
	require.NoError(t, err)
	return a
}

// From an empty database to a message in the queue, over HTTP.
func TestAnInstallationFromNothing(t *testing.T) {
	t.Parallel()
	pool, key := pgtest.New(t), app.NewAdminKey()
	require.NoError(t, app.EnsureAdminKey(t.Context(), pool, key))
	server := httptest.NewServer(newApp(t, pool).Handler())
	defer server.Close()
	call := func(method, path, body string) int {
		r, err := http.NewRequestWithContext(t.Context(), method, server.URL+"/api/whatsapp"+path, strings.NewReader(body))
		require.NoError(t, err)
		r.Header.Set("X-API-Key", key)
		answer, err := server.Client().Do(r)
		require.NoError(t, err)
		require.NoError(t, answer.Body.Close())
		return answer.StatusCode
	}
	require.Equal(t, 200, call(http.MethodGet, "/health", ""))
	require.Equal(t, 201, call(http.MethodPost, "/companies", `{"companyId":"962302"}`))
	require.Equal(t, 200, call(http.MethodPost, "/sessions/962302/initialize", `{}`))
	require.Equal(t, 409, call(http.MethodPost, "/send", `{"phone":"79001234567","message":"hi","companyId":"962302"}`))
	_, err := pool.Exec(t.Context(), `UPDATE whatsapp_sessions SET state = 'connecting'`)
	require.NoError(t, err)
	require.Equal(t, 200, call(http.MethodPost, "/send", `{"phone":"79001234567","message":"hi","companyId":"962302"}`))
}

func TestAFunctionServesItsTag(t *testing.T) {
	t.Parallel()
	a := newApp(t, pgtest.New(t))
	status := func(h http.Handler, path string) int {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil))
		return w.Code
	}
	require.Equal(t, 200, status(a.Handler("ops"), "/api/whatsapp/health"))
	require.Equal(t, 404, status(a.Handler("messages"), "/api/whatsapp/health"))
	require.Equal(t, 401, status(a.Handler("sessions"), "/api/whatsapp/sessions"))
}

func TestAdminKey(t *testing.T) {
	t.Parallel()
	pool, key := pgtest.New(t), app.NewAdminKey()
	require.ErrorIs(t, app.EnsureAdminKey(t.Context(), pool, "secret"), app.ErrNotAKey)
	for range 3 {
		require.NoError(t, app.EnsureAdminKey(t.Context(), pool, key))
	}
	var keys int
	require.NoError(t, pool.QueryRow(t.Context(), `SELECT count(*) FROM api_keys WHERE company_id IS NULL AND scopes = '{admin}'`).Scan(&keys))
	require.Equal(t, 1, keys)

	// A revoked key does not come back at the next start.
	_, err := pool.Exec(t.Context(), `UPDATE api_keys SET revoked_at = now()`)
	require.NoError(t, err)
	require.NoError(t, app.EnsureAdminKey(t.Context(), pool, key))
	require.NoError(t, pool.QueryRow(t.Context(), `SELECT count(*) FROM api_keys WHERE revoked_at IS NULL`).Scan(&keys))
	require.Zero(t, keys)
}
