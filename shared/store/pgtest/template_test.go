package pgtest

import (
	"context"
	"crypto/rand"
	"errors"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/fstest"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
)

// Connections stand for processes here: the advisory lock belongs to a connection.
func TestEnsureTemplateIsBuiltOnce(t *testing.T) {
	t.Parallel()
	server, name := newTemplateName(t)
	var built atomic.Int32
	fill := func(ctx context.Context, databaseURL string) error {
		built.Add(1)
		return createTable(ctx, databaseURL)
	}

	errs := make([]error, 5)
	var wg sync.WaitGroup
	for i := range errs {
		wg.Go(func() { errs[i] = ensureTemplate(t.Context(), server, name, fill) })
	}
	wg.Wait()
	require.NoError(t, errors.Join(errs...))
	require.EqualValues(t, 1, built.Load())
}

func TestEnsureTemplateAfterAFailure(t *testing.T) {
	t.Parallel()
	server, name := newTemplateName(t)
	broken := errors.New("broken migration")
	half := func(ctx context.Context, databaseURL string) error {
		return errors.Join(createTable(ctx, databaseURL), broken)
	}

	require.ErrorIs(t, ensureTemplate(t.Context(), server, name, half), broken)
	// Would fail on the half-filled database, because the table is in there already.
	require.NoError(t, ensureTemplate(t.Context(), server, name, createTable))
}

func TestTemplateRefusesConnections(t *testing.T) {
	t.Parallel()
	server, name := newTemplateName(t)
	require.NoError(t, ensureTemplate(t.Context(), server, name, createTable))
	_, err := pgx.Connect(t.Context(), withDatabase(server, name).String())
	require.ErrorContains(t, err, "not currently accepting connections")
}

func TestContentHash(t *testing.T) {
	t.Parallel()
	hash := func(files map[string]string) string {
		fsys := fstest.MapFS{}
		for name, content := range files {
			fsys[name] = &fstest.MapFile{Data: []byte(content)}
		}
		h, err := contentHash(fsys)
		require.NoError(t, err)
		return h
	}
	base := hash(map[string]string{"1_a.sql": "x", "2_b.sql": "y"})
	require.Equal(t, base, hash(map[string]string{"1_a.sql": "x", "2_b.sql": "y", "migrations.go": "z"}))
	require.NotEqual(t, base, hash(map[string]string{"1_a.sql": "x"}))
	require.NotEqual(t, base, hash(map[string]string{"1_a.sql": "x", "2_b.sql": "z"}))
	require.NotEqual(t, base, hash(map[string]string{"1_a.sql": "x", "2_c.sql": "y"}))
	require.NotEqual(t, base, hash(map[string]string{"1_a.sql": "x2_b.sql", "2_b.sql": "y"}))
	require.Len(t, hash(nil), 16, "an empty set is a set")
}

func TestWithDatabase(t *testing.T) {
	t.Parallel()
	server, err := url.Parse("postgres://u:p%2Fq@127.0.0.1:5433/admin?sslmode=disable")
	require.NoError(t, err)
	require.Equal(t, "postgres://u:p%2Fq@127.0.0.1:5433/mine?sslmode=disable", withDatabase(server, "mine").String())
	require.Equal(t, "/admin", server.Path, "the server's own URL stays as it is")
}

func TestQuote(t *testing.T) {
	t.Parallel()
	require.Equal(t, `"a""b"`, quote(`a"b`))
}

// newTemplateName returns a server and a template name that no other test uses, and drops the template afterwards.
func newTemplateName(t *testing.T) (*url.URL, string) {
	t.Helper()
	server := serverURL(t)
	name := "wafleet_test_" + strings.ToLower(rand.Text())
	t.Cleanup(func() {
		ctx := context.WithoutCancel(t.Context())
		require.NoError(t, drop(ctx, server, name))
		require.NoError(t, drop(ctx, server, name+"_draft"))
	})
	return server, name
}

func createTable(ctx context.Context, databaseURL string) error {
	conn, err := pgx.Connect(ctx, databaseURL)
	if err != nil {
		return err
	}
	return errors.Join(exec(ctx, conn, "CREATE TABLE filled (id int)"), conn.Close(ctx))
}
