package config_test

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"wafleet/shared/config"
)

// simulated are the settings by which another simulator is used.
var simulated = []string{
	"WAFLEET_ENV=dev", "WHATSAPP_ENDPOINT=127.0.0.1:443", "WHATSAPP_ROOT_CA=root.pem", "WHATSAPP_NOISE_ROOT=" + strings.Repeat("0a", 32),
}

func TestServeDefaults(t *testing.T) {
	t.Parallel()
	production, err := config.Load[config.Serve](nil)
	require.NoError(t, err)
	require.Equal(t, uint16(3000), production.Port)
	require.Equal(t, uint16(3999), production.WasimPort)
	require.Equal(t, ".local", production.Data)
	require.Equal(t, 1, production.Hosts)
	require.Zero(t, production.Shards, "whatever the installation has")
	require.Equal(t, config.Live, production.Peer, "the simulator never stands in for WhatsApp unasked in production")
	require.False(t, production.Simulated())

	dev, err := config.Load[config.Serve]([]string{"WAFLEET_ENV=dev", "PORT=", "HOSTS="})
	require.NoError(t, err)
	require.True(t, dev.Simulated())
	require.Equal(t, uint16(3000), dev.Port, "make passes what was not set as empty")
}

func TestServeWhatIsAtTheOtherEnd(t *testing.T) {
	t.Parallel()
	live, err := config.Load[config.Serve]([]string{"WAFLEET_ENV=dev", "WHATSAPP=live"})
	require.NoError(t, err)
	require.Equal(t, config.Live, live.Peer)

	given, err := config.Load[config.Serve](simulated)
	require.NoError(t, err)
	require.False(t, given.Simulated(), "no simulator of our own beside the one that is given")
	require.Equal(t, "127.0.0.1:443", given.Endpoint)
}

func TestServeRefuses(t *testing.T) {
	t.Parallel()
	for setting, want := range map[string]string{
		"PORT=http":                     "PORT must be",
		"PORT=65536":                    "PORT must be",
		"HOSTS=0":                       "HOSTS",
		"HOSTS=65":                      "HOSTS",
		"SHARDS=-1":                     "SHARDS",
		"SHARDS=1025":                   "SHARDS",
		"WHATSAPP=production":           "live or simulator",
		"WHATSAPP=simulator":            "WAFLEET_ENV=dev",
		"WHATSAPP_ENDPOINT=localhost:1": "WAFLEET_ENV=dev",
		"MASTER_KEY=abcd":               "MASTER_KEY",
		"REDIS_URL=redis://:p@host":     "rediss://",
		"REDIS_URL=rediss://host":       "password",
		"REDIS_URL=redis://a\x7f:pw@h":  "must be a URL",
		"COMPANY_PHONE=none":            "COMPANY_PHONE",
	} {
		_, err := config.Load[config.Serve]([]string{setting})
		require.ErrorContains(t, err, want, setting)
		require.NotContains(t, err.Error(), "pw", setting)
	}
	for _, setting := range []string{
		"WHATSAPP=live", "WHATSAPP=simulator", "WHATSAPP_ENDPOINT=localhost", "WHATSAPP_ROOT_CA=", "WHATSAPP_NOISE_ROOT=0a",
	} {
		_, err := config.Load[config.Serve](append(slices.Clip(simulated), setting))
		require.ErrorContains(t, err, "WHATSAPP", setting)
	}
}

func TestServeTakesAnyRedisInDev(t *testing.T) {
	t.Parallel()
	for _, environ := range [][]string{
		{"WAFLEET_ENV=dev", "REDIS_URL=redis://127.0.0.1:6379"},
		{"REDIS_URL=rediss://:secret@cache.example:6379"},
	} {
		_, err := config.Load[config.Serve](environ)
		require.NoError(t, err)
	}
}

func TestEveryVariableOfServeIsDescribed(t *testing.T) {
	t.Parallel()
	for _, field := range reflect.VisibleFields(reflect.TypeFor[config.Serve]()) {
		if !field.Anonymous {
			require.NotEmpty(t, field.Tag.Get("desc"), field.Name)
		}
	}
}
