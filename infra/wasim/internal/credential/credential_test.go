package credential_test

import (
	"crypto/tls"
	"crypto/x509"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"wafleet/infra/wasim/internal/credential"
)

func TestCredentialsAreKept(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	made, err := credential.Load(dir)
	require.NoError(t, err)
	again, err := credential.Load(dir)
	require.NoError(t, err)
	require.Equal(t, made, again)
	info, err := os.Stat(filepath.Join(dir, "credentials.json"))
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
	other, err := credential.Load("")
	require.NoError(t, err)
	require.NotEqual(t, made.NoiseRoot, other.NoiseRoot)
	public, err := made.NoisePublic()
	require.NoError(t, err)
	require.NotEqual(t, [32]byte{}, public)
}

func TestCertificateStandsForAllHosts(t *testing.T) {
	t.Parallel()
	made, err := credential.Load("")
	require.NoError(t, err)
	roots := x509.NewCertPool()
	require.True(t, roots.AppendCertsFromPEM(made.CA))
	leaf, err := x509.ParseCertificate(made.TLS.Certificate[0])
	require.NoError(t, err)
	for _, name := range []string{"web.whatsapp.com", "mmg.whatsapp.net", "localhost", "127.0.0.1", "::1"} {
		_, err := leaf.Verify(x509.VerifyOptions{Roots: roots, DNSName: name})
		require.NoError(t, err, name)
	}
	_, err = leaf.Verify(x509.VerifyOptions{Roots: roots, DNSName: "example.com"})
	require.Error(t, err)
	require.IsType(t, tls.Certificate{}, made.TLS)
}

func TestDamagedCredentials(t *testing.T) {
	t.Parallel()
	for _, damaged := range []string{"", "{}", "no JSON"} {
		dir := t.TempDir()
		require.NoError(t, os.WriteFile(filepath.Join(dir, "credentials.json"), []byte(damaged), 0o600))
		_, err := credential.Load(dir)
		require.Error(t, err)
	}
	_, err := credential.Load(filepath.Join(t.TempDir(), "missing"))
	require.Error(t, err)
}
