package boot_test

import (
	"bytes"
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/alicebob/miniredis/v2"
	"github.com/aws/aws-lambda-go/events"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"wafleet/functions/internal/apigw"
	"wafleet/functions/internal/boot"
	"wafleet/shared/store/pgtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func environment(t *testing.T) []string {
	t.Helper()
	return []string{
		"WAFLEET_ENV=dev", "DATABASE_URL=" + pgtest.URL(t), "REDIS_URL=redis://" + miniredis.RunT(t).Addr(),
		"MASTER_KEY=" + strings.Repeat("ab", 32), "LOG_LEVEL=error", "SQS_ENDPOINT=http://127.0.0.1:1",
	}
}

// The sample events answer as the functions beside them do.
func TestSampleEvents(t *testing.T) { //nolint:paralleltest // it sets the environment
	// The AWS SDK reads the environment by itself, and without these asks the network who it is.
	for name, value := range map[string]string{
		"AWS_REGION": "eu-west-1", "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_EC2_METADATA_DISABLED": "true",
	} {
		t.Setenv(name, value)
	}
	env := environment(t)
	for tag, want := range map[string]int{"messages": 401, "sessions": 401, "batches": 401, "webhooks": 401, "ops": 503} { // without an SQS there are no sends
		function, err := boot.Start(t.Context(), env, boot.API(t.Context(), tag))
		require.NoError(t, err)
		defer function.Close()
		text, err := os.ReadFile("../../" + tag + "/event.json")
		require.NoError(t, err)
		var event events.APIGatewayV2HTTPRequest
		require.NoError(t, json.Unmarshal(text, &event))
		handle, ok := function.Handler.(apigw.Handler)
		require.True(t, ok)
		answer, err := handle(t.Context(), event)
		require.NoError(t, err)
		require.Equal(t, want, answer.StatusCode, "%s: %s", tag, answer.Body)
		require.Equal(t, "JKJaXmPLvHcESHA=", answer.Headers["X-Request-Id"])
		require.Equal(t, "application/json", answer.Headers["Content-Type"])
	}
}

func TestWhatAFunctionCannotStartWith(t *testing.T) {
	t.Parallel()
	env := environment(t)
	for name, tc := range map[string]struct {
		change string
		want   string
	}{
		"no database":           {"DATABASE_URL=postgres://127.0.0.1:1/none", "database"},
		"a bad database url":    {"DATABASE_URL=::", "DATABASE_URL"},
		"a bad redis url":       {"REDIS_URL=http://x", "REDIS_URL"},
		"a short master key":    {"MASTER_KEY=ab", "MASTER_KEY"},
		"no redis":              {"REDIS_URL=", "REDIS_URL"},
		"production, plain tcp": {"WAFLEET_ENV=production SQS_ENDPOINT=", "rediss://"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var out bytes.Buffer
			require.Equal(t, 1, boot.Function(t.Context(), append(slices.Clip(env), strings.Fields(tc.change)...), &out, boot.API(t.Context(), "ops")))
			require.Contains(t, out.String(), tc.want)
		})
	}
}
