package api_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"wafleet/shared/session"
)

func TestInitialize(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.company(t, "962302", session.Created)
	woken := nudges(t, b)
	b.do(t, http.MethodPost, "/sessions/962302/initialize", b.admin, "").status(200).golden("initialize")
	require.Equal(t, "running/1/qr/", declared(t, b, "962302"))
	require.Equal(t, "962302", <-woken)

	b.do(t, http.MethodPost, "/sessions/nobody/initialize", b.admin, `{}`).status(404).code("COMPANY_NOT_FOUND")
}

func TestInitializeKeepsTheProfileAsItIs(t *testing.T) {
	t.Parallel()
	b := setup(t, likeAFunction)
	b.company(t, "company-123", session.Created)
	b.do(t, http.MethodPost, "/sessions/company-123/initialize", b.admin, `{
		"name": "Beauty Salon", "phone": "+7 900 123-45-67",
		"config": {"greetingMessage": "Welcome to Beauty Salon!", "workingHours": "9:00-18:00", "ours": {"unknown": [1, null]}}}`).status(200)
	require.Equal(t, "Beauty Salon/79001234567", scan[string](t, b, `SELECT title || '/' || whatsapp_phone FROM companies`))
	require.JSONEq(t, `{"greetingMessage": "Welcome to Beauty Salon!", "workingHours": "9:00-18:00", "ours": {"unknown": [1, null]}}`,
		scan[string](t, b, `SELECT whatsapp_config::text FROM companies`))

	b.do(t, http.MethodPost, "/sessions/company-123/initialize", b.admin, `{"name": "Salon"}`).status(200)
	require.Equal(t, "Salon/79001234567/9:00-18:00", scan[string](t, b,
		`SELECT title || '/' || whatsapp_phone || '/' || (whatsapp_config->>'workingHours') FROM companies`), "what is not said stays")
}

func TestInitializeByPairingCode(t *testing.T) {
	t.Parallel()
	b := setup(t, withDefaultCompany("default"), func(o *options) { o.config.CompanyPhone = "79686484488" })
	for _, id := range []string{"given", "profile", "default", "nobody-knows"} {
		b.company(t, id, session.Created)
	}
	b.do(t, http.MethodPost, "/sessions/given/initialize", b.admin, `{"usePairingCode": true, "phoneNumber": "+79001234567"}`).status(200)
	require.Equal(t, "running/1/pairing_code/79001234567", declared(t, b, "given"))
	b.do(t, http.MethodPost, "/sessions/profile/initialize", b.admin, `{"usePairingCode": true, "phone": "79001112233"}`).status(200)
	require.Equal(t, "running/1/pairing_code/79001112233", declared(t, b, "profile"))
	b.do(t, http.MethodPost, "/sessions/default/initialize", b.admin, `{"usePairingCode": true}`).status(200)
	require.Equal(t, "running/1/pairing_code/79686484488", declared(t, b, "default"))

	a := b.do(t, http.MethodPost, "/sessions/nobody-knows/initialize", b.admin, `{"usePairingCode": true}`).status(400)
	require.Equal(t, "phoneNumber", a.value("error", "details", "field"))
	require.Equal(t, "stopped/0/qr/", declared(t, b, "nobody-knows"), "nothing was declared")
}

// How somebody once linked the device says nothing about the next time.
func TestAFormerPairingCodeIsForgotten(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.company(t, "a", session.Created)
	b.do(t, http.MethodPost, "/sessions/a/initialize", b.admin, `{"usePairingCode": true, "phoneNumber": "79001234567"}`).status(200)
	b.do(t, http.MethodPost, "/sessions/a/initialize", b.admin, `{}`).status(200)
	require.Equal(t, "running/1/pairing_code/79001234567", declared(t, b, "a"), "it is under way")
	b.setState(t, "a", session.LoggedOut)
	b.exec(t, `UPDATE whatsapp_sessions SET observed_generation = desired_generation`)
	b.do(t, http.MethodPost, "/sessions/a/initialize", b.admin, `{}`).status(200)
	require.Equal(t, "qr", scan[string](t, b, `SELECT pairing_method FROM whatsapp_sessions WHERE company_id = 'a'`))
	b.do(t, http.MethodDelete, "/sessions/a", b.admin, "").status(200)
	require.Equal(t, "qr", scan[string](t, b, `SELECT pairing_method FROM whatsapp_sessions WHERE company_id = 'a' AND pairing_phone IS NULL`))
}

func TestPairingCodeAsASetting(t *testing.T) {
	t.Parallel()
	b := setup(t, func(o *options) { o.config.UsePairingCode = true })
	b.company(t, "a", session.Created)
	b.company(t, "b", session.Created)
	b.company(t, "c", session.Created)
	b.do(t, http.MethodPost, "/sessions/a/initialize", b.admin, `{"phoneNumber": "79001234567"}`).status(200)
	require.Equal(t, "running/1/pairing_code/79001234567", declared(t, b, "a"))
	b.do(t, http.MethodPost, "/sessions/b/initialize", b.admin, `{}`).status(200)
	require.Equal(t, "running/1/qr/", declared(t, b, "b"), "without a number only the QR is left")
	b.do(t, http.MethodPost, "/sessions/c/initialize", b.admin, `{"usePairingCode": false, "phoneNumber": "79001234567"}`).status(200)
	require.Equal(t, "running/1/qr/", declared(t, b, "c"))
}

func TestInitializeRefuses(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.company(t, "962302", session.Created)
	for body, field := range map[string]string{
		`{"phoneNumber": "abc"}`:                     "phoneNumber",
		`{"phone": "123"}`:                           "phone",
		`{"config": []}`:                             "config",
		`{"config": "x"}`:                            "config",
		`{"usePairingCode": "true"}`:                 "usePairingCode",
		`{"name": 5}`:                                "name",
		`{"greetingMessage": "belongs into config"}`: "greetingMessage",
	} {
		a := b.do(t, http.MethodPost, "/sessions/962302/initialize", b.admin, body).status(400).code("VALIDATION_ERROR")
		if field != "" {
			require.Equal(t, field, a.value("error", "details", "field"), body)
		}
	}
	// What JSON can say and Postgres cannot store.
	for _, body := range []string{`{"config": {"a": "\u0000"}}`, `{"config": {"a": 1e999999}}`, `{"name": "\u0000"}`, `{"config": {"a": "\ud800"}}`} {
		b.do(t, http.MethodPost, "/sessions/962302/initialize", b.admin, body).status(400).code("VALIDATION_ERROR")
	}
	require.Equal(t, "stopped/0/qr/", declared(t, b, "962302"))
}

// A repeated initialize must not restart what is up or on its way.
func TestInitializeIsIdempotent(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.company(t, "962302", session.Created)
	initialize := func(body string) { b.do(t, http.MethodPost, "/sessions/962302/initialize", b.admin, body).status(200) }
	initialize(`{}`)
	initialize(`{}`)
	require.Equal(t, "running/1/qr/", declared(t, b, "962302"), "the owner has not looked yet")

	for _, state := range []session.State{session.Pairing, session.Connecting, session.Connected, session.Reconnecting} {
		b.setState(t, "962302", state)
		initialize(`{}`)
		require.Equal(t, "running/1/qr/", declared(t, b, "962302"), state)
	}
	b.setState(t, "962302", session.Connected)
	initialize(`{"usePairingCode": true, "phoneNumber": "79001234567"}`)
	require.Equal(t, "running/1/qr/", declared(t, b, "962302"), "a linked device is not linked again")

	b.setState(t, "962302", session.Pairing)
	initialize(`{"usePairingCode": true, "phoneNumber": "79001234567"}`)
	require.Equal(t, "running/2/pairing_code/79001234567", declared(t, b, "962302"), "another way of linking")
	for n, state := range []session.State{session.LoggedOut, session.Failed, session.Banned} {
		b.setState(t, "962302", state)
		initialize(`{}`)
		require.Equal(t, int64(n)+3, scan[int64](t, b, `SELECT desired_generation FROM whatsapp_sessions`), state)
	}
}

func TestDisconnect(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.company(t, "962302", session.Connected)
	woken := nudges(t, b)
	b.do(t, http.MethodPost, "/sessions/962302/disconnect", b.admin, "").status(200).golden("disconnect")
	require.Equal(t, "stopped/1/qr/", declared(t, b, "962302"))
	require.Equal(t, "962302", <-woken)
	b.do(t, http.MethodPost, "/sessions/962302/disconnect", b.admin, "").status(200)
	require.Equal(t, "stopped/1/qr/", declared(t, b, "962302"))
	b.do(t, http.MethodPost, "/sessions/nobody/disconnect", b.admin, "").status(404).code("COMPANY_NOT_FOUND")
}

// A nudge is a convenience: the declaration is in the database.
func TestInitializeWithoutRedis(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.company(t, "962302", session.Created)
	b.redis.Close()
	b.do(t, http.MethodPost, "/sessions/962302/initialize", b.admin, `{}`).status(200)
	require.Equal(t, "running/1/qr/", declared(t, b, "962302"))
}
