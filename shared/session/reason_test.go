package session_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"wafleet/shared/session"
)

// The reasons that owners write, and what a person is told to do.
func TestReasonsAreExplained(t *testing.T) {
	t.Parallel()
	for reason, action := range map[string]session.UserAction{
		"pairing_timeout": session.ActionRelink, "pairing_code_refused": session.ActionRelink, "number_taken": session.ActionRelink,
		"pairing_failed": session.ActionRelink, "pairing_rate_limited": session.ActionWait, "wrong_number": session.ActionRelink,
		"phone_without_multidevice": session.ActionRelink, "device_removed": session.ActionRelink,
		"main_device_gone": session.ActionRelink, "logged_out": session.ActionRelink, "unknown_logout": session.ActionRelink,
		"device_gone": session.ActionRelink, "device_unreadable": session.ActionRelink, "asked": session.ActionRelink,
		"unlink_failed":     session.ActionRelink,
		"temporary_ban_101": session.ActionWait, "temporary_ban_106": session.ActionWait,
		"client_outdated": session.ActionUpdate, "duplicate_session": session.ActionRelink,
		"reconnect_exhausted": session.ActionNone, "connect_failure_400": session.ActionNone, "connection_lost": session.ActionNone,
		"keepalive_timeout": session.ActionNone, "stream_replaced": session.ActionNone, "stream_error_516": session.ActionNone,
		"breaker_open": session.ActionNone,
	} {
		m, ok := session.Explain(reason)
		require.True(t, ok, reason)
		require.Equal(t, action, m.Action, reason)
		require.Regexp(t, `^[A-Z].*\.$`, m.Text, reason)
		require.Equal(t, m.Text, session.Text(reason))
	}
}

func TestUnknownReasonsAreNotGuessedAt(t *testing.T) {
	t.Parallel()
	for _, reason := range []string{"", "_", "7", "nonsense", "nonsense_7", "temporary_ban_", "temporary_ban_x", "connection_lost7", "connect_failure"} {
		m, ok := session.Explain(reason)
		if reason == "temporary_ban_" { // the prefix itself: WhatsApp's number is missing, the meaning is the same
			require.True(t, ok)
			continue
		}
		require.False(t, ok, reason)
		require.Empty(t, m)
		require.Empty(t, session.Text(reason))
	}
}
