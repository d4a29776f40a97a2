package api_test

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"wafleet/shared/session"
)

// newKey creates a key through the API.
func (b *bundle) newKey(t *testing.T, companyID, scopes string) (id, key string) {
	t.Helper()
	a := b.do(t, http.MethodPost, "/keys", b.admin, fmt.Sprintf(`{"companyId": %q, "name": "backend", "scopes": %s}`, companyID, scopes)).status(201)
	id, _ = a.value("data", "id").(string)
	key, _ = a.value("data", "key").(string)
	return id, key
}

func TestKeysAreListedChangedAndRevoked(t *testing.T) {
	t.Parallel()
	b := setup(t, likeAFunction)
	b.company(t, "962302", session.Connected)
	b.company(t, "other", session.Connected)
	b.do(t, http.MethodGet, "/keys?companyId=962302", b.admin, "").status(200).golden("keys-none")
	id, key := b.newKey(t, "962302", `["send"]`)
	b.newKey(t, "other", `["send"]`)
	a := b.do(t, http.MethodGet, "/keys?companyId=962302", b.admin, "").status(200).golden("keys")
	require.NotContains(t, a.Body.String(), key)
	b.do(t, http.MethodGet, "/sessions", key, "").status(403)

	patched := b.do(t, http.MethodPatch, "/keys/"+id, b.admin, `{"scopes": ["read", "send", "read"]}`).status(200)
	require.Equal(t, []any{"read", "send"}, patched.value("data", "scopes"))
	require.Equal(t, "backend", patched.value("data", "name"))
	b.do(t, http.MethodGet, "/sessions", key, "").status(200)
	require.Equal(t, "web", b.do(t, http.MethodPatch, "/keys/"+id, b.admin, `{"name": "web"}`).status(200).value("data", "name"))

	b.do(t, http.MethodDelete, "/keys/"+id, b.admin, "").status(200).golden("key-revoked")
	b.do(t, http.MethodGet, "/sessions", key, "").status(401)
	revoked := b.do(t, http.MethodGet, "/keys/"+id, b.admin, "").status(200).value("data", "revokedAt")
	require.NotNil(t, revoked, "it stays to be seen")
	require.Equal(t, revoked, b.do(t, http.MethodDelete, "/keys/"+id, b.admin, "").status(200).value("data", "revokedAt"), "once and for ever")
	b.do(t, http.MethodPatch, "/keys/"+id, b.admin, `{"name": "again"}`).status(404)
}

func TestKeysInPages(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.company(t, "962302", session.Connected)
	want := map[string]bool{}
	for range 5 {
		id, _ := b.newKey(t, "962302", `["send"]`)
		want[id] = true
	}
	got := map[string]bool{}
	next, pages := "", 0
	for more := true; more; pages++ {
		a := b.do(t, http.MethodGet, "/keys?companyId=962302&limit=2&after="+next, b.admin, "").status(200)
		data, _ := a.value("data").([]any)
		for _, k := range data {
			row, _ := k.(map[string]any)
			id, _ := row["id"].(string)
			require.False(t, got[id])
			got[id] = true
		}
		next, more = a.value("next").(string)
	}
	require.Equal(t, want, got)
	require.Equal(t, 3, pages)
}

// A company's key manages the keys of its company and no others; those of the installation are nobody's.
func TestForeignKeys(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.company(t, "own", session.Connected)
	b.company(t, "other", session.Connected)
	_, admin := b.newKey(t, "own", `["admin"]`)
	foreign, _ := b.newKey(t, "other", `["send"]`)
	installation := scan[string](t, b, `SELECT id FROM api_keys WHERE company_id IS NULL`)
	before := scan[string](t, b, `SELECT string_agg(k::text, ' ' ORDER BY id) FROM api_keys k`)
	for _, id := range []string{foreign, installation, "key_x"} {
		for _, c := range []struct{ method, body string }{{http.MethodGet, ""}, {http.MethodPatch, `{"scopes": ["read"]}`}, {http.MethodDelete, ""}} {
			b.do(t, c.method, "/keys/"+id, admin, c.body).status(404).code("NOT_FOUND")
			if id != foreign {
				b.do(t, c.method, "/keys/"+id, b.admin, c.body).status(404)
			}
			b.do(t, c.method, "/keys/"+id+"?companyId=own", b.admin, c.body).status(404)
		}
	}
	require.Equal(t, before, scan[string](t, b, `SELECT string_agg(k::text, ' ' ORDER BY id) FROM api_keys k`))
	require.Len(t, b.do(t, http.MethodGet, "/keys", admin, "").status(200).value("data"), 1)
	for body, field := range map[string]string{
		`{"scopes": []}`: "scopes", `{"scopes": ["all"]}`: "scopes", `{"scopes": "send"}`: "scopes", `{"key": "wf_x"}`: "key", `{"name": 1}`: "name",
	} {
		require.Equal(t, field, b.do(t, http.MethodPatch, "/keys/"+foreign, b.admin, body).status(400).value("error", "details", "field"), body)
	}
	b.do(t, http.MethodGet, "/keys?companyId=nobody", b.admin, "").status(404).code("COMPANY_NOT_FOUND")
}
