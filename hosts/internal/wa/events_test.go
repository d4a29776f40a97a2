package wa

import (
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.mau.fi/whatsmeow"
	"go.mau.fi/whatsmeow/store"
	"go.mau.fi/whatsmeow/types"
	"go.mau.fi/whatsmeow/types/events"

	"wafleet/hosts/internal/actor"
	"wafleet/shared/message"
	"wafleet/shared/session"
	durable "wafleet/shared/store"
)

// Every event after which whatsmeow stays away by itself has to end in something that brings the session
// back, or says what the user has to do.
func TestSignals(t *testing.T) {
	t.Parallel()
	jid, lid := types.NewJID("79000000001", types.DefaultUserServer), types.NewJID("1001", types.HiddenUserServer)
	jid.Device = 7
	c := &Conn{client: whatsmeow.NewClient(&store.Device{ID: &jid, LID: lid, PushName: "Salon"}, nil)}
	for name, tc := range map[string]struct {
		event  any
		state  session.State
		reason string
		action session.UserAction
		then   actor.Then
		after  time.Duration
	}{
		"hint":               {&events.QRScannedWithoutMultidevice{}, "", "phone_without_multidevice", "", actor.Hint, 0},
		"first silence":      {&events.KeepAliveTimeout{ErrorCount: 1}, "", "", "", actor.Suspect, 0},
		"number taken":       {&events.PairError{Error: fmt.Errorf("save: %w", durable.ErrNumberTaken)}, session.Failed, "number_taken", session.ActionRelink, actor.Halt, 0},
		"banned for a blink": {&events.TemporaryBan{Code: 104}, session.Banned, "temporary_ban_104", session.ActionWait, actor.Pause, refusedPause},
		"unknown log-out":    {&events.LoggedOut{OnConnect: true, Reason: 406}, session.LoggedOut, "unknown_logout", session.ActionRelink, actor.Halt, 0},
		"qr":                 {&events.QR{Codes: []string{"a"}}, "", "", "", actor.ShowQR, 0},
		"paired":             {&events.PairSuccess{ID: jid, LID: lid}, "", "", "", actor.Carry, 0},
		"pairing failed":     {&events.PairError{}, session.Failed, "pairing_failed", session.ActionRelink, actor.Halt, 0},
		"restart":            {&events.ManualLoginReconnect{}, "", "", "", actor.Redial, 0},
		"connected":          {&events.Connected{}, session.Connected, "", "", actor.Drain, 0},
		"caught up":          {&events.OfflineSyncCompleted{}, "", "", "", actor.Settle, 0},
		"dropped":            {&events.Disconnected{}, session.Reconnecting, "connection_lost", "", actor.Retry, 0},
		"dead":               {&events.KeepAliveTimeout{ErrorCount: 2}, session.Reconnecting, "keepalive_timeout", "", actor.Retry, 0},
		"replaced":           {&events.StreamReplaced{}, session.Reconnecting, "stream_replaced", "", actor.Yield, replacedPause},
		"removed":            {&events.LoggedOut{}, session.LoggedOut, "device_removed", session.ActionRelink, actor.Halt, 0},
		"refused as unknown": {&events.LoggedOut{OnConnect: true, Reason: 401}, session.LoggedOut, "logged_out", session.ActionRelink, actor.Halt, 0},
		"main device gone":   {&events.LoggedOut{OnConnect: true, Reason: 403}, session.LoggedOut, "main_device_gone", session.ActionRelink, actor.Halt, 0},
		"banned":             {&events.TemporaryBan{Code: 101, Expire: time.Hour}, session.Banned, "temporary_ban_101", session.ActionWait, actor.Pause, time.Hour},
		"outdated":           {&events.ClientOutdated{}, session.Reconnecting, "client_outdated", "", actor.Renew, 0},
		"refused":            {&events.ConnectFailure{Reason: 418}, session.Reconnecting, "connect_failure_418", "", actor.Retry, refusedPause},
		"stream error":       {&events.StreamError{Code: "500"}, session.Reconnecting, "stream_error_500", "", actor.Retry, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, relevant := c.signal(tc.event)
			require.True(t, relevant)
			require.Equal(t, tc.state, s.State)
			require.Equal(t, tc.reason, s.Reason)
			require.Equal(t, tc.action, s.Action)
			require.Equal(t, tc.then, s.Then)
			require.Equal(t, tc.after, s.After)
			if _, refused := tc.event.(*events.ConnectFailure); refused {
				require.Equal(t, refusedLimit, s.UpTo)
			} else {
				require.Zero(t, s.UpTo)
			}
			if s.State == session.Connected {
				require.Equal(t, "79000000001:7@s.whatsapp.net", s.JID)
				require.Equal(t, "1001@lid", s.LID)
				require.Equal(t, "Salon", s.Name)
			}
		})
	}
	for _, quiet := range []any{&events.CATRefreshError{}, &events.KeepAliveRestored{}, &events.Presence{}, "anything"} {
		_, relevant := c.signal(quiet)
		require.False(t, relevant, "%T", quiet)
	}
}

func TestAPanickingHandlerIsNotSuccess(t *testing.T) {
	t.Parallel()
	c := &Conn{
		life: t.Context(), logger: slog.New(slog.DiscardHandler),
		handlers: actor.Handlers{Signal: func(actor.Signal) { panic("boom") }},
	}
	require.False(t, c.handle(&events.Disconnected{}))
}

func TestReceipts(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		kind     types.ReceiptType
		fromMe   bool
		relevant bool
		status   message.Status
	}{
		"delivered":           {types.ReceiptTypeDelivered, false, true, message.Delivered},
		"read":                {types.ReceiptTypeRead, false, true, message.Read},
		"played":              {types.ReceiptTypePlayed, false, true, message.Played},
		"our other device":    {types.ReceiptTypeDelivered, true, false, message.Delivered},
		"read by our phone":   {types.ReceiptTypeReadSelf, true, false, ""},
		"could not decrypt":   {types.ReceiptTypeRetry, false, false, ""},
		"delivered to sender": {types.ReceiptTypeSender, true, false, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, relevant := receipt(&events.Receipt{
				MessageSource: types.MessageSource{IsFromMe: tc.fromMe}, MessageIDs: []string{"A"}, Type: tc.kind,
			})
			require.Equal(t, tc.relevant, relevant)
			if relevant {
				require.Equal(t, actor.Receipt{MessageIDs: []string{"A"}, Status: tc.status}, r)
			}
		})
	}
}
