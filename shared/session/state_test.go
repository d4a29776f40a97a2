package session_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"wafleet/shared/session"
)

func TestEveryStateHasAStatusWord(t *testing.T) {
	t.Parallel()
	want := map[session.State]string{
		session.Created: "disconnected", session.Pairing: "connecting", session.Connecting: "connecting",
		session.Connected: "connected", session.Reconnecting: "connecting", session.LoggedOut: "disconnected",
		session.Banned: "disconnected", session.Failed: "disconnected", session.Stopped: "disconnected",
	}
	require.Len(t, session.States(), len(want))
	for _, s := range session.States() {
		require.Equal(t, want[s], s.Status(), s)
	}
}

func TestSendsAreRefusedOnlyWhereAUserIsNeeded(t *testing.T) {
	t.Parallel()
	for _, s := range session.States() {
		require.Equal(t, s.Status() == "disconnected", s.NeedsUser(), s)
	}
}
