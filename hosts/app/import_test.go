package app_test

import (
	"context"
	"log/slog"
	"net/http"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/stretchr/testify/require"
	"go.mau.fi/whatsmeow"
	"go.mau.fi/whatsmeow/store/sqlstore"
	"go.mau.fi/whatsmeow/types/events"
	waLog "go.mau.fi/whatsmeow/util/log"

	"wafleet/hosts/app"
	"wafleet/infra/wasim"
	"wafleet/infra/wasim/wasimclient"
	"wafleet/shared/message"
	"wafleet/shared/session"
	"wafleet/shared/store"
	"wafleet/shared/store/db"
)

// elsewhere is another program's database of whatsmeow's own store; it is a schema of the test's database.
type elsewhere struct {
	*sqlstore.Container

	pool *pgxpool.Pool
}

func (in *installation) elsewhere(t *testing.T) *elsewhere {
	t.Helper()
	_, err := in.store.Pool().Exec(t.Context(), `CREATE SCHEMA elsewhere`)
	require.NoError(t, err)
	config, err := pgx.ParseConfig(in.url)
	require.NoError(t, err)
	config.RuntimeParams["search_path"] = "elsewhere"
	opened := stdlib.OpenDB(*config)
	t.Cleanup(func() { require.NoError(t, opened.Close()) })
	e := &elsewhere{Container: sqlstore.NewWithDB(opened, "postgres", waLog.Noop)}
	require.NoError(t, e.Upgrade(t.Context()))
	pooled, err := pgxpool.ParseConfig(in.url)
	require.NoError(t, err)
	pooled.ConnConfig.RuntimeParams["search_path"] = "elsewhere"
	e.pool, err = pgxpool.NewWithConfig(context.WithoutCancel(t.Context()), pooled)
	require.NoError(t, err)
	t.Cleanup(e.pool.Close)
	return e
}

// link pairs a number with the other program, which ends after that.
func (e *elsewhere) link(t *testing.T, number string) {
	t.Helper()
	transport, err := wasimclient.NewTransport(whatsapp.Endpoint(), whatsapp.RootCA())
	require.NoError(t, err)
	defer transport.CloseIdleConnections()
	client := whatsmeow.NewClient(e.NewDevice(), waLog.Noop)
	client.SetWebsocketHTTPClient(&http.Client{Transport: transport})
	client.SetPreLoginHTTPClient(&http.Client{Transport: transport})
	client.EnableAutoReconnect, client.DisableLoginAutoReconnect = false, true
	told := make(chan any, 256)
	client.AddEventHandler(func(event any) { told <- event })
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), await)
	defer cancel()
	require.NoError(t, client.ConnectContext(ctx))
	for {
		select {
		case event := <-told:
			switch event := event.(type) {
			case *events.QR:
				_, err := whatsapp.Scan(ctx, number, event.Codes[0])
				require.NoError(t, err)
			case *events.ManualLoginReconnect:
				client.Disconnect()
				require.NoError(t, client.ConnectContext(ctx))
			case *events.Connected:
				client.Disconnect()
				return
			}
		case <-ctx.Done():
			require.FailNow(t, "not linked")
		}
	}
}

func (in *installation) runImport(t *testing.T, from *elsewhere, change ...func(c *app.ImportConfig)) map[string]error {
	t.Helper()
	cfg := app.ImportConfig{Shards: shards, RatePerMinute: 30}
	for _, f := range change {
		f(&cfg)
	}
	all, err := app.Import(t.Context(), app.ImportDeps{Pool: in.store.Pool(), Vault: in.vault, Source: from.pool, Logger: slog.New(slog.DiscardHandler)}, cfg)
	require.NoError(t, err)
	byCompany := map[string]error{}
	for _, i := range all {
		byCompany[i.CompanyID] = i.Err
	}
	return byCompany
}

// A device of another program is taken over without its phone: the session connects and sends.
func TestImport(t *testing.T) {
	t.Parallel()
	in := newInstallation(t)
	in.host(t)
	from, c, anna := in.elsewhere(t), in.company(t, "salon"), newPhone(t, wasim.NewPhone{Name: "Anna"})
	from.link(t, c.number)
	whose := func(cfg *app.ImportConfig) { cfg.Companies = map[string]string{c.number: c.id} }

	rehearsed := in.runImport(t, from, whose, func(cfg *app.ImportConfig) { cfg.DryRun = true })
	require.Equal(t, map[string]error{c.id: nil}, rehearsed)
	row, err := in.store.Queries().GetSession(t.Context(), in.store.Pool(), c.id)
	require.NoError(t, err)
	require.Nil(t, row.JID, "a rehearsal changes nothing")

	require.Equal(t, map[string]error{c.id: nil}, in.runImport(t, from, whose))
	require.ErrorIs(t, in.runImport(t, from, whose)[c.id], store.ErrLinked, "once is enough")
	row = c.awaitState(t, session.Stopped)
	require.Contains(t, *row.JID, c.number)

	c.want(t, db.SetDesiredParams{DesiredState: string(session.DesiredRunning)})
	c.awaitState(t, session.Connected)
	c.awaitStatus(t, c.send(t, anna, "from the new home"), message.Delivered)
	phone, err := whatsapp.Phone(c.number)
	require.NoError(t, err)
	require.Len(t, phone.Companions, 1)
}

// A session that was used before, and logged out, can be given a device as well: its owner notices.
func TestImportForACompanyThatHadASession(t *testing.T) {
	t.Parallel()
	in := newInstallation(t)
	in.host(t)
	from, c := in.elsewhere(t), in.company(t, "salon")
	c.pair(t)
	c.want(t, db.SetDesiredParams{DesiredState: string(session.DesiredLoggedOut)})
	c.awaitState(t, session.LoggedOut)
	from.link(t, c.number)
	whose := func(cfg *app.ImportConfig) { cfg.Companies = map[string]string{c.number: c.id} }
	require.Eventually(t, func() bool { return in.runImport(t, from, whose)[c.id] == nil }, await, 10e6)
	c.want(t, db.SetDesiredParams{DesiredState: string(session.DesiredRunning)})
	c.awaitState(t, session.Connected)
}

// What cannot be imported is refused with its reason, changes nothing, and keeps nothing else from being imported.
func TestImportRefuses(t *testing.T) {
	t.Parallel()
	in := newInstallation(t)
	in.host(t)
	from := in.elsewhere(t)
	linked, taken, running, good := in.company(t, "linked"), in.company(t, "taken"), in.company(t, "running"), in.company(t, "good")
	linked.pair(t)
	companies, numbers := map[string]string{}, map[string]string{}
	for _, id := range []string{"linked", "taken", "running", "good", "no such", "absent"} {
		numbers[id] = newPhone(t, wasim.NewPhone{Name: id})
		companies[numbers[id]] = id
	}
	for _, number := range numbers {
		from.link(t, number)
	}
	other := in.company(t, "other")
	_, err := in.store.Pool().Exec(t.Context(), `UPDATE whatsapp_sessions SET jid = $2 WHERE company_id = $1`, other.id, numbers["taken"]+":40@s.whatsapp.net")
	require.NoError(t, err)
	running.want(t, db.SetDesiredParams{DesiredState: string(session.DesiredRunning)})

	whose := func(cfg *app.ImportConfig) { cfg.Companies = companies }
	got := in.runImport(t, from, whose)
	for id, want := range map[string]error{
		"linked": store.ErrLinked, "taken": store.ErrNumberTaken, "running": store.ErrRunning, "absent": store.ErrNoCompany,
		"no such": app.ErrImportRefused,
	} {
		require.ErrorIs(t, got[id], want)
		require.ErrorIs(t, got[id], app.ErrImportRefused)
	}
	require.NoError(t, got["good"])
	var devices int
	require.NoError(t, in.store.Pool().QueryRow(t.Context(), `SELECT count(*) FROM devices WHERE company_id <> 'linked'`).Scan(&devices))
	require.Equal(t, 1, devices)
	good.awaitState(t, session.Stopped)
	taken.awaitState(t, session.Created)

	got = in.runImport(t, from, whose, func(cfg *app.ImportConfig) { cfg.Create = true })
	require.NoError(t, got["absent"])
	(&tenant{installation: in, id: "absent"}).awaitState(t, session.Stopped)
}
