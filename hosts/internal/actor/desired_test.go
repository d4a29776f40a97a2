package actor_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"wafleet/hosts/internal/actor"
	"wafleet/shared/rpc"
	"wafleet/shared/session"
	"wafleet/shared/store/db"
	"wafleet/shared/webhook"
)

// remove declares the deletion of the session, as the API does.
func (b *bundle) remove(t *testing.T) {
	t.Helper()
	_, err := b.store.Queries().DeleteSession(t.Context(), b.store.Pool(), company)
	require.NoError(t, err)
	b.fleet.Reconcile(t.Context(), company)
}

// restart declares that the session should take a new socket, as the API does.
func (b *bundle) restart(t *testing.T) {
	t.Helper()
	_, err := b.store.Queries().RestartSession(t.Context(), b.store.Pool(), company)
	require.NoError(t, err)
	b.fleet.Reconcile(t.Context(), company)
}

// awaitNew waits until a deletion is done.
func (b *bundle) awaitNew(t *testing.T) {
	t.Helper()
	require.Eventually(t, func() bool {
		row := b.session(t)
		return row.State == string(session.Created) && !row.DeleteAfterLogout && row.ObservedGeneration == row.DesiredGeneration
	}, await, time.Millisecond)
	row := b.session(t)
	require.Nil(t, row.JID)
	require.Nil(t, row.LID)
	require.Nil(t, row.PushName)
	require.Nil(t, row.PairingPhone)
}

// A restart takes a new socket even where one is online; to be asked to run again does not.
func TestARestartRedials(t *testing.T) {
	t.Parallel()
	b := setup(t, quick)
	c := b.online(t)
	dials := b.Dials(company)
	b.want(t, session.DesiredRunning)
	require.Eventually(t, func() bool { return b.session(t).ObservedGeneration == 2 }, await, time.Millisecond)
	require.Equal(t, dials, b.Dials(company))

	b.restart(t)
	next := b.AwaitDial(t)
	require.Equal(t, dials+1, b.Dials(company))
	require.Empty(t, b.Broken(), "the old socket is closed first")
	next.Signal(connected())
	b.awaitState(t, session.Connected)
	require.Same(t, c, next, "with the same keys")
}

// The wishes are in the row: whoever owns the session next carries them out.
func TestWishesOutliveTheirOwner(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		wish  func(q *db.Queries, b *bundle) error
		state session.State
	}{
		"stop": {func(q *db.Queries, b *bundle) error {
			_, err := q.SetDesired(context.Background(), b.store.Pool(), db.SetDesiredParams{CompanyID: company, DesiredState: "stopped"})
			return err
		}, session.Stopped},
		"log out": {func(q *db.Queries, b *bundle) error {
			_, err := q.SetDesired(context.Background(), b.store.Pool(), db.SetDesiredParams{CompanyID: company, DesiredState: "logged_out"})
			return err
		}, session.LoggedOut},
		"delete": {func(q *db.Queries, b *bundle) error {
			_, err := q.DeleteSession(context.Background(), b.store.Pool(), company)
			return err
		}, session.Created},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t, quick)
			b.online(t)
			require.NoError(t, b.fleet.Stop(t.Context()))
			require.NoError(t, tc.wish(b.store.Queries(), b))
			dials := b.Dials(company)
			b.set(func(s *script) { s.Obliging = true })
			b.own(t, quick)
			b.awaitState(t, tc.state)
			require.Eventually(t, func() bool {
				row := b.session(t)
				return row.ObservedGeneration == row.DesiredGeneration
			}, await, time.Millisecond)
			if tc.state == session.Stopped {
				require.Equal(t, dials, b.Dials(company))
				require.Empty(t, b.Destroyed())
				require.Zero(t, b.farewells())
			} else {
				require.Equal(t, dials+1, b.Dials(company), "only to tell the phone")
				require.Equal(t, []string{ownJID}, b.Destroyed())
				require.Equal(t, 1, b.farewells())
			}
		})
	}
}

// A deletion says good-bye to the phone, destroys the keys, and leaves a session as new, which can be paired again.
func TestDeleteWhileConnected(t *testing.T) {
	t.Parallel()
	b := setup(t, quick)
	c := b.online(t)
	b.remove(t)
	b.awaitNew(t)
	require.False(t, c.isOpen())
	require.Equal(t, []string{ownJID}, b.Destroyed())
	b.set(func(s *script) { require.Equal(t, 1, s.unlinked) })
	require.Equal(t, webhook.SessionLoggedOut, b.events(t)[len(b.events(t))-1])

	b.want(t, session.DesiredRunning)
	b.AwaitDial(t)
	require.Empty(t, b.opened[len(b.opened)-1])
	b.awaitState(t, session.Pairing)
}

func TestDeleteWhilePairing(t *testing.T) {
	t.Parallel()
	b := setup(t, quick)
	b.want(t, session.DesiredRunning)
	c := b.AwaitDial(t)
	c.Signal(actor.Signal{Then: actor.ShowQR, Codes: []string{"qr-1", "qr-2"}})
	require.Eventually(t, func() bool {
		_, err := b.board.QR(t.Context(), company)
		return err == nil
	}, await, time.Millisecond)
	b.remove(t)
	b.awaitNew(t)
	require.False(t, c.isOpen())
	_, err := b.board.QR(t.Context(), company)
	require.ErrorIs(t, err, rpc.ErrNotPublished)
	require.Empty(t, b.Destroyed())
}

// To be asked to run right after a deletion does not undo it.
func TestInitializeAfterDelete(t *testing.T) {
	t.Parallel()
	b := setup(t, quick)
	b.online(t)
	_, err := b.store.Queries().DeleteSession(t.Context(), b.store.Pool(), company)
	require.NoError(t, err)
	b.want(t, session.DesiredRunning)
	b.AwaitDial(t)
	require.Empty(t, b.opened[len(b.opened)-1], "it pairs anew")
	require.Equal(t, []string{ownJID}, b.Destroyed())
	b.awaitState(t, session.Pairing)
}

// A number that is not known any more cannot get a code: the session shows a QR code instead of failing at once.
func TestAPairingByCodeWithoutANumber(t *testing.T) {
	t.Parallel()
	b := setup(t, quick)
	b.want(t, session.DesiredRunning, func(p *db.SetDesiredParams) { p.PairingMethod = new(string(session.PairingCode)) })
	b.AwaitDial(t).Signal(actor.Signal{Then: actor.ShowQR, Codes: []string{"qr-1", "qr-2"}})
	require.Eventually(t, func() bool {
		_, err := b.board.QR(t.Context(), company)
		return err == nil
	}, await, time.Millisecond)
	require.Equal(t, 1, b.session(t).QrAttempts)
}

// budget allows a number of codes in all.
type budget struct{ left int }

func (b *budget) Take(context.Context, string) (bool, time.Duration) {
	b.left--
	return b.left >= 0, time.Hour
}

func byCode(phone string) func(p *db.SetDesiredParams) {
	method := string(session.PairingCode)
	return func(p *db.SetDesiredParams) { p.PairingMethod, p.PairingPhone = &method, &phone }
}

// A number that was asked for too many codes gets no more, and the user learns to wait.
func TestPairingCodesAreLimited(t *testing.T) {
	t.Parallel()
	b := setup(t, quick)
	require.NoError(t, b.fleet.Stop(t.Context()))
	b.budget = &budget{left: 1}
	b.own(t, quick)
	b.want(t, session.DesiredRunning, byCode("79000000001"))
	b.AwaitDial(t).Signal(actor.Signal{Then: actor.ShowQR, Codes: []string{"qr-1"}})
	require.Eventually(t, func() bool {
		_, err := b.board.PairingCode(t.Context(), company)
		return err == nil
	}, await, time.Millisecond)
	b.want(t, session.DesiredRunning, byCode("79000000001"))
	b.AwaitDial(t).Signal(actor.Signal{Then: actor.ShowQR, Codes: []string{"qr-1"}})
	row := b.awaitState(t, session.Failed)
	require.Equal(t, "pairing_rate_limited", row.Reason)
	require.Equal(t, "wait", row.UserAction)
	_, err := b.board.PairingCode(t.Context(), company)
	require.ErrorIs(t, err, rpc.ErrNotPublished)
}

// Who may be linked: nobody's number or the company's own, and with a code only the number that it was asked for.
func TestWhoMayBeLinked(t *testing.T) {
	t.Parallel()
	b := setup(t, quick)
	b.online(t)
	b.create(t, "other", shardNo)
	_, err := b.store.Queries().SetDesired(t.Context(), b.store.Pool(), db.SetDesiredParams{CompanyID: "other", DesiredState: "running"})
	require.NoError(t, err)
	b.fleet.Reconcile(t.Context(), "other")
	c := b.AwaitDial(t)
	require.Equal(t, "number_taken", c.Admit(t.Context(), "79000000001"))
	require.Empty(t, c.Admit(t.Context(), "79000000002"))
	require.Empty(t, b.latestOf(company).Admit(t.Context(), "79000000001"))

	method, phone := string(session.PairingCode), "79000000002"
	_, err = b.store.Queries().SetDesired(t.Context(), b.store.Pool(), db.SetDesiredParams{
		CompanyID: "other", DesiredState: "running", PairingMethod: &method, PairingPhone: &phone,
	})
	require.NoError(t, err)
	b.fleet.Reconcile(t.Context(), "other")
	c = b.AwaitDial(t)
	c.Signal(actor.Signal{Then: actor.ShowQR, Codes: []string{"qr-1"}})
	require.Eventually(t, func() bool { return c.Admit(t.Context(), "79000000013") == "wrong_number" }, await, time.Millisecond)
	require.Empty(t, c.Admit(t.Context(), phone))
	require.Empty(t, c.Admit(t.Context(), "7000000002"), "another form of the same number")
}

// A phone that cannot link devices is told so, while the code stays on show.
func TestAHintWhilePairing(t *testing.T) {
	t.Parallel()
	b := setup(t, quick)
	b.want(t, session.DesiredRunning)
	c := b.AwaitDial(t)
	c.Signal(actor.Signal{Then: actor.ShowQR, Codes: []string{"qr-1", "qr-2"}})
	c.Signal(actor.Signal{Reason: "phone_without_multidevice", Then: actor.Hint})
	require.Eventually(t, func() bool { return b.session(t).Reason == "phone_without_multidevice" }, await, time.Millisecond)
	require.Equal(t, string(session.Pairing), b.session(t).State)
	_, err := b.board.QR(t.Context(), company)
	require.NoError(t, err)
}

// A code is never said to be valid for longer than the socket that it belongs to.
func TestACodeEndsWithItsSocket(t *testing.T) {
	t.Parallel()
	cfg := quick
	cfg.PairingCodeTTL, cfg.QRFirstTTL = time.Hour, time.Hour
	b := setup(t, cfg)
	b.want(t, session.DesiredRunning, byCode("79000000001"))
	start := time.Now()
	b.AwaitDial(t).Signal(actor.Signal{Then: actor.ShowQR, Codes: []string{"qr-1"}})
	var code rpc.PairingCode
	require.Eventually(t, func() bool {
		var err error
		code, err = b.board.PairingCode(t.Context(), company)
		return err == nil
	}, await, time.Millisecond)
	require.WithinRange(t, code.ExpiresAt, start.Add(159*time.Second), time.Now().Add(160*time.Second))

	qr := string(session.PairingQR)
	b.want(t, session.DesiredRunning, func(p *db.SetDesiredParams) { p.PairingMethod = &qr })
	b.AwaitDial(t).Signal(actor.Signal{Then: actor.ShowQR, Codes: []string{"qr-1"}})
	var shown rpc.QR
	require.Eventually(t, func() bool {
		var err error
		shown, err = b.board.QR(t.Context(), company)
		return err == nil
	}, await, time.Millisecond)
	require.WithinRange(t, shown.ExpiresAt, start.Add(59*time.Second), time.Now().Add(60*time.Second))
}
