package config_test

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"wafleet/shared/config"
)

func TestAPIDefaults(t *testing.T) {
	t.Parallel()
	got, err := config.Load[config.API](nil)
	require.NoError(t, err)
	require.Equal(t, config.API{
		Mode: config.Production, Provider: "whatsmeow", MessageTTL: config.Span(24 * time.Hour),
		RateLimitWindow: config.Span(time.Minute), RateLimitMax: 30, FFmpeg: "ffmpeg", AllowLoopbackTargets: true,
	}, got)
	require.False(t, got.Mode.Dev())
	require.Equal(t, 30, got.PerMinute())
}

// The predecessor's own .env, as far as the API is concerned.
func TestAPIReadsThePredecessorsSettings(t *testing.T) {
	t.Parallel()
	got, err := config.Load[config.API]([]string{
		"YCLIENTS_COMPANY_ID=962302", "COMPANY_PHONE=+7 (968) 648-44-88", "USE_PAIRING_CODE=true",
		"RATE_LIMIT_WINDOW=30000", "RATE_LIMIT_MAX_REQUESTS=30", "WAFLEET_ENV=dev", "MESSAGE_TTL=1h", "UNRELATED=x",
	})
	require.NoError(t, err)
	require.Equal(t, "962302", got.DefaultCompany)
	require.Equal(t, "79686484488", got.CompanyPhone)
	require.True(t, got.UsePairingCode)
	require.Equal(t, 60, got.PerMinute())
	require.Equal(t, time.Hour, got.MessageTTL.Duration())
	require.True(t, got.Mode.Dev())
}

func TestErrorsNameTheVariable(t *testing.T) {
	t.Parallel()
	for setting, name := range map[string]string{
		"WAFLEET_ENV=test":           "dev or production",
		"WHATSAPP_PROVIDER=baileys":  "WHATSAPP_PROVIDER",
		"YCLIENTS_COMPANY_ID=a b":    "YCLIENTS_COMPANY_ID",
		"COMPANY_PHONE=hello":        "COMPANY_PHONE",
		"USE_PAIRING_CODE=perhaps":   "UsePairingCode",
		"MESSAGE_TTL=-1s":            "MessageTTL",
		"RATE_LIMIT_WINDOW=never":    "RateLimitWindow",
		"RATE_LIMIT_MAX_REQUESTS=0":  "RATE_LIMIT_MAX_REQUESTS",
		"RATE_LIMIT_WINDOW=86400000": "RATE_LIMIT_WINDOW",
	} {
		_, err := config.Load[config.API]([]string{setting})
		require.ErrorContains(t, err, name, setting)
	}
}

func TestFunctions(t *testing.T) {
	t.Parallel()
	good := []string{"DATABASE_URL=postgres://x", "REDIS_URL=rediss://x", "MASTER_KEY=" + strings.Repeat("ab", 32), "LOG_LEVEL=debug"}
	got, err := config.Load[config.Functions](good)
	require.NoError(t, err)
	require.Equal(t, "DEBUG", got.LogLevel.String())

	for _, bad := range [][]string{
		good[1:],
		{good[0], good[2]},
		{good[0], good[1]},
		append(good, "MASTER_KEY=abc"), append(good, "SQS_ENDPOINT=http://x"),
		append(good, "WHATSAPP_PROVIDER=venom"),
	} {
		_, err := config.Load[config.Functions](bad)
		require.Error(t, err, bad)
	}
	_, err = config.Load[config.Functions](append(good, "SQS_ENDPOINT=http://x", "WAFLEET_ENV=dev"))
	require.NoError(t, err)
}

func TestSpan(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]time.Duration{"60000": time.Minute, " 5 ": 5 * time.Millisecond, "90s": 90 * time.Second, "24h": 24 * time.Hour} {
		var s config.Span
		require.NoError(t, s.UnmarshalText([]byte(text)), text)
		require.Equal(t, want, s.Duration(), text)
	}
	for _, text := range []string{"", "0", "-1", "0s", "soon", "1.5", "9223372036854775807"} {
		var s config.Span
		require.Error(t, s.UnmarshalText([]byte(text)), text)
	}
}

// The README's table is made of these.
func TestEveryVariableIsDescribed(t *testing.T) {
	t.Parallel()
	for _, settings := range []reflect.Type{reflect.TypeFor[config.API](), reflect.TypeFor[config.Functions]()} {
		for _, field := range reflect.VisibleFields(settings) {
			if field.Anonymous {
				continue
			}
			require.Regexp(t, `^[A-Z][A-Z0-9_]*(,[a-zA-Z,]+)?$`, field.Tag.Get("env"), field.Name)
			require.NotEmpty(t, field.Tag.Get("desc"), field.Name)
		}
	}
}
