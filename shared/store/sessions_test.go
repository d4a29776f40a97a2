package store_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"wafleet/shared/session"
	"wafleet/shared/store"
	"wafleet/shared/store/db"
)

func change(state session.State) store.SessionChange {
	return store.SessionChange{CompanyID: company, State: state, Action: session.ActionNone}
}

// asPredecessor reads the columns that its reports know, in its words.
type asPredecessor struct {
	Enabled                            bool
	CompanyStatus, Phone, Method       *string
	LastConnected                      *time.Time
	SessionStatus                      string
	SessionCreatedAt, SessionUpdatedAt time.Time
}

func (f *fixture) predecessor(t *testing.T) (p asPredecessor) {
	t.Helper()
	require.NoError(t, f.pool.QueryRow(t.Context(), `
		SELECT c.whatsapp_enabled, c.whatsapp_status, c.whatsapp_phone, c.whatsapp_connection_method, c.whatsapp_last_connected,
		       s.status, s.created_at, s.updated_at
		FROM companies c JOIN whatsapp_sessions s ON s.company_id = c.company_id WHERE c.company_id = $1`, company).
		Scan(&p.Enabled, &p.CompanyStatus, &p.Phone, &p.Method, &p.LastConnected, &p.SessionStatus, &p.SessionCreatedAt, &p.SessionUpdatedAt))
	return p
}

func TestSessionIsMirroredForThePredecessor(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	require.Equal(t, "disconnected", *f.predecessor(t).CompanyStatus)
	require.Equal(t, "disconnected", f.predecessor(t).SessionStatus)
	_, err := f.Queries().SetDesired(t.Context(), f.pool, db.SetDesiredParams{
		CompanyID: company, DesiredState: string(session.DesiredRunning), PairingMethod: new("pairing_code"), PairingPhone: new("79001112233"),
	})
	require.NoError(t, err)

	for _, state := range session.States() {
		c := change(state)
		if state == session.Connected {
			c.JID, c.LID, c.PushName = new("79001112233:7@s.whatsapp.net"), new("55@lid"), new("Salon")
		}
		before := f.predecessor(t)
		_, err := f.ChangeSession(t.Context(), f.fence, c)
		require.NoError(t, err, state)

		p := f.predecessor(t)
		require.Equal(t, state.Status(), *p.CompanyStatus, state)
		require.Equal(t, state.Status(), p.SessionStatus, state)
		require.True(t, p.Enabled, state)
		require.Equal(t, "pairing_code", *p.Method, state)
		require.Equal(t, before.SessionCreatedAt, p.SessionCreatedAt)
		require.True(t, p.SessionUpdatedAt.After(before.SessionUpdatedAt))
		if state == session.Connected {
			require.Equal(t, "79001112233", *p.Phone, "digits only, without the device")
			require.WithinDuration(t, time.Now(), *p.LastConnected, time.Minute)
		} else {
			require.Equal(t, before.Phone, p.Phone, "the number is remembered")
			require.Equal(t, before.LastConnected, p.LastConnected, "the time is remembered")
		}
	}

	_, err = f.Queries().SetDesired(t.Context(), f.pool, db.SetDesiredParams{CompanyID: company, DesiredState: string(session.DesiredStopped)})
	require.NoError(t, err)
	_, err = f.ChangeSession(t.Context(), f.fence, change(session.Stopped))
	require.NoError(t, err)
	require.False(t, f.predecessor(t).Enabled)
}

func TestChangeSession(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	set := func(c store.SessionChange) db.WhatsappSession {
		_, err := f.ChangeSession(t.Context(), f.fence, c)
		require.NoError(t, err)
		row, err := f.Queries().GetSession(t.Context(), f.pool, company)
		require.NoError(t, err)
		return row
	}

	pairing := change(session.Pairing)
	pairing.QRAttempts = 2
	require.Equal(t, 2, set(pairing).QrAttempts)

	connected := change(session.Connected)
	connected.JID, connected.LID, connected.PushName = new("7900:1@s.whatsapp.net"), new("55@lid"), new("Salon")
	first := set(connected)
	require.NotNil(t, first.ConnectedAt)

	again := set(change(session.Connected))
	require.Equal(t, first.ConnectedAt, again.ConnectedAt, "still the same connection")
	require.Equal(t, "7900:1@s.whatsapp.net", *again.JID, "what is not said stays")

	lost := set(change(session.Reconnecting))
	require.Nil(t, lost.ConnectedAt)
	require.EqualValues(t, 1, lost.Reconnects)
	require.EqualValues(t, 1, set(change(session.Reconnecting)).Reconnects, "counted once for each loss")

	set(change(session.Connected))
	require.NoError(t, f.DisownSockets(t.Context(), f.fence))
	disowned, err := f.Queries().GetSession(t.Context(), f.pool, company)
	require.NoError(t, err)
	require.Equal(t, "reconnecting/connecting", disowned.State+"/"+disowned.Status)
	require.Nil(t, disowned.ConnectedAt)
	require.EqualValues(t, 2, disowned.Reconnects)
	require.Equal(t, 2, disowned.QrAttempts, "of the pairing that led to it")

	out := change(session.LoggedOut)
	out.Reason, out.Action = "device_removed", session.ActionRelink
	row := set(out)
	require.Equal(t, "device_removed", row.Reason)
	require.Equal(t, "relink", row.UserAction)
	require.Nil(t, row.JID, "the keys are dead")
	require.Nil(t, row.LID)
	require.Equal(t, "Salon", *row.PushName)
}

func TestChangeSessionTellsWhatHappened(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.endpoint(t, company, "all", "session.logged_out")
	c := change(session.LoggedOut)
	c.Event, c.Reason, c.Action = "session.logged_out", "device_removed", session.ActionRelink

	deliveries, err := f.ChangeSession(t.Context(), f.fence, c)
	require.NoError(t, err)
	require.Len(t, deliveries, 1)
	events := f.events(t, company, 0)
	require.Len(t, events, 1)
	require.Equal(t, "session.logged_out", events[0].kind)
	require.Equal(t, map[string]any{
		"state": "logged_out", "status": "disconnected", "reason": "device_removed", "userAction": "relink",
	}, events[0].data)
}

func TestOneCompanyPerNumber(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.createCompany(t, "other")
	mine := change(session.Connected)
	mine.JID = new("79001112233:1@s.whatsapp.net")
	_, err := f.ChangeSession(t.Context(), f.fence, mine)
	require.NoError(t, err)

	theirs := mine
	theirs.CompanyID, theirs.JID, theirs.Event = "other", new("79001112233:2@s.whatsapp.net"), "session.connected"
	before := f.contents(t)
	_, err = f.ChangeSession(t.Context(), f.fence, theirs)
	require.ErrorIs(t, err, store.ErrNumberTaken)
	require.Equal(t, before, f.contents(t))

	owner, err := f.Queries().FindCompanyByNumber(t.Context(), f.pool, "79001112233")
	require.NoError(t, err)
	require.Equal(t, company, owner)
}

// A company that is deleted while its session lives is not a lost lease: the shard must be kept.
func TestChangeSessionOfADeletedCompany(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	_, err := f.ChangeSession(t.Context(), f.fence, change(session.Connecting)) // opens the data key
	require.NoError(t, err)
	f.exec(t, `DELETE FROM companies WHERE company_id = $1`, company)

	_, err = f.ChangeSession(t.Context(), f.fence, change(session.Connecting))
	require.ErrorIs(t, err, store.ErrNoCompany)
	require.NotErrorIs(t, err, store.ErrFenced)

	f.vault.Forget(company)
	_, err = f.ChangeSession(t.Context(), f.fence, change(session.Connecting))
	require.ErrorIs(t, err, store.ErrNoCompany)
}

func TestDesiredGenerations(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	ask := func(d session.Desired) int64 {
		row, err := f.Queries().SetDesired(t.Context(), f.pool, db.SetDesiredParams{CompanyID: company, DesiredState: string(d)})
		require.NoError(t, err)
		return row.DesiredGeneration
	}
	observe := func(generation int64) (int64, error) {
		return f.Queries().ObserveGeneration(t.Context(), f.pool, db.ObserveGenerationParams{
			CompanyID: company, Generation: generation, Shard: f.fence.Shard, Term: f.fence.Term,
		})
	}
	unreconciled := func() int {
		rows, err := f.Queries().ListUnreconciled(t.Context(), f.pool, []int{0, 1})
		require.NoError(t, err)
		return len(rows)
	}
	require.Zero(t, unreconciled())
	require.EqualValues(t, 1, ask(session.DesiredRunning))
	require.EqualValues(t, 2, ask(session.DesiredRunning), "asking for the same again is a restart")
	require.Equal(t, 1, unreconciled())

	n, err := observe(1)
	require.NoError(t, err)
	require.EqualValues(t, 1, n)
	require.Equal(t, 1, unreconciled(), "an older wish is not the last")
	n, err = observe(2)
	require.NoError(t, err)
	require.EqualValues(t, 1, n)
	require.Zero(t, unreconciled())
	n, err = observe(1)
	require.NoError(t, err)
	require.Zero(t, n, "never goes back")
	_, err = observe(3)
	require.ErrorContains(t, err, "observed_never_leads")
}
