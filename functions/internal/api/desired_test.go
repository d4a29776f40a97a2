package api_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"wafleet/shared/session"
)

func TestRestart(t *testing.T) {
	t.Parallel()
	b := setup(t, likeAFunction)
	b.company(t, "962302", session.Connected)
	woken := nudges(t, b)
	restarts := func() int64 {
		return scan[int64](t, b, `SELECT restart_generation FROM whatsapp_sessions WHERE company_id = '962302'`)
	}
	b.do(t, http.MethodPost, "/sessions/962302/restart", b.admin, "").status(200).golden("restart")
	require.Equal(t, "running/1/qr/", declared(t, b, "962302"))
	require.EqualValues(t, 1, restarts())
	require.Equal(t, "962302", <-woken)
	b.do(t, http.MethodPost, "/sessions/962302/restart", b.admin, "").status(200)
	require.EqualValues(t, 2, restarts(), "each call is a restart")
	require.Equal(t, "running/2/qr/", declared(t, b, "962302"))

	b.do(t, http.MethodPost, "/sessions/962302/disconnect", b.admin, "").status(200)
	require.EqualValues(t, 2, restarts(), "a disconnect is none")
	b.do(t, http.MethodPost, "/sessions/962302/restart", b.admin, "").status(200)
	require.Equal(t, "running/4/qr/", declared(t, b, "962302"), "what was stopped comes up")
	b.do(t, http.MethodPost, "/sessions/nobody/restart", b.admin, "").status(404).code("COMPANY_NOT_FOUND")
}

func TestLogout(t *testing.T) {
	t.Parallel()
	b := setup(t, likeAFunction)
	b.company(t, "962302", session.Connected)
	woken := nudges(t, b)
	for range 2 {
		b.do(t, http.MethodPost, "/sessions/962302/logout", b.admin, "").status(200).golden("logout")
		require.Equal(t, "logged_out/1/qr/", declared(t, b, "962302"), "once asked for is enough")
	}
	require.Equal(t, "962302", <-woken)
	b.setState(t, "962302", session.Stopped)
	b.exec(t, `UPDATE whatsapp_sessions SET jid = '79001234567:7@s.whatsapp.net'`)
	b.do(t, http.MethodPost, "/sessions/962302/logout", b.admin, "").status(200)
	require.Equal(t, "logged_out/2/qr/", declared(t, b, "962302"), "a stopped session is still linked")
	b.do(t, http.MethodPost, "/sessions/nobody/logout", b.admin, "").status(404).code("COMPANY_NOT_FOUND")
}

func TestDeleteSession(t *testing.T) {
	t.Parallel()
	b := setup(t, likeAFunction)
	b.company(t, "962302", session.Pairing)
	b.exec(t, `UPDATE whatsapp_sessions SET pairing_method = 'pairing_code', pairing_phone = '79001234567'`)
	woken := nudges(t, b)
	remove := func() answer { return b.do(t, http.MethodDelete, "/sessions/962302", b.admin, "").status(200) }
	doomed := func() bool { return scan[bool](t, b, `SELECT delete_after_logout FROM whatsapp_sessions`) }

	remove().golden("session-deleted")
	require.Equal(t, "logged_out/1/qr/", declared(t, b, "962302"), "the number is forgotten")
	require.True(t, doomed())
	require.Equal(t, "962302", <-woken)
	remove()
	require.Equal(t, "logged_out/1/qr/", declared(t, b, "962302"), "once asked for is enough")

	b.do(t, http.MethodPost, "/sessions/962302/initialize", b.admin, "").status(200)
	require.True(t, doomed(), "what is asked for later comes after it")
	remove()
	require.Equal(t, "logged_out/3/qr/", declared(t, b, "962302"), "and is taken back")

	// What the owner makes of it.
	b.exec(t, `UPDATE whatsapp_sessions SET state = 'created', delete_after_logout = false, observed_generation = desired_generation`)
	remove()
	require.Equal(t, "logged_out/3/qr/", declared(t, b, "962302"), "there is nothing left to delete")
	b.do(t, http.MethodPost, "/sessions/962302/initialize", b.admin, "").status(200)
	require.Equal(t, "running/4/qr/", declared(t, b, "962302"))
	b.do(t, http.MethodDelete, "/sessions/nobody", b.admin, "").status(404).code("COMPANY_NOT_FOUND")
}

// A session that was linked and is stopped, failed or logged out still has keys.
func TestDeleteWhatIsDown(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.company(t, "962302", session.Created)
	for n, state := range []session.State{session.Stopped, session.LoggedOut, session.Failed, session.Banned, session.Connected} {
		b.setState(t, "962302", state)
		b.exec(t, `UPDATE whatsapp_sessions SET delete_after_logout = false`)
		b.do(t, http.MethodDelete, "/sessions/962302", b.admin, "").status(200)
		require.Equal(t, int64(n)+1, scan[int64](t, b, `SELECT desired_generation FROM whatsapp_sessions`), state)
	}
}

func TestDeclarationsOutliveRedis(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.company(t, "962302", session.Connected)
	b.redis.Close()
	b.do(t, http.MethodPost, "/sessions/962302/restart", b.admin, "").status(200)
	b.do(t, http.MethodPost, "/sessions/962302/logout", b.admin, "").status(200)
	b.do(t, http.MethodDelete, "/sessions/962302", b.admin, "").status(200)
	require.Equal(t, "logged_out/3/qr/", declared(t, b, "962302"))
}
