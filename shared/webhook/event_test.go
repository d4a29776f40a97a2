package webhook_test

import (
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"wafleet/shared/message"
	"wafleet/shared/webhook"
)

func TestEventTypesAreAClosedList(t *testing.T) {
	t.Parallel()
	types := webhook.EventTypes()
	require.Len(t, types, 22)
	slices.Sort(types)
	require.Len(t, slices.Compact(types), 22, "a type is listed twice")
	for _, name := range types {
		require.Regexp(t, `^(message|session|account|webhook|batch)\.[a-z_]+$`, name)
		require.True(t, webhook.KnownEventType(name))
	}
	for _, name := range []string{"", "message", "message.*", "message.queued", "Message.sent"} {
		require.False(t, webhook.KnownEventType(name), name)
	}
	webhook.EventTypes()[0] = "changed"
	require.NotContains(t, webhook.EventTypes(), "changed", "callers get a copy")
}

func TestEveryEventOfTheLadderIsKnown(t *testing.T) {
	t.Parallel()
	for _, status := range append(message.Statuses(), message.Received) {
		if name := status.EventType(); name != "" {
			require.True(t, webhook.KnownEventType(name), name)
		}
	}
}

func TestPayloadOnTheWire(t *testing.T) {
	t.Parallel()
	moscow := time.FixedZone("MSK", 3*60*60)
	body, err := webhook.Payload{
		ID: webhook.EventID(uuid.MustParse("018f0000-0000-7000-8000-000000000001")), Type: webhook.MessageSent, Timestamp: time.Date(2026, 11, 1, 15, 4, 5, 678000, moscow),
		CompanyID: "962302", Sequence: 7, Data: []byte(`{"text":"a<b & ж"}`),
	}.Encode()
	require.NoError(t, err)
	require.JSONEq(t, `{"id":"evt_018f0000-0000-7000-8000-000000000001","type":"message.sent","timestamp":"2026-11-01T12:04:05.000678Z","companyId":"962302",
		"sequence":7,"data":{"text":"a<b & ж"}}`, string(body))
}

func TestPayloadWithBrokenDataIsRefused(t *testing.T) {
	t.Parallel()
	_, err := webhook.Payload{Data: []byte(`{"half`)}.Encode()
	require.Error(t, err)
}
