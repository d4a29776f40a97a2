package auth_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"wafleet/functions/internal/auth"
	"wafleet/shared/store/db"
	"wafleet/shared/store/pgtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func insertKey(t *testing.T, pool *pgxpool.Pool, company *string, scopes ...string) string {
	t.Helper()
	key := auth.NewKey()
	if company != nil {
		_, err := pool.Exec(t.Context(), `INSERT INTO companies (company_id, shard) VALUES ($1, 0) ON CONFLICT DO NOTHING`, *company)
		require.NoError(t, err)
	}
	require.NoError(t, db.New().CreateKey(t.Context(), pool, db.CreateKeyParams{
		ID: auth.NewKeyID(), CompanyID: company, Hash: auth.Hash(key), Scopes: scopes,
	}))
	return key
}

func request(t *testing.T, header, value string) *http.Request {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
	r.Header.Set(header, value)
	return r
}

func TestAuthenticate(t *testing.T) {
	t.Parallel()
	pool, company := pgtest.New(t), "962302"
	a := auth.New(pool)
	companyKey, adminKey := insertKey(t, pool, &company, "send", "read"), insertKey(t, pool, nil, "admin")

	for header, value := range map[string]string{
		"Authorization": "Bearer " + companyKey, "authorization": "bearer  " + companyKey, "X-API-Key": companyKey,
	} {
		p, err := a.Authenticate(t.Context(), request(t, header, value))
		require.NoError(t, err, header)
		require.Equal(t, company, p.CompanyID)
		require.False(t, p.IsAdmin())
		require.True(t, p.Can(auth.Send))
		require.True(t, p.Can(auth.Read))
		require.False(t, p.Can(auth.Session))
		require.False(t, p.Can(auth.Admin))
	}

	p, err := a.Authenticate(t.Context(), request(t, "X-API-Key", adminKey))
	require.NoError(t, err)
	require.True(t, p.IsAdmin())
	for _, s := range []auth.Scope{auth.Send, auth.Read, auth.Session, auth.Webhook, auth.Admin} {
		require.True(t, p.Can(s), s)
	}
}

func TestStrangers(t *testing.T) {
	t.Parallel()
	a := auth.New(pgtest.New(t))
	for value, want := range map[string]error{
		"":                         auth.ErrNoKey,
		"Bearer":                   auth.ErrNoKey,
		"Basic dXNlcjpwYXNz":       auth.ErrNoKey,
		"Bearer secret":            auth.ErrUnknownKey,
		"Bearer wf_short":          auth.ErrUnknownKey,
		"Bearer " + auth.NewKey():  auth.ErrUnknownKey,
		"Bearer x" + auth.NewKey(): auth.ErrUnknownKey,
	} {
		_, err := a.Authenticate(t.Context(), request(t, "Authorization", value))
		require.ErrorIs(t, err, want, value)
	}
}

func TestARevokedKeyStopsWorkingAtOnceForNewProcesses(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t)
	key := insertKey(t, pool, nil, "admin")
	_, err := pool.Exec(t.Context(), `UPDATE api_keys SET revoked_at = now()`)
	require.NoError(t, err)
	_, err = auth.New(pool).Authenticate(t.Context(), request(t, "X-API-Key", key))
	require.ErrorIs(t, err, auth.ErrUnknownKey)
}

func TestTheDatabaseIsAskedOnceAMinute(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		database := &countingDatabase{}
		a, r := auth.New(database), request(t, "X-API-Key", auth.NewKey())
		for range 10 {
			p, err := a.Authenticate(t.Context(), r)
			require.NoError(t, err)
			require.Equal(t, "key_1", p.KeyID)
		}
		require.Equal(t, 1, database.asked)

		<-time.After(time.Minute)
		_, err := a.Authenticate(t.Context(), r)
		require.NoError(t, err)
		require.Equal(t, 2, database.asked)
	})
}

// countingDatabase knows every key, and how often it was asked. A real database cannot stand in a synctest bubble.
type countingDatabase struct {
	db.DBTX
	asked int
}

func (d *countingDatabase) QueryRow(context.Context, string, ...any) pgx.Row {
	d.asked++
	return keyRow{}
}

type keyRow struct{}

func (keyRow) Scan(dest ...any) error {
	*dest[0].(*string) = "key_1"
	*dest[2].(*[]string) = []string{"admin"}
	return nil
}

func TestKeysAreUnlikeEachOther(t *testing.T) {
	t.Parallel()
	first, firstID := auth.NewKey(), auth.NewKeyID()
	require.NotEqual(t, first, auth.NewKey())
	require.NotEqual(t, firstID, auth.NewKeyID())
	require.Regexp(t, `^wf_[A-Za-z0-9_-]{43}$`, auth.NewKey())
	require.Regexp(t, `^key_[0-9a-f]{32}$`, auth.NewKeyID())
	require.True(t, auth.IsKey(auth.NewKey()))
	require.False(t, auth.IsKey(auth.NewKey()+"A"))
	require.Len(t, auth.Hash("x"), 32)
}
