package wasim_test

import (
	"crypto/tls"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.mau.fi/whatsmeow"
	"go.mau.fi/whatsmeow/binary"
	"go.mau.fi/whatsmeow/types"
	"go.mau.fi/whatsmeow/types/events"
	"go.mau.fi/whatsmeow/util/keys"

	"wafleet/infra/wasim"
)

func TestSecondLoginReplacesTheFirst(t *testing.T) {
	t.Parallel()
	b := start(t, wasim.Options{})
	b.phone(t, anna, "Anna")
	first := b.pair(t, anna)
	second := b.twin(t, first)
	second.login(t)
	await[*events.StreamReplaced](t, first, nil)

	var live int
	for _, row := range b.Journal(0, 0) { // Never two at a time, in the order of the journal.
		if row.Device == "" {
			continue
		}
		switch row.Tag {
		case "success":
			live++
			require.Equal(t, 1, live, "row %d", row.N)
		case "close":
			live--
		}
	}
	require.Equal(t, 1, live)
}

func TestUnlinkedCompanionIsLoggedOut(t *testing.T) {
	t.Parallel()
	b := start(t, wasim.Options{})
	b.phone(t, anna, "Anna")
	c := b.pair(t, anna)
	again := b.twin(t, c)
	require.NoError(t, b.Unlink(t.Context(), anna, 1))
	out := await[*events.LoggedOut](t, c, nil)
	require.False(t, out.OnConnect)
	require.Eventually(t, c.store.isDeleted, patience, time.Millisecond)
	require.ErrorIs(t, b.Unlink(t.Context(), anna, 1), wasim.ErrNotFound)

	require.NoError(t, again.Connect())
	out = await[*events.LoggedOut](t, again, nil)
	require.True(t, out.OnConnect)
	require.Equal(t, events.ConnectFailureLoggedOut, out.Reason)
}

func TestLogoutUnlinks(t *testing.T) {
	t.Parallel()
	b := start(t, wasim.Options{})
	b.phone(t, anna, "Anna")
	c := b.pair(t, anna)
	// What Logout asks for. Logout itself deletes the device a second time, beside the handler of the 401.
	_, err := c.DangerousInternals().SendIQ(t.Context(), whatsmeow.DangerousInfoQuery{
		Namespace: "md", Type: "set", To: types.ServerJID,
		Content: []binary.Node{{Tag: "remove-companion-device", Attrs: binary.Attrs{"jid": *c.Store.ID, "reason": "user_initiated"}}},
	})
	require.NoError(t, err)
	await[*events.LoggedOut](t, c, nil)
	phone, err := b.Phone(anna)
	require.NoError(t, err)
	require.Empty(t, phone.Companions)
	b.noneUnhandled(t)
}

func TestLoginNeedsTheKeyOfThePairing(t *testing.T) {
	t.Parallel()
	b := start(t, wasim.Options{})
	b.phone(t, anna, "Anna")
	c := b.pair(t, anna)
	thief := b.twin(t, c)
	thief.Store.NoiseKey = keys.NewKeyPair()
	require.NoError(t, thief.Connect())
	await[*events.LoggedOut](t, thief, nil)
	require.True(t, c.IsLoggedIn(), "the true one stays")
}

func TestOthersLearnOfNewDevices(t *testing.T) {
	t.Parallel()
	b := start(t, wasim.Options{})
	b.phone(t, anna, "Anna")
	b.phone(t, boris, "Boris")
	company := b.pair(t, anna)
	company.text(t, boris, "before")

	colleague, partner := b.pair(t, anna), b.pair(t, boris)
	after := func(m *events.Message) bool { return textOf(m.Message) == "after" }
	require.Eventually(t, func() bool { // whatsmeow takes the news in beside what it is doing.
		company.text(t, boris, "after")
		return count(partner, after) > 0 && count(colleague, after) > 0
	}, patience, 20*time.Millisecond)
	came := await(t, colleague, after)
	require.True(t, came.Info.IsFromMe)
	require.Equal(t, boris, came.Info.Chat.User)
	b.noneUnhandled(t)
}

func TestStatsCountLogins(t *testing.T) {
	t.Parallel()
	b := start(t, wasim.Options{})
	b.phone(t, anna, "Anna")
	c := b.pair(t, anna)
	stats := b.Stats()
	require.Equal(t, uint64(1), stats.Logins)
	require.Equal(t, int64(1), stats.Connections.Open)
	require.Equal(t, uint64(2), stats.Connections.Total, "one to pair, one to log in")
	require.Equal(t, int64(1), stats.ByAccount[anna].Connections)
	c.Disconnect()
	require.Eventually(t, func() bool { return b.Stats().Connections.Open == 0 }, patience, time.Millisecond)
	require.Zero(t, b.Stats().ByAccount[anna].Connections)
}

func TestSilentConnectionIsClosed(t *testing.T) {
	t.Parallel()
	b := start(t, wasim.Options{IdleTimeout: 100 * time.Millisecond})
	b.phone(t, anna, "Anna")
	c := b.lightPair(t, anna)
	require.NoError(t, c.Login(t.Context()))
	closes(t, c)
	require.Eventually(t, func() bool { return b.Stats().Connections.Open == 0 }, patience, time.Millisecond)
}

func TestPresenceWhilePairing(t *testing.T) {
	t.Parallel()
	b := start(t, wasim.Options{})
	c, _ := b.shown(t)
	for _, tag := range []string{"presence", "ib", "ack"} {
		require.NoError(t, c.DangerousInternals().SendNode(t.Context(), binary.Node{Tag: tag, Attrs: binary.Attrs{"name": "~"}}))
	}
	_, err := c.DangerousInternals().SendIQ(t.Context(), whatsmeow.DangerousInfoQuery{Namespace: "w:p", Type: "get", To: types.ServerJID})
	require.NoError(t, err)
	b.noneUnhandled(t)
	_, err = c.DangerousInternals().SendIQ(t.Context(), whatsmeow.DangerousInfoQuery{Namespace: "encrypt", Type: "get", To: types.ServerJID})
	require.Error(t, err, "only for those who are logged in")
}

// TestOneConnectionDoesNotHoldUpAnother floods a companion that reads nothing, while others go on.
func TestOneConnectionDoesNotHoldUpAnother(t *testing.T) {
	t.Parallel()
	b := start(t, wasim.Options{WriteTimeout: 200 * time.Millisecond})
	b.phone(t, anna, "Anna")
	b.phone(t, boris, "Boris")
	company := b.pair(t, anna)
	stuck := b.lightPair(t, boris)
	require.NoError(t, stuck.Login(t.Context()))
	require.NoError(t, stuck.Socket().(*tls.Conn).NetConn().(*net.TCPConn).SetReadBuffer(4096)) //nolint:forcetypeassert // A test.
	sent := 0
	require.Eventually(t, func() bool { // Until the buffers of both sockets are full.
		_, err := b.SendText(t.Context(), boris, anna, strings.Repeat("x", 200_000))
		require.NoError(t, err)
		sent++
		phone, err := b.Phone(boris)
		require.NoError(t, err)
		return !phone.Companions[0].Connected
	}, patience, time.Millisecond)
	require.Eventually(t, func() bool { return count[*events.Message](company, nil) == sent }, patience, time.Millisecond)
	phone, err := b.Phone(boris)
	require.NoError(t, err)
	require.GreaterOrEqual(t, phone.Companions[0].Waiting, sent, "what the stuck one has not read still waits for it")
}
