package wa

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"go.mau.fi/whatsmeow"

	"wafleet/hosts/internal/actor"
)

func TestClassify(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		err, storeErr error
		at            stage
		outcome       actor.Outcome
		reason        string
		final         bool
	}{
		"offline":                 {whatsmeow.ErrNotConnected, nil, aroundFrame, actor.NotWritten, "connection_lost", false},
		"offline, wrapped":        {fmt.Errorf("failed to send message node: %w", whatsmeow.ErrNotConnected), nil, aroundFrame, actor.NotWritten, "connection_lost", false},
		"no device":               {whatsmeow.ErrNotLoggedIn, nil, aroundFrame, actor.NotWritten, "connection_lost", false},
		"dropped before":          {&whatsmeow.DisconnectedError{Action: "info query"}, nil, aroundFrame, actor.NotWritten, "connection_lost", false},
		"dropped after":           {&whatsmeow.DisconnectedError{Action: "message send"}, nil, aroundFrame, actor.Unknown, "connection_lost", false},
		"dropped on the retry":    {&whatsmeow.DisconnectedError{Action: "message send (retry)"}, nil, aroundFrame, actor.Unknown, "connection_lost", false},
		"no ack":                  {whatsmeow.ErrMessageTimedOut, nil, aroundFrame, actor.Unknown, "no_ack", false},
		"not on WhatsApp":         {errNoDevices, nil, beforeFrame, actor.Refused, "recipient_not_on_whatsapp", true},
		"no keys":                 {errPreKeys, nil, beforeFrame, actor.NotWritten, "prekeys_unavailable", false},
		"query timed out":         {whatsmeow.ErrIQTimedOut, nil, beforeFrame, actor.NotWritten, "query_timeout", false},
		"query refused":           {whatsmeow.ErrIQRateOverLimit, nil, beforeFrame, actor.NotWritten, "query_refused_429", false},
		"cold contacts locked":    {fmt.Errorf("%w 463", whatsmeow.ErrServerReturnedError), nil, aroundFrame, actor.Refused, "account_reachout_locked", true},
		"refused":                 {fmt.Errorf("%w 479", whatsmeow.ErrServerReturnedError), nil, aroundFrame, actor.Refused, "server_refused_479", false},
		"server busy":             {fmt.Errorf("%w 503", whatsmeow.ErrServerReturnedError), nil, aroundFrame, actor.NotWritten, "server_refused_503", false},
		"too fast":                {fmt.Errorf("%w 429", whatsmeow.ErrServerReturnedError), nil, aroundFrame, actor.NotWritten, "server_refused_429", false},
		"deadline while asking":   {context.DeadlineExceeded, nil, beforeFrame, actor.NotWritten, "timeout", false},
		"deadline while sending":  {context.DeadlineExceeded, nil, aroundFrame, actor.Unknown, "timeout", false},
		"the device store failed": {context.Canceled, errors.New("connection refused"), aroundFrame, actor.NotWritten, "device_store", false},
		"unheard of, before":      {errors.New("new"), nil, beforeFrame, actor.NotWritten, "query_failed", false},
		"unheard of, around":      {errors.New("new"), nil, aroundFrame, actor.Unknown, "no_ack", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var got *actor.SendError
			require.ErrorAs(t, classify(tc.err, tc.storeErr, tc.at), &got)
			require.Equal(t, tc.outcome, got.Outcome)
			require.Equal(t, tc.reason, got.Reason)
			require.Equal(t, tc.final, got.Final)
		})
	}
	require.NoError(t, classify(nil, nil, aroundFrame))
}
