package cli_test

import (
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"wafleet/shared/store/pgtest"
	"wafleet/shared/vault"
)

// What an import is told wrongly is one line and changes nothing; what it finds is told by number.
func TestImport(t *testing.T) {
	t.Parallel()
	url, dir := pgtest.URL(t), t.TempDir()
	require.Zero(t, first(run(t, []string{"DATABASE_URL=" + url}, "migrate")))
	file := func(name, content string) string {
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
		return path
	}
	key := hex.EncodeToString(make([]byte, vault.KeySize))
	environ := []string{"DATABASE_URL=" + url, "MASTER_KEY=" + key, "DATA=" + dir}
	for name, tc := range map[string]struct {
		environ []string
		args    []string
		code    int
		says    string
	}{
		"no database":           {nil, nil, 2, "DATABASE_URL"},
		"no source":             {environ, nil, 2, "STOCK_DATABASE_URL"},
		"no such file":          {environ, []string{"--from=x", "--companies=nowhere"}, 2, "nowhere"},
		"no number":             {environ, []string{"--from=x", "--companies=" + file("a.csv", "me,salon\n")}, 2, "line 1"},
		"a number twice":        {environ, []string{"--from=x", "--companies=" + file("b.csv", "# whose\n79001234567,a\n+7 900 1234567,b\n")}, 2, "twice"},
		"three columns":         {environ, []string{"--from=x", "--companies=" + file("c.csv", "79001234567,a,b\n")}, 2, "fields"},
		"a source that is none": {environ, []string{"--from=" + url}, 1, "whatsmeow_version"},
		"no key":                {environ[:1], []string{"--from=" + url}, 1, "MASTER_KEY"},
		"a bad key":             {[]string{environ[0], "MASTER_KEY=ff"}, []string{"--from=" + url}, 1, "64 hex digits"},
	} {
		code, stdout, stderr := run(t, tc.environ, append([]string{"import"}, tc.args...)...)
		require.Equal(t, tc.code, code, "%s: %s", name, stderr)
		require.Contains(t, stderr, tc.says, name)
		require.Equal(t, 1, strings.Count(stderr, "\n"), "%s: one line: %s", name, stderr)
		require.Empty(t, stdout, name)
	}

	conn, err := pgx.Connect(t.Context(), url)
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close(t.Context()) })
	schema, err := os.ReadFile("../../hosts/internal/devicestore/stockdb/schema.sql")
	require.NoError(t, err)
	_, err = conn.Exec(t.Context(), "CREATE SCHEMA elsewhere; SET search_path = elsewhere; "+string(schema)+
		`; INSERT INTO whatsmeow_version VALUES (11, 8);
		INSERT INTO whatsmeow_device (jid, registration_id, noise_key, identity_key, signed_pre_key, signed_pre_key_id, signed_pre_key_sig,
			adv_key, adv_details, adv_account_sig, adv_account_sig_key, adv_device_sig)
		SELECT n || ':1@s.whatsapp.net', 1, k, k, k, 1, k || k, k, k, k || k, k, k || k
		FROM unnest(ARRAY['79001234567', '79007654321']) AS n, (SELECT decode(repeat('01', 32), 'hex') AS k) AS key`)
	require.NoError(t, err)
	from := "--from=" + url + "&search_path=elsewhere"
	if !strings.Contains(url, "?") {
		from = "--from=" + url + "?search_path=elsewhere"
	}
	whose := "--companies=" + file("d.csv", "# number, company\n79001234567, salon\n")

	code, stdout, stderr := run(t, environ, "import", from, whose)
	require.Equal(t, 1, code, stderr)
	require.Contains(t, stdout, "79001234567\tsalon\t", stderr)
	require.Contains(t, stdout, "company does not exist")
	require.Contains(t, stdout, "0 of 2 devices")

	code, stdout, stderr = run(t, environ, "import", from, whose, "--create", "--dry-run")
	require.Zero(t, code, stderr)
	require.Contains(t, stdout, "79007654321\t79007654321\twould be imported")
	var companies int
	require.NoError(t, conn.QueryRow(t.Context(), `SELECT count(*) FROM public.companies`).Scan(&companies))
	require.Zero(t, companies)

	code, stdout, stderr = run(t, environ, "import", from, whose, "--create")
	require.Zero(t, code, stderr)
	require.Contains(t, stdout, "79001234567\tsalon\timported\n")
	require.Contains(t, stdout, "2 of 2 devices")
	code, _, stderr = run(t, append(environ[:1:1], "MASTER_KEY="+strings.Repeat("ab", vault.KeySize)), "import", from, whose)
	require.Equal(t, 1, code)
	require.Contains(t, stderr, "master key")
}

func first(code int, _, _ string) int { return code }
