package config_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"wafleet/shared/config"
	"wafleet/shared/webhook"
)

func TestWebhooks(t *testing.T) {
	t.Parallel()
	got, err := config.Load[config.Webhooks](nil)
	require.NoError(t, err)
	require.True(t, got.Schedule.Equal(webhook.DefaultSchedule()), "%s", got.Schedule)

	got, err = config.Load[config.Webhooks]([]string{"WEBHOOK_SCHEDULE=0,1s,2s"})
	require.NoError(t, err)
	require.Equal(t, "0s,1s,2s", got.Schedule.String())

	_, err = config.Load[config.Webhooks]([]string{"WEBHOOK_SCHEDULE=soon"})
	require.ErrorContains(t, err, "waiting times")
}
