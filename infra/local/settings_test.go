package local

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"wafleet/infra/local/devenv"
	"wafleet/shared/config"
)

// sourced is an environment after `. dev.env`.
func sourced(t *testing.T, data string, file devenv.File) []string {
	t.Helper()
	require.NoError(t, file.Write(filepath.Join(data, devEnvName)))
	environ := []string{"WAFLEET_ENV=dev", "DATA=" + data}
	for _, v := range file {
		environ = append(environ, v.Name+"="+v.Value)
	}
	return environ
}

func TestAShellThatSourcedDevEnvStartsTheSameAgain(t *testing.T) {
	t.Parallel()
	settings, err := Settings(sourced(t, t.TempDir(), devenv.File{
		{Name: "WAFLEET_URL", Value: "http://127.0.0.1:3000"},
		{Name: "DATABASE_URL", Value: "postgres://own"},
		{Name: "WHATSAPP_ENDPOINT", Value: "127.0.0.1:4444"},
		{Name: "WHATSAPP_ROOT_CA", Value: "root.pem"},
		{Name: "WHATSAPP_NOISE_ROOT", Value: strings.Repeat("ab", 32)},
	}))
	require.NoError(t, err)
	require.Empty(t, settings.DatabaseURL, "its own Postgres, which is not running yet")
	require.Empty(t, settings.Endpoint)
	require.True(t, settings.Simulated())
}

func TestWhatTheEnvironmentGaveIsUsedAgain(t *testing.T) {
	t.Parallel()
	settings, err := Settings(sourced(t, t.TempDir(), devenv.File{
		{Name: "DATABASE_URL", Value: "postgres://given", Given: true},
		{Name: "WHATSAPP_ENDPOINT", Value: "sim.example:443", Given: true},
		{Name: "WHATSAPP_ROOT_CA", Value: "root.pem", Given: true},
		{Name: "WHATSAPP_NOISE_ROOT", Value: strings.Repeat("ab", 32), Given: true},
	}))
	require.NoError(t, err)
	require.Equal(t, "postgres://given", settings.DatabaseURL)
	require.Equal(t, "sim.example:443", settings.Endpoint)
}

func TestAnotherValueThanTheFilesIsASetting(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	environ := sourced(t, data, devenv.File{{Name: "DATABASE_URL", Value: "postgres://own"}})
	settings, err := Settings(append(environ, "DATABASE_URL=postgres://other", "WHATSAPP=live"))
	require.NoError(t, err)
	require.Equal(t, "postgres://other", settings.DatabaseURL)
	require.Equal(t, config.Live, settings.Peer)
	require.Equal(t, data, settings.Data)
}

func TestTheDataFolderIsAbsolute(t *testing.T) {
	t.Parallel()
	settings, err := Settings(nil)
	require.NoError(t, err)
	require.True(t, filepath.IsAbs(settings.Data), settings.Data)
	require.Equal(t, ".local", filepath.Base(settings.Data))
}
